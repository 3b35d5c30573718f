import test from 'ava';
import { openKeyring } from '../../server/keys/keyring.ts';
import { loadServerSecrets, type ServerSecrets } from '../../server/keys/server-secrets.ts';
import { openTestDatabase } from '../_database.ts';

const encryptionKey = Buffer.alloc(32, 1);

function flat(secrets: ServerSecrets): string[] {
  return Object.values(secrets)
    .flat()
    .map((value: string | Buffer) => (typeof value === 'string' ? value : value.toString('base64url')));
}

test('a secret that was swapped with another in the database does not open', async (t) => {
  await using database = await openTestDatabase();
  const { knex: db } = database;
  const keyring = await openKeyring(db, encryptionKey);
  await loadServerSecrets(db, keyring);
  await db.raw(
    `update server_secrets set sealed = (select sealed from server_secrets where name = 'csrf_key') where name = 'rate_key'`,
  );
  await t.throwsAsync(() => loadServerSecrets(db, keyring));
});

test('two starts have the same secrets, and one that is new is added beside them', async (t) => {
  await using database = await openTestDatabase();
  const { knex: db } = database;
  const first = await loadServerSecrets(db, await openKeyring(db, encryptionKey));
  t.deepEqual(await loadServerSecrets(db, await openKeyring(db, encryptionKey)), first);
  // An older database lacks a secret that a newer version needs.
  await db('server_secrets').where({ name: 'rate_key' }).delete();
  const later = await loadServerSecrets(db, await openKeyring(db, encryptionKey));
  t.notDeepEqual(later.rateKey, first.rateKey);
  t.deepEqual({ ...later, rateKey: null }, { ...first, rateKey: null });
});

test('two first starts at once have the same secrets', async (t) => {
  for (let round = 0; round < 3; round += 1) {
    await using database = await openTestDatabase();
    const { knex: db } = database;
    const start = async () => loadServerSecrets(db, await openKeyring(db, encryptionKey));
    const [one, two] = await Promise.all([start(), start()]);
    t.deepEqual(one, two);
  }
});

test('every secret is 32 bytes, differs from the others and is sealed at rest', async (t) => {
  await using database = await openTestDatabase();
  const { knex: db } = database;
  const values = flat(await loadServerSecrets(db, await openKeyring(db, encryptionKey)));
  t.is(new Set(values).size, values.length);
  for (const value of values) t.is(Buffer.from(value, 'base64url').length, 32);
  const rows = await db('server_secrets');
  t.is(rows.length, values.length);
  for (const { sealed } of rows) {
    for (const value of values) {
      t.false(sealed.includes(Buffer.from(value, 'base64url')));
      t.false(sealed.includes(value));
    }
  }
});
