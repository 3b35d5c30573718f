import { randomBytes } from 'node:crypto';
import test from 'ava';
import { KeyError } from '../../server/keys/key-encryption.ts';
import { createKeyring, openKeyring } from '../../server/keys/keyring.ts';
import { openTestDatabase } from '../_database.ts';

const keyring = createKeyring(new Map([[1, randomBytes(32)]]), 1);
const place = 'grants.payload|grn_1';
const encryptionKey = Buffer.alloc(32, 1);

test('a value with any changed byte does not open', (t) => {
  const sealed = keyring.seal('payload', place, 'a secret');
  for (let index = 0; index < sealed.length; index += 1) {
    const changed = Buffer.from(sealed);
    changed.writeUInt8(changed.readUInt8(index) ^ 1, index);
    t.throws(() => keyring.open('payload', place, changed), undefined, `byte ${index}`);
  }
});

test('a truncated or lengthened value does not open', (t) => {
  const sealed = keyring.seal('payload', place, 'a secret');
  for (let length = 0; length < sealed.length; length += 1)
    t.throws(() => keyring.open('payload', place, sealed.subarray(0, length)), undefined, `${length} bytes`);
  t.throws(() => keyring.open('payload', place, Buffer.concat([sealed, Buffer.of(0)])));
});

test('a value does not open at another place, nor for another purpose', (t) => {
  const sealed = keyring.seal('payload', place, 'a secret');
  for (const other of ['grants.payload|grn_2', 'sessions.payload|grn_1', '', `${place}|1`])
    t.throws(() => keyring.open('payload', other, sealed));
  for (const purpose of ['server-secret', 'signing-key', 'credential'] as const)
    t.throws(() => keyring.open(purpose, place, sealed));
});

test('a value that was sealed under a key that is gone, or under another with the same id, does not open', (t) => {
  const sealed = createKeyring(new Map([[2, randomBytes(32)]]), 2).seal('payload', place, 'a secret');
  t.throws(() => keyring.open('payload', place, sealed), { instanceOf: KeyError });
  const impostor = createKeyring(new Map([[1, randomBytes(32)]]), 1).seal('payload', place, 'a secret');
  t.throws(() => keyring.open('payload', place, impostor));
});

test('what was sealed opens, after the active key changed too, and is never the same twice', (t) => {
  const keys = new Map([
    [1, randomBytes(32)],
    [2, randomBytes(32)],
  ]);
  const before = createKeyring(keys, 1);
  const after = createKeyring(keys, 2);
  const sealed = before.seal('payload', place, 'ein Geheimnis \u{1f511}');
  t.is(after.open('payload', place, sealed).toString(), 'ein Geheimnis \u{1f511}');
  t.false(sealed.includes('Geheimnis'));
  t.notDeepEqual(before.seal('payload', place, 'x'), before.seal('payload', place, 'x'));
  t.is(after.open('payload', place, after.seal('payload', place, Buffer.alloc(0))).length, 0);
});

test('a database does not open with another encryption key, and keeps the keys that it has', async (t) => {
  await using database = await openTestDatabase();
  const { knex: db } = database;
  const first = await openKeyring(db, encryptionKey);
  const sealed = first.seal('payload', place, 'a secret');
  const rows = await db('data_keys');
  const refused = await t.throwsAsync(() => openKeyring(db, Buffer.alloc(32, 2)), { instanceOf: KeyError });
  t.regex(refused.message, /ENCRYPTION_KEY/);
  t.false(refused.message.includes(Buffer.alloc(32, 2).toString('base64url')));
  t.deepEqual(await db('data_keys'), rows);
  const again = await openKeyring(db, encryptionKey);
  t.is(again.open('payload', place, sealed).toString(), 'a secret');
});

test('a data key that was changed or swapped in the database does not open', async (t) => {
  await using database = await openTestDatabase();
  const { knex: db } = database;
  await openKeyring(db, encryptionKey);
  // The wrapped key of row 1, copied to row 2: its number is part of what is sealed.
  await db.raw(
    `insert into data_keys (id, wrapped, state) select 2, wrapped, 'active' from data_keys where id = 1`,
  );
  await t.throwsAsync(() => openKeyring(db, encryptionKey), { instanceOf: KeyError });
});

test('a database whose data keys are all retired is refused, and no new key is made silently', async (t) => {
  await using database = await openTestDatabase();
  const { knex: db } = database;
  await openKeyring(db, encryptionKey);
  await db('data_keys').update({ state: 'decrypt_only' });
  await t.throwsAsync(() => openKeyring(db, encryptionKey), { instanceOf: KeyError });
  t.is((await db('data_keys')).length, 1);
});

test('two first starts at once end on one data key', async (t) => {
  await using database = await openTestDatabase();
  const { knex: db } = database;
  const [one, two] = await Promise.all([openKeyring(db, encryptionKey), openKeyring(db, encryptionKey)]);
  t.is(two.open('payload', place, one.seal('payload', place, 'a secret')).toString(), 'a secret');
  const [row] = await db('data_keys');
  t.is((await db('data_keys')).length, 1);
  t.true(row!.wrapped.length > 32);
});
