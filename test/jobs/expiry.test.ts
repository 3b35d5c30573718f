import { setTimeout as wait } from 'node:timers/promises';
import test from 'ava';
import { pino } from 'pino';
import { releaseLeases, takeLease } from '../../db/leases.ts';
import { modelTableOf, type ModelName } from '../../adapters/oidc/model-store.ts';
import { createExpiryJob, runOnce } from '../../server/jobs/expiry.ts';
import { startJobs } from '../../server/jobs/jobs.ts';
import { idHash } from '../../server/keys/hash.ts';
import { newId, newSecret } from '../../server/keys/identifiers.ts';
import { openTestDatabase } from '../_database.ts';
import { passTime, resetTime } from '../_time.ts';
import { nowSeconds, openStores, race, randomText, type TestStores } from '../adapters/_stores.ts';

const silent = pino({ level: 'silent' });
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

interface Session {
  uid: string;
  jti: string;
  accountId?: string;
  authorizations?: Record<string, { persistsLogout?: boolean }>;
  loginAccount(details: { accountId: string }): void;
  ensureClientContainer(clientId: string): void;
  grantIdFor(clientId: string, grantId: string): void;
  save(ttl: number): Promise<unknown>;
  destroy(): Promise<void>;
}

async function signIn(ttl: number): Promise<Session> {
  const session = (at.provider.Session as unknown as { instantiate(): Session }).instantiate();
  session.loginAccount({ accountId: `sub-${randomText()}` });
  await session.save(ttl);
  return session;
}

async function grantOf(session: Session, clientId: string, persistsLogout = false): Promise<string> {
  const id = newId('grn');
  const payload = { kind: 'Grant', jti: id, accountId: session.accountId!, clientId };
  await at.stores.grant.open(id, payload, session.uid, 100 * 86_400);
  session.ensureClientContainer(clientId);
  session.grantIdFor(clientId, id);
  if (persistsLogout) session.authorizations![clientId]!.persistsLogout = true;
  return id;
}

async function store(model: ModelName, seconds: number): Promise<string> {
  const kinds: Partial<Record<ModelName, string>> = {
    AccessToken: newSecret('accessToken'),
    AuthorizationCode: newSecret('authorizationCode'),
    RefreshToken: newSecret('refreshToken'),
    ClientCredentials: newSecret('clientCredentials'),
  };
  const id = kinds[model] ?? randomText();
  await at.factory(model).upsert(id, { kind: model, jti: id, exp: nowSeconds() + seconds }, seconds);
  return id;
}

async function isThere(model: ModelName, id: string): Promise<boolean> {
  const { rows } = await db.raw<{ rows: unknown[] }>(
    `select 1 from ${modelTableOf[model]} where id_hash = ?`,
    [idHash(model, id)],
  );
  return rows.length > 0;
}

async function sessionRow(session: Session) {
  return db('sessions')
    .where({ uid_hash: idHash('session', session.uid) })
    .first();
}

test.serial(
  'what is not over stays: live rows, spent ones, and those that expired a moment ago',
  async (t) => {
    const models = Object.keys(modelTableOf) as ModelName[];
    const live = await Promise.all(models.map(async (model) => [model, await store(model, 3600)] as const));
    const spent = await store('RefreshToken', 3600);
    await at.factory('RefreshToken').consume(spent);
    const code = await store('AuthorizationCode', 60);
    await at.factory('AuthorizationCode').consume(code);
    const interaction = await store('Interaction', 60);
    await passTime(db, 3500);
    await runOnce(db, at.grants);
    for (const [model, id] of live) t.true(await isThere(model, id), model);
    t.true(await isThere('RefreshToken', spent), 'its reuse ends the family');
    t.true(await isThere('AuthorizationCode', code), 'its reuse ends the grant');
    t.true(await isThere('Interaction', interaction), 'the Back button is answered');
    await passTime(db, 200);
    await runOnce(db, at.grants);
    t.true(await isThere('RefreshToken', spent), 'a request may still hold what expired a moment ago');
  },
);

test.serial('what is over leaves: every model, one-time ids, links, handles and grants', async (t) => {
  const models = Object.keys(modelTableOf) as ModelName[];
  const stored = await Promise.all(models.map(async (model) => [model, await store(model, 60)] as const));
  const spent = await store('RefreshToken', 60);
  await at.factory('RefreshToken').consume(spent);
  const forever = newId('grn');
  await at
    .factory('Grant')
    .upsert(forever, { jti: forever, accountId: 'sub', clientId: 'app_1' }, 400 * 86_400);
  const short = newId('grn');
  await at.factory('Grant').upsert(short, { jti: short, accountId: 'sub', clientId: 'app_1' }, 60);
  await db.raw(`insert into replay_detections values (?, now() + interval '1 minute')`, [
    Buffer.from('replay'),
  ]);
  await db.raw(`insert into revoked_handles values (?, now() + interval '1 minute')`, [
    Buffer.from('handle'),
  ]);
  await db.raw(
    `insert into one_time_secrets (id_hash, purpose, expires_at) values (?, 'setup', now() + interval '1 minute')`,
    [Buffer.from('link')],
  );
  await passTime(db, 60 + 86_400 + 5);
  const removed = await runOnce(db, at.grants);
  for (const [model, id] of stored) t.false(await isThere(model, id), model);
  t.false(await isThere('RefreshToken', spent));
  t.deepEqual(await db('grants').whereIn('id', [forever, short]).pluck('id'), [forever]);
  for (const table of ['replay_detections', 'revoked_handles', 'one_time_secrets']) {
    t.is((await db(table as 'grants')).length, 0, table);
    t.is(removed[table], 1, table);
  }
  t.true(
    Object.values(await runOnce(db, at.grants)).every((count) => count === 0),
    'a second turn finds nothing',
  );
});

test.serial('an initial access token without an end stays', async (t) => {
  const id = randomText();
  const store = at.factory('InitialAccessToken') as unknown as {
    upsert(id: string, payload: object, expiresIn: undefined): Promise<void>;
  };
  await store.upsert(id, { kind: 'InitialAccessToken', jti: id }, undefined);
  await passTime(db, 400 * 86_400);
  await runOnce(db, at.grants);
  t.true(await isThere('InitialAccessToken', id));
});

test.serial('a session whose time is over ends with its grants, except those that outlive it', async (t) => {
  const session = await signIn(600);
  const [plain, offline] = [await grantOf(session, 'app_plain'), await grantOf(session, 'app_offline', true)];
  await session.save(600);
  const other = await signIn(7200);
  const kept = await grantOf(other, 'app_plain');
  await other.save(7200);
  await passTime(db, 599);
  await runOnce(db, at.grants);
  t.is((await sessionRow(session))?.ended_at, null);
  t.truthy(await at.factory('Grant').find(plain));

  await passTime(db, 2);
  t.is((await runOnce(db, at.grants))['sessions'], 1);
  t.like(await sessionRow(session), { end_reason: 'expired' });
  t.truthy((await sessionRow(session))?.ended_at);
  t.is((await sessionRow(other))?.ended_at, null);
  t.is(await at.factory('Grant').find(plain), undefined);
  t.truthy(await at.factory('Grant').find(offline));
  t.truthy(await at.factory('Grant').find(kept));
  t.is((await db('grants').where({ id: plain }).first())?.end_reason, 'session_expired');
  t.is((await db('revoked_handles')).length, 1, 'the handle of its JWTs is listed');
});

test.serial(
  'tombstones of sessions and grants stay as long as a request could hold what they stand for',
  async (t) => {
    const session = await signIn(3600);
    const grant = await grantOf(session, 'app_plain');
    await session.save(3600);
    await session.destroy();
    await runOnce(db, at.grants);
    t.truthy((await sessionRow(session))?.ended_at);
    await passTime(db, 3600 + 3000);
    await runOnce(db, at.grants);
    t.truthy((await sessionRow(session))?.ended_at, 'an hour more than its life');
    t.is((await sessionRow(session))?.end_reason, 'signed_out', 'and it does not end a second time');
    t.truthy((await db('grants').where({ id: grant }).first())?.ended_at);

    await passTime(db, 700);
    await runOnce(db, at.grants);
    const where = { uid_hash: idHash('session', session.uid) };
    t.is(await sessionRow(session), undefined);
    t.deepEqual(await db('session_ids').where(where), []);
    t.deepEqual(await db('session_clients').where(where), []);
    t.truthy(
      (await db('grants').where({ id: grant }).first())?.ended_at,
      'a grant has a longer life of its own',
    );
  },
);

test.serial('the job goes on until nothing is left, and two at once do not disturb each other', async (t) => {
  await db.raw(
    `insert into replay_detections select decode(lpad(to_hex(n), 64, '0'), 'hex'), now() - interval '1 minute'
     from generate_series(1, 2500) as n`,
  );
  const job = () => createExpiryJob(db, at.grants, silent, () => undefined).run();
  const { lost } = await race(2, job);
  t.deepEqual(lost, []);
  t.is((await db('replay_detections' as 'grants')).length, 0);
});

test.serial(
  'of two that want a lease at once one gets it, keeps it while it renews, and the other follows when it ends',
  async (t) => {
    for (let round = 0; round < 10; round += 1) {
      const name = `job-${round}`;
      const { won } = await race(10, (index) => takeLease(db, name, `node-${index}`, 60));
      t.is(won.filter(Boolean).length, 1);
    }
    t.true(await takeLease(db, 'turns', 'node-a', 60));
    t.false(await takeLease(db, 'turns', 'node-b', 60));
    await passTime(db, 50);
    t.true(await takeLease(db, 'turns', 'node-a', 60));
    await passTime(db, 50);
    t.false(await takeLease(db, 'turns', 'node-b', 60));
    await passTime(db, 11);
    t.true(await takeLease(db, 'turns', 'node-b', 60));
    t.false(await takeLease(db, 'turns', 'node-a', 60));
    await releaseLeases(db, 'node-a');
    t.false(await takeLease(db, 'turns', 'node-a', 60), 'a node gives up only what is its own');
    await releaseLeases(db, 'node-b');
    t.true(await takeLease(db, 'turns', 'node-a', 60));
  },
);

test.serial(
  'one of two nodes runs a job, a failure does not end its turns, and the lease is given up at the stop',
  async (t) => {
    const runs = { a: 0, b: 0 };
    const job = (node: 'a' | 'b') => ({
      name: 'counted',
      everySeconds: 0.05,
      leaseSeconds: 60,
      run: async () => {
        runs[node] += 1;
        throw new Error('it failed');
      },
    });
    const [a, b] = [
      startJobs(db, silent, [job('a')], () => undefined),
      startJobs(db, silent, [job('b')], () => undefined),
    ];
    const both = new AsyncDisposableStack();
    both.use(a);
    both.use(b);
    const until = performance.now() + 5000;
    while (runs.a + runs.b < 4 && performance.now() < until) await wait(20);
    t.true(runs.a + runs.b >= 4);
    t.is(Math.min(runs.a, runs.b), 0, JSON.stringify(runs));
    await both.disposeAsync();
    t.deepEqual(await db('leases').where({ name: 'counted' }), []);
  },
);
