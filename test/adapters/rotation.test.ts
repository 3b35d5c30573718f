import test from 'ava';
import { errors } from 'oidc-provider';
import { idHash } from '../../server/keys/hash.ts';
import { newSecret } from '../../server/keys/identifiers.ts';
import { decrypt } from '../../server/keys/key-encryption.ts';
import { openTestDatabase } from '../_database.ts';
import { passTime, resetTime } from '../_time.ts';
import { asRequest, nowSeconds, openStores, race, randomText, type TestStores } from './_stores.ts';

const database = await openTestDatabase();
const { knex: db } = database;
let graceful: TestStores;
let strict: TestStores;

test.before(async () => {
  graceful = await openStores(db, { graceSeconds: 10 });
  strict = await openStores(db, { graceSeconds: 0 });
});
test.after.always(async () => {
  resetTime();
  await database[Symbol.asyncDispose]();
});

function payloadOf(id: string, grantId: string) {
  return {
    kind: 'RefreshToken',
    jti: id,
    iat: nowSeconds(),
    exp: nowSeconds() + 3600,
    accountId: 'sub-1',
    clientId: 'app_1',
    grantId,
    scope: 'openid canary-scope',
  };
}

async function issue(at: TestStores, grantId = `grn_${randomText()}`): Promise<string> {
  const id = newSecret('refreshToken');
  await at.factory('RefreshToken').upsert(id, payloadOf(id, grantId), 3600);
  return id;
}

/** What the engine's refresh grant does with the store: find, refuse what was consumed, consume, save the successor. */
function rotate(at: TestStores, token: string): Promise<string> {
  return asRequest(db, async () => {
    const adapter = at.factory('RefreshToken');
    const found = await adapter.find(token);
    if (!found) throw new errors.InvalidGrant('refresh token not found');
    if (found.consumed) throw new errors.InvalidGrant('refresh token already used');
    await adapter.consume(token);
    return saveSuccessor(at, found.grantId!);
  });
}

async function saveSuccessor(at: TestStores, grantId: string): Promise<string> {
  const next = at.stores.refreshToken.successorOfRequest() ?? newSecret('refreshToken');
  await at.factory('RefreshToken').upsert(next, payloadOf(next, grantId), 3600);
  return next;
}

async function rowsOf(grantId: string): Promise<Record<string, unknown>[]> {
  const { rows } = await db.raw<{ rows: Record<string, unknown>[] }>(
    'select * from refresh_tokens where grant_id = ?',
    [grantId],
  );
  return rows;
}

test.serial('without a grace, one of 20 refreshes at once wins and the others are refused', async (t) => {
  const grantId = `grn_${randomText()}`;
  const token = await issue(strict, grantId);
  const { won, lost } = await race(20, () => rotate(strict, token));
  t.is(won.length, 1);
  t.is(lost.length, 19);
  for (const error of lost) t.true(error instanceof errors.InvalidGrant, String(error));
  t.is((await rowsOf(grantId)).length, 2);
  t.truthy((await strict.factory('RefreshToken').find(token))?.consumed);
});

test.serial('within the grace, 20 refreshes at once get one successor, and one row holds it', async (t) => {
  for (let round = 0; round < 5; round += 1) {
    const grantId = `grn_${randomText()}`;
    const token = await issue(graceful, grantId);
    const { won, lost } = await race(20, () => rotate(graceful, token));
    t.deepEqual(lost, []);
    t.is(new Set(won).size, 1);
    t.not(won[0], token);
    t.is((await rowsOf(grantId)).length, 2);
    t.truthy(await graceful.factory('RefreshToken').find(won[0]!));
  }
});

test.serial('20 that consume after all have read get one successor too', async (t) => {
  const grantId = `grn_${randomText()}`;
  const token = await issue(graceful, grantId);
  const adapter = graceful.factory('RefreshToken');
  const { won, lost } = await race(20, () =>
    // The read of the engine happened before anybody consumed: the statement that consumes has to decide alone.
    asRequest(db, async () => {
      await adapter.consume(token);
      return saveSuccessor(graceful, grantId);
    }),
  );
  t.deepEqual(lost, []);
  t.is(new Set(won).size, 1);
  t.is((await rowsOf(grantId)).length, 2);
});

test.serial('a retry within the grace gets the successor that the first answer carried', async (t) => {
  const token = await issue(graceful);
  const first = await rotate(graceful, token);
  await passTime(db, 8);
  t.is(await rotate(graceful, token), first);
});

test.serial('a rotation that is rolled back leaves the predecessor usable and no successor', async (t) => {
  const grantId = `grn_${randomText()}`;
  const token = await issue(graceful, grantId);
  await t.throwsAsync(() =>
    asRequest(db, async () => {
      await graceful.factory('RefreshToken').consume(token);
      await saveSuccessor(graceful, grantId);
      throw new Error('the answer could not be made');
    }),
  );
  t.is((await rowsOf(grantId)).length, 1);
  t.is((await graceful.factory('RefreshToken').find(token))?.consumed, undefined);
  t.truthy(await rotate(graceful, token));
});

test.serial(
  'after the successor was used, a retry of the predecessor finds nothing and ends nothing',
  async (t) => {
    const grantId = `grn_${randomText()}`;
    const token = await issue(graceful, grantId);
    const second = await rotate(graceful, token);
    const third = await rotate(graceful, second);
    const before = (await rowsOf(grantId)).length;
    t.is(await asRequest(db, async () => graceful.factory('RefreshToken').find(token)), undefined);
    await t.throwsAsync(() => asRequest(db, async () => graceful.factory('RefreshToken').consume(token)), {
      instanceOf: errors.InvalidGrant,
    });
    t.is((await rowsOf(grantId)).length, before);
    t.truthy(await graceful.factory('RefreshToken').find(third));
    t.truthy(await rotate(graceful, third));
  },
);

test.serial('after the grace, the predecessor is found as consumed, so that its reuse is seen', async (t) => {
  const token = await issue(graceful);
  const second = await rotate(graceful, token);
  await passTime(db, 11);
  const found = await asRequest(db, async () => graceful.factory('RefreshToken').find(token));
  t.true(Number(found?.consumed) > 0);
  await t.throwsAsync(() => asRequest(db, async () => graceful.factory('RefreshToken').consume(token)), {
    instanceOf: errors.InvalidGrant,
  });
  // Also when the successor was used meanwhile.
  await rotate(graceful, second);
  const later = await asRequest(db, async () => graceful.factory('RefreshToken').find(token));
  t.true(Number(later?.consumed) > 0);
});

test.serial('an expired predecessor gets no successor again, not even within the grace', async (t) => {
  const id = newSecret('refreshToken');
  const adapter = graceful.factory('RefreshToken');
  await adapter.upsert(id, payloadOf(id, 'grn_short'), 5);
  await rotate(graceful, id);
  await passTime(db, 6);
  const found = await asRequest(db, async () => adapter.find(id));
  t.truthy(found?.consumed);
  t.true(Number(found?.exp) < nowSeconds());
});

test.serial(
  "the predecessor's plaintext alone opens the successor: not its hash, nor another token",
  async (t) => {
    const grantId = `grn_${randomText()}`;
    const token = await issue(graceful, grantId);
    const successor = await rotate(graceful, token);
    const [row] = await db
      .raw<{ rows: { id_hash: Buffer; successor: Buffer; successor_hash: Buffer }[] }>(
        'select id_hash, successor, successor_hash from refresh_tokens where id_hash = ?',
        [idHash('RefreshToken', token)],
      )
      .then(({ rows }) => rows);
    t.deepEqual(row?.successor_hash, idHash('RefreshToken', successor));
    const { createHmac } = await import('node:crypto');
    const open = (secret: string | Buffer) =>
      decrypt(
        createHmac('sha256', secret).update('gatehouse/refresh-successor').digest(),
        'refresh_tokens.successor',
        row!.successor,
      ).toString();
    t.is(open(token), successor);
    for (const other of [
      row!.id_hash,
      row!.id_hash.toString('hex'),
      row!.successor_hash,
      newSecret('refreshToken'),
    ])
      t.throws(() => open(other));
  },
);

test.serial('a successor that was moved to another predecessor does not open', async (t) => {
  const [mine, other] = [await issue(graceful), await issue(graceful)];
  await rotate(graceful, mine);
  await rotate(graceful, other);
  await db.raw(
    'update refresh_tokens set successor = (select successor from refresh_tokens where id_hash = ?) where id_hash = ?',
    [idHash('RefreshToken', mine), idHash('RefreshToken', other)],
  );
  await t.throwsAsync(() => rotate(graceful, other));
});

test.serial(
  'nothing at rest holds the value of a token: no column, and no payload once opened',
  async (t) => {
    const grantId = `grn_${randomText()}`;
    const token = await issue(graceful, grantId);
    const successor = await rotate(graceful, token);
    const rows = await rowsOf(grantId);
    t.is(rows.length, 2);
    for (const row of rows) {
      for (const [column, value] of Object.entries(row)) {
        const bytes = Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value ?? null));
        for (const secret of [token, successor, 'canary-scope']) t.false(bytes.includes(secret), column);
      }
      const place = `refresh_tokens.payload|${(row['id_hash'] as Buffer).toString('hex')}`;
      const payload = graceful.keyring.open('payload', place, row['payload'] as Buffer).toString();
      t.true(payload.includes('canary-scope'));
      t.false('jti' in (JSON.parse(payload) as object));
      for (const secret of [token, successor]) t.false(payload.includes(secret));
    }
  },
);
