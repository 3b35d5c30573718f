/** Deleting through the registry: nothing that belonged to it lives on, and nothing dangles. */
import { randomBytes } from 'node:crypto';
import test from 'ava';
import { runCommand } from '../../server/api/commands.ts';
import { AppError } from '../../server/errors.ts';
import { startTestApp, type TestApp } from '../_app.ts';

let app: TestApp;
test.before(async () => {
  app = await startTestApp();
});
test.after.always(() => app[Symbol.asyncDispose]());

const run = (name: string, input: object) =>
  runCommand(app.services, name, input) as Promise<Record<string, string>>;

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return error instanceof AppError ? `${error.status} ${error.code}` : String(error);
}

async function post(
  path: string,
  client: { id: string; secret: string | undefined },
  form: Record<string, string>,
) {
  const response = await fetch(`${app.url}${path}`, {
    method: 'POST',
    headers: { Authorization: `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString('base64')}` },
    body: new URLSearchParams(form),
  });
  return (await response.json()) as Record<string, string>;
}

test('what is not there cannot be deleted', async (t) => {
  t.is(await codeOf(run('apps.delete', { id: 'app_none' })), '404 not_found');
  t.is(await codeOf(run('users.delete', { user: 'acc_none' })), '404 not_found');
  t.is(await codeOf(run('users.delete', { user: 'nobody' })), '404 not_found');
  t.is(await codeOf(run('apis.delete', { identifier: 'https://none.test' })), '404 not_found');
});

test('a client whose metadata the engine could not use is refused', async (t) => {
  const web = { kind: 'web', name: 'W', redirectUris: ['https://w.test/cb'] };
  const key = { kty: 'EC', crv: 'P-256', x: 'x', y: 'y' };
  for (const wrong of [
    { initiateLoginUri: 'http://localhost/login' },
    { clientUri: 'javascript:alert(1)' },
    { jwksUri: 'keys' },
    { jwks: { keys: [key] }, jwksUri: 'https://w.test/keys' },
    { jwks: { keys: [{ ...key, d: 'private' }] } },
    { roles: ['king'] },
  ]) {
    t.is(await codeOf(run('apps.add', { ...web, ...wrong })), '422 invalid_input', JSON.stringify(wrong));
  }
});

for (const tokenFormat of ['jwt', 'opaque'] as const) {
  test(`a deleted machine's ${tokenFormat} tokens are worth nothing`, async (t) => {
    const identifier = `https://${tokenFormat}.test`;
    await app.createApi({ identifier, title: 'A', scopes: [{ name: 'read' }], tokenFormat });
    const api = await app.createClient({ kind: 'api', name: 'A', api: identifier });
    const machine = await app.createClient({ kind: 'machine', name: 'M', roles: ['vip'] });
    const grant = { grant_type: 'client_credentials', resource: identifier, scope: 'read' };
    const { access_token: token = '' } = await post('/token', machine, grant);
    t.is((await post('/token/introspection', api, { token }))['active'] as unknown, true);

    await run('apps.delete', { id: machine.id });
    t.deepEqual(await post('/token/introspection', api, { token }), { active: false } as never);
    t.is((await post('/token', machine, grant))['error'], 'invalid_client');
    for (const table of ['clients', 'client_secrets', 'client_roles', 'client_credentials'] as const) {
      const { rows } = await app.db.raw<{ rows: unknown[] }>(
        `select 1 from ${table} where ${table === 'clients' ? 'id' : 'client_id'} = ?`,
        [machine.id],
      );
      t.is(rows.length, 0, table);
    }
    const [event] = await app.db('audit_events').where({ kind: 'client_deleted', client_id: machine.id });
    t.truthy(event);
  });
}

test('an account that owns an app stays; without it, its sessions, grants and consents end with it', async (t) => {
  const person = await app.createPerson();
  const owned = await app.createClient({
    kind: 'web',
    name: 'W',
    redirectUris: ['https://w.test/cb'],
    ownerId: person.id as never,
  });
  t.is(await codeOf(run('users.delete', { user: person.identifier })), '409 owns_apps');
  await app.db('clients').where({ id: owned.id }).update({ owner_id: null });

  const uid = randomBytes(32);
  const later = new Date(Date.now() + 3_600_000);
  const sealed = { key_id: 1, payload: Buffer.alloc(1) };
  await app.db.raw(
    `insert into sessions (uid_hash, subject, idle_expires_at, expires_at, key_id, payload) values (?, ?, ?, ?, ?, ?)`,
    [uid, person.subject, later, later, sealed.key_id, sealed.payload],
  );
  await app.db.raw(
    `insert into grants (id, subject, client_id, persists_logout, expires_at, key_id, payload) values (?, ?, ?, true, ?, ?, ?)`,
    [`grn_${person.id}`, person.subject, owned.id, later, sealed.key_id, sealed.payload],
  );
  await app.db.raw(`insert into consents (account_id, client_id) values (?, ?)`, [person.id, owned.id]);

  await run('users.delete', { user: person.identifier.toUpperCase() });
  t.is((await app.db('accounts').where({ id: person.id as never })).length, 0);
  t.is((await app.db('consents').where({ account_id: person.id as never })).length, 0);
  t.is((await app.db('sessions').where({ uid_hash: uid }).first())?.end_reason, 'account_deleted');
  const grant = await app
    .db('grants')
    .where({ id: `grn_${person.id}` })
    .first();
  t.is(grant?.end_reason, 'account_deleted');
  t.true((await app.db('revoked_handles')).length > 0);
  // The identifier is free again.
  t.truthy((await run('users.add', { name: 'Next', identifier: person.identifier }))['id']);
});

test('a deleted API takes the consents about it along', async (t) => {
  const identifier = 'https://consents.test';
  await run('apis.add', { identifier, title: 'C', scopes: ['read'] });
  const person = await app.createPerson();
  const client = await app.createClient({
    kind: 'web',
    name: 'W',
    redirectUris: ['https://w.test/cb'],
    defaultResource: identifier,
  });
  const api = await app.db('apis').where({ identifier }).first();
  await app.db.raw(`insert into consents (account_id, client_id, api_id) values (?, ?, ?)`, [
    person.id,
    client.id,
    api?.id ?? '',
  ]);
  t.is(await codeOf(run('apis.delete', { identifier })), '409 api_in_use');
  await run('apps.delete', { id: client.id });
  const other = await app.createClient({ kind: 'web', name: 'O', redirectUris: ['https://o.test/cb'] });
  await app.db.raw(`insert into consents (account_id, client_id, api_id) values (?, ?, ?)`, [
    person.id,
    other.id,
    api?.id ?? '',
  ]);
  await run('apis.delete', { identifier });
  t.is((await app.db('consents').where({ account_id: person.id as never })).length, 0);
});
