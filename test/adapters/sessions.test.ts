import test from 'ava';
import { SessionEnded } from '../../db/sessions.ts';
import { idHash } from '../../server/keys/hash.ts';
import { newId } from '../../server/keys/identifiers.ts';
import { grantHandle } from '../../server/keys/revocation-handles.ts';
import { runOnce } from '../../server/jobs/expiry.ts';
import { openTestDatabase } from '../_database.ts';
import { passTime, resetTime } from '../_time.ts';
import { asRequest, nowSeconds, openStores, race, randomText, type TestStores } from './_stores.ts';

const IDLE = 3600;
const ABSOLUTE = 86_400;

/** The engine's session, as far as these tests touch it. */
interface Session {
  uid: string;
  jti: string;
  exp: number;
  accountId?: string;
  loginTs?: number;
  acr?: string;
  state?: Record<string, unknown>;
  authorizations?: Record<string, { sid?: string; grantId?: string; persistsLogout?: boolean }>;
  loginAccount(details: { accountId: string; loginTs?: number; acr?: string }): void;
  resetIdentifier(): void;
  ensureClientContainer(clientId: string): void;
  sidFor(clientId: string): string | undefined;
  grantIdFor(clientId: string, grantId?: string): string | undefined;
  save(ttl: number): Promise<unknown>;
  destroy(): Promise<void>;
}

const database = await openTestDatabase();
const { knex: db } = database;
let at: TestStores;
let Sessions: {
  instantiate(payload?: object): Session;
  find(id: string): Promise<Session | undefined>;
  findByUid(uid: string): Promise<Session | undefined>;
};

test.before(async () => {
  at = await openStores(db, { absoluteSeconds: ABSOLUTE });
  Sessions = at.provider.Session as unknown as typeof Sessions;
});
test.after.always(async () => {
  resetTime();
  await database[Symbol.asyncDispose]();
});

async function load(id: string): Promise<Session> {
  const session = await Sessions.find(id);
  if (!session) throw new Error('the session is not there');
  return session;
}

async function anonymous(): Promise<Session> {
  const session = Sessions.instantiate();
  await session.save(IDLE);
  return session;
}

async function signedIn(accountId = `sub-${randomText()}`): Promise<Session> {
  const session = Sessions.instantiate();
  session.loginAccount({ accountId });
  await session.save(IDLE);
  return session;
}

function openGrant(session: Session, clientId: string): Promise<string> {
  const id = newId('grn');
  const payload = { kind: 'Grant', jti: id, accountId: session.accountId!, clientId };
  return at.stores.grant.open(id, payload, session.uid, 7200);
}

test.serial(
  'a session that was ended refuses a save, and none of its ids nor its uid finds it',
  async (t) => {
    const first = await signedIn();
    const other = await load(first.jti);
    other.resetIdentifier();
    await other.save(IDLE);
    const inFlight = await load(other.jti);
    t.truthy(await Sessions.find(first.jti));

    await (await load(first.jti)).destroy();

    inFlight.ensureClientContainer('app_late');
    await t.throwsAsync(() => inFlight.save(IDLE), { instanceOf: SessionEnded });
    await t.throwsAsync(() => asRequest(db, () => inFlight.save(IDLE)), { instanceOf: SessionEnded });
    t.is(await Sessions.find(first.jti), undefined);
    t.is(await Sessions.find(other.jti), undefined);
    t.is(await Sessions.findByUid(first.uid), undefined);
    inFlight.resetIdentifier();
    await t.throwsAsync(() => inFlight.save(IDLE), { instanceOf: SessionEnded });
    t.is(await Sessions.find(inFlight.jti), undefined, 'an id of a refused save is no way in');
    t.false(await isClientOf(first.uid, 'app_late'), 'a refused save writes nothing');
  },
);

test.serial('at sign-in the old id is worthless at once', async (t) => {
  const planted = await anonymous();
  const session = await load(planted.jti);
  session.resetIdentifier();
  session.loginAccount({ accountId: 'sub-victim' });
  await session.save(IDLE);
  t.is(await Sessions.find(planted.jti), undefined);
  t.is((await load(session.jti)).accountId, 'sub-victim');
  t.is(session.uid, planted.uid);
});

test.serial('at a sign-in of the same person again the old id is worthless at once too', async (t) => {
  const before = await signedIn('sub-again');
  const session = await load(before.jti);
  session.resetIdentifier();
  session.loginAccount({ accountId: 'sub-again', loginTs: nowSeconds() + 5 });
  await session.save(IDLE);
  t.is(await Sessions.find(before.jti), undefined);
  t.truthy(await Sessions.find(session.jti));
});

test.serial(
  'a change of id without a sign-in keeps the old one for the overlap, for a tab that is still sending it',
  async (t) => {
    const before = await signedIn();
    const session = await load(before.jti);
    session.resetIdentifier();
    await session.save(IDLE);
    t.truthy(await Sessions.find(before.jti));
    // A second tab does the same with the old id: both new ids live, and the overlap does not start anew.
    await passTime(db, 8);
    const tab = await load(before.jti);
    tab.resetIdentifier();
    await tab.save(IDLE);
    await passTime(db, 3);
    t.is(await Sessions.find(before.jti), undefined);
    t.truthy(await Sessions.find(session.jti));
    t.truthy(await Sessions.find(tab.jti));
  },
);

test.serial('two people who sign in at once on one session do not share it', async (t) => {
  const planted = await anonymous();
  const [mallory, alice] = [await load(planted.jti), await load(planted.jti)];
  mallory.resetIdentifier();
  mallory.loginAccount({ accountId: 'sub-mallory' });
  await mallory.save(IDLE);
  alice.resetIdentifier();
  alice.loginAccount({ accountId: 'sub-alice' });
  await t.throwsAsync(() => alice.save(IDLE), { instanceOf: SessionEnded });
  t.is((await load(mallory.jti)).accountId, 'sub-mallory');
  t.is(await Sessions.find(alice.jti), undefined);
});

test.serial(
  'a tab that loaded the session before somebody else signed in adds nothing to theirs',
  async (t) => {
    const session = await signedIn('sub-one');
    const tab = await load(session.jti);
    const other = await load(session.jti);
    other.resetIdentifier();
    other.loginAccount({ accountId: 'sub-two' });
    await other.save(IDLE);
    tab.ensureClientContainer('app_of_one');
    await t.throwsAsync(() => tab.save(IDLE), { instanceOf: SessionEnded });
    const now = await load(other.jti);
    t.is(now.accountId, 'sub-two');
    t.is(now.sidFor('app_of_one'), undefined);
  },
);

test.serial('a tab that loaded the session before the sign-in does not undo it', async (t) => {
  const session = await anonymous();
  const [tab, signing] = [await load(session.jti), await load(session.jti)];
  signing.resetIdentifier();
  signing.loginAccount({ accountId: 'sub-alice', acr: 'phr' });
  await signing.save(IDLE);
  await tab.save(IDLE);
  const now = await load(signing.jti);
  t.is(now.accountId, 'sub-alice');
  t.is(now.loginTs, signing.loginTs);
  t.is(now.acr, 'phr');
});

test.serial('a tab that loaded the session before a step-up does not take it back', async (t) => {
  const session = await signedIn('sub-step');
  const [tab, stepping] = [await load(session.jti), await load(session.jti)];
  stepping.loginAccount({ accountId: 'sub-step', loginTs: nowSeconds() + 30, acr: 'phr' });
  await stepping.save(IDLE);
  tab.ensureClientContainer('app_tab');
  await tab.save(IDLE);
  const now = await load(session.jti);
  t.is(now.loginTs, stepping.loginTs);
  t.is(now.acr, 'phr');
  t.truthy(now.sidFor('app_tab'));
});

test.serial('one person who signs in in two tabs at once has both', async (t) => {
  const session = await anonymous();
  const tabs = [await load(session.jti), await load(session.jti)];
  for (const tab of tabs) {
    tab.resetIdentifier();
    tab.loginAccount({ accountId: 'sub-both' });
    await tab.save(IDLE);
  }
  for (const tab of tabs) t.is((await load(tab.jti)).accountId, 'sub-both');
  t.is(await Sessions.find(session.jti), undefined);
});

test.serial('two overlapping loads that each add a client keep both', async (t) => {
  const session = await signedIn();
  const [left, right] = [await load(session.jti), await load(session.jti)];
  for (const [tab, client] of [
    [left, 'app_left'],
    [right, 'app_right'],
  ] as const) {
    tab.ensureClientContainer(client);
    tab.grantIdFor(client, `grn_${client}`);
  }
  await Promise.all([left.save(IDLE), right.save(IDLE)]);
  const now = await load(session.jti);
  t.is(now.grantIdFor('app_left'), 'grn_app_left');
  t.is(now.grantIdFor('app_right'), 'grn_app_right');
});

test.serial('20 overlapping loads that each add a client keep all', async (t) => {
  const session = await signedIn();
  const tabs = await Promise.all(Array.from({ length: 20 }, () => load(session.jti)));
  const { lost } = await race(20, (index) => {
    tabs[index]!.ensureClientContainer(`app_${index}`);
    return asRequest(db, () => tabs[index]!.save(IDLE));
  });
  t.deepEqual(lost, []);
  t.is(Object.keys((await load(session.jti)).authorizations ?? {}).length, 20);
});

test.serial('what one tab removed is not brought back by another that changes something else', async (t) => {
  const session = await signedIn();
  for (const client of ['app_a', 'app_b', 'app_c']) session.ensureClientContainer(client);
  await session.save(IDLE);
  const [removing, changing] = [await load(session.jti), await load(session.jti)];
  delete removing.authorizations!['app_a'];
  changing.grantIdFor('app_b', 'grn_new');
  changing.ensureClientContainer('app_d');
  await removing.save(IDLE);
  await changing.save(IDLE);
  const { authorizations } = await load(session.jti);
  t.deepEqual(Object.keys(authorizations ?? {}).sort(), ['app_b', 'app_c', 'app_d']);
  t.is(authorizations?.['app_b']?.grantId, 'grn_new');
});

test.serial('a second save of one load writes only what changed since the first', async (t) => {
  const session = await signedIn();
  const tab = await load(session.jti);
  tab.ensureClientContainer('app_a');
  await tab.save(IDLE);
  const other = await load(session.jti);
  delete other.authorizations!['app_a'];
  await other.save(IDLE);
  tab.ensureClientContainer('app_b');
  await tab.save(IDLE);
  t.deepEqual(Object.keys((await load(session.jti)).authorizations ?? {}), ['app_b']);
});

test.serial(
  'two tabs that meet a client for the first time agree on its sid, and no two sessions share one',
  async (t) => {
    const session = await signedIn();
    const [left, right] = [await load(session.jti), await load(session.jti)];
    left.ensureClientContainer('app_a');
    right.ensureClientContainer('app_a');
    t.truthy(left.sidFor('app_a'));
    t.is(left.sidFor('app_a'), right.sidFor('app_a'));
    left.ensureClientContainer('app_b');
    t.not(left.sidFor('app_a'), left.sidFor('app_b'));
    const stranger = await signedIn();
    stranger.ensureClientContainer('app_a');
    t.not(stranger.sidFor('app_a'), left.sidFor('app_a'));
    await left.save(IDLE);
    const later = await load(session.jti);
    later.ensureClientContainer('app_a');
    t.is(later.sidFor('app_a'), left.sidFor('app_a'));
  },
);

test.serial('a session ends after idling, and use keeps it', async (t) => {
  const session = await signedIn();
  await passTime(db, IDLE - 60);
  await (await load(session.jti)).save(IDLE);
  await passTime(db, IDLE - 60);
  const used = await load(session.jti);
  t.true(used.exp > nowSeconds() && used.exp <= nowSeconds() + 61);
  await passTime(db, 61);
  t.is(await Sessions.find(session.jti), undefined);
  t.is(await Sessions.findByUid(session.uid), undefined);
});

test.serial('a session ends a fixed time after the sign-in, however much it is used', async (t) => {
  const session = await signedIn();
  await session.save(2 * IDLE);
  for (let hour = 0; hour < 23; hour += 1) {
    await passTime(db, 3600);
    await (await load(session.jti)).save(2 * IDLE);
  }
  await passTime(db, 3600 + 1);
  t.is(await Sessions.find(session.jti), undefined);
  t.is(await Sessions.findByUid(session.uid), undefined);
});

test.serial('a new sign-in starts a new absolute life', async (t) => {
  const session = await signedIn('sub-long');
  await passTime(db, 3000);
  const again = await load(session.jti);
  again.loginAccount({ accountId: 'sub-long', loginTs: nowSeconds() });
  await again.save(2 * ABSOLUTE);
  await passTime(db, ABSOLUTE - 60);
  t.truthy(await Sessions.find(session.jti));
  await passTime(db, 61);
  t.is(await Sessions.find(session.jti), undefined);
});

test.serial(
  'ending a session ends its grants, except those that outlive it, and lists their handles',
  async (t) => {
    const session = await signedIn();
    const stranger = await signedIn();
    const [plain, offline, foreign] = [
      await openGrant(session, 'app_plain'),
      await openGrant(session, 'app_offline'),
      await openGrant(stranger, 'app_plain'),
    ];
    for (const [client, grant] of [
      ['app_plain', plain],
      ['app_offline', offline],
    ] as const) {
      session.ensureClientContainer(client);
      session.grantIdFor(client, grant);
    }
    session.authorizations!['app_offline']!.persistsLogout = true;
    await session.save(IDLE);
    t.deepEqual(await isRevoked(plain, offline, foreign), [false, false, false]);

    await (await load(session.jti)).destroy();

    t.is(await at.factory('Grant').find(plain), undefined);
    t.truthy(await at.factory('Grant').find(offline));
    t.truthy(await at.factory('Grant').find(foreign));
    t.deepEqual(await isRevoked(plain, offline, foreign), [true, false, false]);
    // A token of the grant lives at most a day; its handle outlives it.
    await passTime(db, 86_400);
    t.deepEqual(await isRevoked(plain), [true]);
    await runOnce(db, at.grants);
    t.deepEqual(await isRevoked(plain), [true]);
    await passTime(db, 400);
    await runOnce(db, at.grants);
    t.deepEqual(await isRevoked(plain), [false]);
  },
);

test.serial('no column of a session shows its ids, its uid or its payload', async (t) => {
  const session = Sessions.instantiate();
  session.loginAccount({ accountId: 'sub-quiet' });
  session.state = { secret: `canary-${randomText()}` };
  session.ensureClientContainer('app_a');
  await session.save(IDLE);
  t.deepEqual((await load(session.jti)).state, session.state);
  const rows = [
    await db('sessions').where({ uid_hash: idHash('session', session.uid) }),
    await db('session_ids').where({ uid_hash: idHash('session', session.uid) }),
    await db('session_clients').where({ uid_hash: idHash('session', session.uid) }),
  ].flat();
  t.is(rows.length, 3);
  for (const row of rows) {
    for (const [column, value] of Object.entries(row)) {
      const bytes = Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value ?? null));
      for (const secret of [session.jti, session.uid, String(session.state['secret'])])
        t.false(bytes.includes(secret), column);
    }
  }
});

test.serial("a session's payload that was moved to another does not open", async (t) => {
  const [mine, other] = [await signedIn(), await signedIn()];
  await db.raw(
    'update sessions set payload = (select payload from sessions where uid_hash = ?) where uid_hash = ?',
    [idHash('session', mine.uid), idHash('session', other.uid)],
  );
  await t.throwsAsync(() => Sessions.find(other.jti));
});

async function isClientOf(uid: string, clientId: string): Promise<boolean> {
  const row = await db('session_clients')
    .where({ uid_hash: idHash('session', uid), client_id: clientId })
    .first();
  return row !== undefined;
}

async function isRevoked(...grantIds: string[]): Promise<boolean[]> {
  const listed = await db('revoked_handles').select('handle');
  return grantIds.map((id) => {
    const handle = grantHandle(at.secrets.revocationKey, id, 1);
    return listed.some((row) => handle.equals(row.handle));
  });
}
