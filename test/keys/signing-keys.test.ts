import { setTimeout as wait } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { importJWK, jwtVerify, SignJWT } from 'jose';
import type { Knex } from 'knex';
import { createKeyring, openKeyring, type Keyring } from '../../server/keys/keyring.ts';
import {
  createMissingSigningKeys,
  type KeyPlan,
  loadSigningKeys,
  rotateSigningKeys,
  signingAlgorithms,
  tendSigningKeys,
} from '../../server/keys/signing-keys.ts';
import { openTestDatabase } from '../_database.ts';
import { passTime, resetTime } from '../_time.ts';

const encryptionKey = Buffer.alloc(32, 1);
const plan: KeyPlan = { cacheSeconds: 600, rotateAfterSeconds: 86_400, keepSeconds: 7200 };

test.after.always(resetTime);

async function states(db: Knex): Promise<Record<string, string[]>> {
  const rows = await db('signing_keys').select('alg', 'state', 'kid');
  return Object.fromEntries(
    signingAlgorithms.map((alg) => [
      alg,
      rows
        .filter((row) => row.alg === alg)
        .map(({ state, kid }) => `${state} ${kid}`)
        .sort(),
    ]),
  );
}

async function countStates(db: Knex, alg: string): Promise<string> {
  return ((await states(db))[alg] ?? []).map((entry) => entry.split(' ')[0]).join(' ');
}

async function kidOf(
  db: Knex,
  alg: string,
  state: 'next' | 'active' | 'retiring',
): Promise<string | undefined> {
  return (await db('signing_keys').where({ alg, state }).first())?.kid;
}

async function version(db: Knex): Promise<number> {
  return Number((await db('config_version').first())?.version);
}

/** A database with its first keys. */
async function start(t: ExecutionContext): Promise<{ db: Knex; keyring: Keyring }> {
  const database = await openTestDatabase();
  t.teardown(() => database[Symbol.asyncDispose]());
  const keyring = await openKeyring(database.knex, encryptionKey);
  t.deepEqual(await createMissingSigningKeys(database.knex, keyring), [...signingAlgorithms]);
  return { db: database.knex, keyring };
}

test.serial('a next key is not used before others had the time to fetch it', async (t) => {
  const { db, keyring } = await start(t);
  t.deepEqual(await rotateSigningKeys(db, keyring, plan), []);
  const next = await kidOf(db, 'ES256', 'next');
  t.truthy(next);
  await passTime(db, plan.cacheSeconds - 5);
  t.deepEqual(await rotateSigningKeys(db, keyring, plan), []);
  await passTime(db, 6);
  t.deepEqual(await rotateSigningKeys(db, keyring, plan), [...signingAlgorithms]);
  t.is(await kidOf(db, 'ES256', 'active'), next);
  // The key that was made just now waits like any other.
  t.deepEqual(await rotateSigningKeys(db, keyring, plan), []);
  for (const alg of signingAlgorithms) t.is(await countStates(db, alg), 'active next retiring');
});

test.serial('a sealed key that was moved to another row does not open', async (t) => {
  const { db, keyring } = await start(t);
  await db.raw(
    `update signing_keys set sealed = (select sealed from signing_keys where alg = 'ES256') where alg = 'RS256'`,
  );
  await t.throwsAsync(() => loadSigningKeys(db, keyring));
  const stranger = createKeyring(new Map([[1, Buffer.alloc(32, 9)]]), 1);
  await t.throwsAsync(() => loadSigningKeys(db, stranger));
});

test.serial('two first starts at once end on exactly one active key for each algorithm', async (t) => {
  await using database = await openTestDatabase();
  const { knex: db } = database;
  const starts = await Promise.all(
    [1, 2].map(async () => {
      const keyring = await openKeyring(db, encryptionKey);
      await createMissingSigningKeys(db, keyring);
      return (await loadSigningKeys(db, keyring)).map(({ kid }) => kid).sort();
    }),
  );
  t.is(starts[0]?.length, 2);
  t.deepEqual(starts[0], starts[1]);
  for (const alg of signingAlgorithms) t.is(await countStates(db, alg), 'active');
});

test.serial(
  'no private part is in a column that is not sealed, and the loaded key signs for the published one',
  async (t) => {
    const { db, keyring } = await start(t);
    await tendSigningKeys(db, keyring, plan);
    const rows = await db('signing_keys');
    const keys = await loadSigningKeys(db, keyring);
    t.is(rows.length, 4);
    for (const row of rows) {
      for (const part of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']) t.false(part in row.public_jwk, part);
      t.like(row.public_jwk, { kid: row.kid, alg: row.alg, use: 'sig' });
      const { jwk } = keys.find(({ kid }) => kid === row.kid)!;
      t.false(JSON.stringify({ ...row, sealed: '' }).includes(String(jwk.d)));
      t.false(row.sealed.includes(String(jwk.d)));
      const token = await new SignJWT({})
        .setProtectedHeader({ alg: row.alg })
        .sign(await importJWK(jwk, row.alg));
      await t.notThrowsAsync(async () => jwtVerify(token, await importJWK(row.public_jwk, row.alg)));
    }
  },
);

test.serial(
  'the keys are in the order in which the engine selects: active before next before retiring',
  async (t) => {
    const { db, keyring } = await start(t);
    await tendSigningKeys(db, keyring, plan);
    await passTime(db, plan.cacheSeconds + 1);
    await rotateSigningKeys(db, keyring, plan);
    for (const alg of signingAlgorithms) {
      const order = (await loadSigningKeys(db, keyring))
        .filter((key) => key.alg === alg)
        .map(({ state }) => state);
      t.deepEqual(order, ['active', 'next', 'retiring']);
    }
  },
);

test.serial(
  'keys go from next to active to retiring to gone by themselves, and each change is noticed',
  async (t) => {
    const { db, keyring } = await start(t);
    const first = await kidOf(db, 'RS256', 'active');
    let seen = await version(db);
    const changed = async () => {
      const before = seen;
      seen = await version(db);
      return seen > before;
    };

    t.true(await tendSigningKeys(db, keyring, plan));
    t.true(await changed());
    for (const alg of signingAlgorithms) t.is(await countStates(db, alg), 'active next');
    t.false(await tendSigningKeys(db, keyring, plan));
    t.false(await changed());

    await passTime(db, plan.rotateAfterSeconds - 60);
    t.false(await tendSigningKeys(db, keyring, plan));
    t.is(await kidOf(db, 'RS256', 'active'), first);
    await passTime(db, 61);
    t.true(await tendSigningKeys(db, keyring, plan));
    t.true(await changed());
    t.is(await kidOf(db, 'RS256', 'retiring'), first);
    for (const alg of signingAlgorithms) t.is(await countStates(db, alg), 'active next retiring');

    await passTime(db, plan.keepSeconds - 60);
    t.false(await tendSigningKeys(db, keyring, plan));
    t.is(await kidOf(db, 'RS256', 'retiring'), first);
    await passTime(db, 61);
    t.true(await tendSigningKeys(db, keyring, plan));
    t.true(await changed());
    for (const alg of signingAlgorithms) t.is(await countStates(db, alg), 'active next');
    t.false((await loadSigningKeys(db, keyring)).some(({ kid }) => kid === first));
  },
);

test.serial(
  'nodes that rotate at once rotate once, and no reader ever sees two active keys or none',
  async (t) => {
    const { db, keyring } = await start(t);
    await tendSigningKeys(db, keyring, plan);
    await passTime(db, plan.cacheSeconds + 1);
    const next = await kidOf(db, 'ES256', 'next');
    const rotation = Promise.all([1, 2, 3].map(() => rotateSigningKeys(db, keyring, plan)));
    let over = false;
    void rotation.finally(() => {
      over = true;
    });
    let reads = 0;
    while (!over) {
      const active = await db('signing_keys').where({ state: 'active' }).pluck('alg');
      t.deepEqual(active.sort(), [...signingAlgorithms].sort());
      reads += 1;
      await wait(1);
    }
    t.true(reads > 0);
    t.deepEqual((await rotation).flat().sort(), [...signingAlgorithms].sort());
    t.is(await kidOf(db, 'ES256', 'active'), next);
    for (const alg of signingAlgorithms) t.is(await countStates(db, alg), 'active next retiring');
  },
);

test.serial('the database refuses a second active key of an algorithm', async (t) => {
  const { db, keyring } = await start(t);
  await tendSigningKeys(db, keyring, plan);
  await t.throwsAsync(() => db('signing_keys').where({ alg: 'ES256' }).update({ state: 'active' }), {
    message: /signing_keys_active/,
  });
});
