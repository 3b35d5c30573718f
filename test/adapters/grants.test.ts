import test from 'ava';
import { errors } from 'oidc-provider';
import { newId } from '../../server/keys/identifiers.ts';
import { openTestDatabase } from '../_database.ts';
import { passTime, resetTime } from '../_time.ts';
import { asRequest, nowSeconds, openStores, race, randomText, type TestStores } from './_stores.ts';

const database = await openTestDatabase();
const { knex: db } = database;
let at: TestStores;

test.before(async () => {
  at = await openStores(db);
});
test.after.always(async () => {
  resetTime();
  await database[Symbol.asyncDispose]();
});

function payloadOf(id: string, clientId = 'app_1') {
  return {
    kind: 'Grant',
    jti: id,
    accountId: 'sub-1',
    clientId,
    openid: { scope: 'openid profile' },
    resources: { 'https://canary-api.example': 'canary-scope' },
  };
}

function open(uid: string, clientId = 'app_1'): Promise<string> {
  const id = newId('grn');
  return at.stores.grant.open(id, payloadOf(id, clientId), uid, 3600);
}

test.serial('saving a grant that was ended throws, and it is never found again', async (t) => {
  const adapter = at.factory('Grant');
  const uid = randomText();
  const id = await open(uid);
  t.deepEqual(await adapter.find(id), payloadOf(id));
  await adapter.destroy(id);
  await t.throwsAsync(async () => adapter.upsert(id, payloadOf(id), 3600), {
    instanceOf: errors.InvalidGrant,
  });
  await t.throwsAsync(() => at.stores.grant.open(id, payloadOf(id), uid, 3600), {
    instanceOf: errors.InvalidGrant,
  });
  t.is(await adapter.find(id), undefined);
  t.is(await at.stores.grant.findOfSession(uid, 'app_1'), undefined);
  await adapter.destroy(id);
  t.is(await adapter.find(id), undefined);
  t.is(Number((await db('grants').where({ id }).count())[0]?.['count']), 1, 'its tombstone stays');
});

test.serial('a save that races with the end of its grant does not revive it', async (t) => {
  const adapter = at.factory('Grant');
  for (let round = 0; round < 10; round += 1) {
    const id = await open(randomText());
    await race(4, async (index) =>
      index === 2 ? adapter.destroy(id) : asRequest(db, async () => adapter.upsert(id, payloadOf(id), 3600)),
    );
    t.is(await adapter.find(id), undefined);
  }
});

test.serial('of 20 tabs that open a grant at once, all end on the same one', async (t) => {
  const uid = randomText();
  const { won, lost } = await race(20, () => asRequest(db, () => open(uid)));
  t.deepEqual(lost, []);
  t.is(new Set(won).size, 1);
  t.is((await at.stores.grant.findOfSession(uid, 'app_1'))?.jti, won[0]);
  t.is((await db('grants').where({ subject: 'sub-1', id: won[0]! })).length, 1);
  t.not(await open(uid, 'app_2'), won[0], 'another client has its own');
  t.not(await open(randomText()), won[0], 'another session has its own');
});

test.serial('after a grant was ended, the session gets a new one with a new id', async (t) => {
  const uid = randomText();
  const first = await open(uid);
  await at.factory('Grant').destroy(first);
  const { won } = await race(10, () => asRequest(db, () => open(uid)));
  t.is(new Set(won).size, 1);
  t.not(won[0], first);
  t.is(await at.factory('Grant').find(first), undefined);
});

test.serial(
  'an expired grant is found with its end in the past until it is removed, and no session gets it',
  async (t) => {
    const uid = randomText();
    const id = await open(uid);
    await passTime(db, 3601);
    const found = await at.factory('Grant').find(id);
    t.is(found?.jti, id);
    t.true(Number(found?.exp) < nowSeconds() - 1000);
    t.is(await at.stores.grant.findOfSession(uid, 'app_1'), undefined);
  },
);

test.serial('a grant whose time is over does not stop its session from getting another', async (t) => {
  const uid = randomText();
  const old = await open(uid);
  await passTime(db, 3601);
  const next = await open(uid);
  t.not(next, old);
  t.is((await at.stores.grant.findOfSession(uid, 'app_1'))?.jti, next);
});

test.serial('no column of a grant shows what was granted', async (t) => {
  const id = await open(randomText());
  const row = await db('grants').where({ id }).first();
  for (const [column, value] of Object.entries(row ?? {})) {
    const bytes = Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value ?? null));
    t.false(bytes.includes('canary'), column);
    t.false(bytes.includes('profile'), column);
  }
  const other = await open(randomText());
  await db.raw('update grants set payload = (select payload from grants where id = ?) where id = ?', [
    id,
    other,
  ]);
  await t.throwsAsync(async () => at.factory('Grant').find(other));
});
