import test from 'ava';
import { startTestApp } from '../_app.ts';

test('a change whose event cannot be written does not happen', async (t) => {
  await using app = await startTestApp();
  await app.db.schema.renameTable('audit_events', 'audit_events_away');
  const rows = () =>
    Promise.all(
      (['clients', 'client_secrets', 'apis', 'accounts', 'passwords'] as const).map(async (table) =>
        Number((await app.db(table as 'clients').count({ n: '*' }))[0]?.['n']),
      ),
    );
  const before = await rows();
  await t.throwsAsync(
    app.createClient({ kind: 'web', name: 'Shop', redirectUris: ['https://shop.test/cb'] }),
  );
  await t.throwsAsync(
    app.createApi({ identifier: 'https://api.test/', title: 'API', scopes: [{ name: 'read' }] }),
  );
  await t.throwsAsync(app.createPerson());
  t.deepEqual(await rows(), before);
  await app.db.schema.renameTable('audit_events_away', 'audit_events');
  const client = await app.createClient({
    kind: 'web',
    name: 'Shop',
    redirectUris: ['https://shop.test/cb'],
  });
  const event = await app.db('audit_events').where({ kind: 'client_created' }).first();
  t.is(event?.client_id, client.id);
});
