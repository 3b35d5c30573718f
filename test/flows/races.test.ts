/**
 * Requests at the same time over HTTP: tabs, retries, sign-out. Each race runs ROUNDS times (20), on either database.
 */
import { ServerResponse } from 'node:http';
import test from 'ava';
import { startTestApp, type TestApp } from '../_app.ts';
import {
  addClient,
  defects,
  errorOf,
  openStep,
  revoke,
  signIn,
  signInForTokens,
  signOut,
  submit,
} from '../_browserless.ts';
import {
  authorizeUrl,
  cookieHeader,
  type Jar,
  newJar,
  type Reply,
  redeem,
  refresh,
  request,
  type TestClient,
  userinfo,
  walk,
} from '../_walk.ts';

const ROUNDS = Number(process.env['ROUNDS'] ?? 20);
const callback = 'https://shop.test/callback';

let app: TestApp;
let person: Awaited<ReturnType<TestApp['createPerson']>>;
let shop: TestClient;
let blog: TestClient;
let spa: TestClient;

test.before(async () => {
  app = await startTestApp();
  person = await app.createPerson();
  shop = await addClient(app, { kind: 'web', redirectUris: [callback], firstParty: true });
  blog = await addClient(app, {
    kind: 'web',
    name: 'Blog',
    redirectUris: ['https://blog.test/callback'],
    firstParty: true,
  });
  spa = await addClient(app, { kind: 'spa', name: 'Spa', redirectUris: [callback], firstParty: true });
});
test.after.always(async () => app?.[Symbol.asyncDispose]());
test.afterEach((t) => t.deepEqual(defects(app), []));

async function inRounds(work: (round: number) => Promise<void>): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) await work(round);
}

/** A tab has its own cookies of the journey; the session's are shared by taking a copy now and the newest later. */
const tabOf = (jar: Jar): Jar => ({ cookies: [...jar.cookies] });

const times = <T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => work(index)));

/** Lets the other request get some way ahead, differently in each round: not at all, then up to 20 ms. */
const stagger = (round: number) => new Promise((resolve) => setTimeout(resolve, (round % 6) * 4));

async function grantsOf(client: TestClient): Promise<number> {
  return (await app.db('grants').where({ client_id: client.id }).whereNull('ended_at')).length;
}

test.serial(
  `of 50 parallel redemptions of one code exactly one succeeds, and it is dead afterwards`,
  async (t) => {
    const jar = newJar();
    await signIn(app, jar, shop, person);
    await inRounds(async () => {
      const code = (await signIn(app, jar, shop, undefined)).get('code');
      const replies = await times(50, () => redeem(app, shop, code));
      const won = replies.filter(({ status }) => status === 200);
      t.is(won.length, 1);
      t.true(
        replies.every(
          ({ status, json }) => status === 200 || (status === 400 && json['error'] === 'invalid_grant'),
        ),
      );
      // Who came second may have stolen it, so the first loses what it got (RFC 6749 section 4.1.2).
      t.is((await userinfo(app, won[0]?.json['access_token'])).status, 401);
    });
  },
);

test.serial('two clients at once on one session: every token lives', async (t) => {
  await inRounds(async () => {
    const jar = newJar();
    await openAccount(jar);
    const answers = await Promise.all([
      signInForTokens(app, tabOf(jar), shop, undefined),
      signInForTokens(app, tabOf(jar), blog, undefined),
    ]);
    for (const [index, { access_token, refresh_token }] of answers.entries()) {
      t.is((await userinfo(app, access_token)).status, 200);
      t.is((await refresh(app, index === 0 ? shop : blog, refresh_token)).status, 200);
    }
  });
});

/** Signs in at the server's own pages, so that no client is known to the session yet. */
async function openAccount(jar: Jar): Promise<void> {
  const step = await openStep(jar, `${app.url}/account`);
  const reply = await submit(jar, step, 'sign-in', { ...person });
  const account = await openStep(jar, new URL(String(reply.headers.get('location')), app.url).href);
  if (!account.url.endsWith('/account')) throw new Error(`not signed in: ${account.url}`);
}

test.serial('two tabs of one client at once: every token lives, under one grant', async (t) => {
  await inRounds(async () => {
    const jar = newJar();
    await openAccount(jar);
    const before = await grantsOf(shop);
    const answers = await times(3, () => signInForTokens(app, tabOf(jar), shop, undefined));
    for (const { access_token, refresh_token } of answers) {
      t.is((await userinfo(app, access_token)).status, 200);
      t.is((await refresh(app, shop, refresh_token)).status, 200);
    }
    t.is((await grantsOf(shop)) - before, 1);
    const sids = answers.map(
      ({ id_token }) => JSON.parse(Buffer.from(String(id_token.split('.')[1]), 'base64url').toString()).sid,
    );
    t.is(new Set(sids).size, 1);
  });
});

test.serial('two tabs that sign in at once, from two journeys, are both answered', async (t) => {
  await inRounds(async () => {
    const jar = newJar();
    const [one, two] = [
      await openStep(jar, authorizeUrl(app, shop)),
      await openStep(jar, authorizeUrl(app, blog)),
    ];
    const tabs = [tabOf(jar), tabOf(jar)];
    const sent = await Promise.all([
      submit(tabs[0]!, one, 'sign-in', { ...person }),
      submit(tabs[1]!, two, 'sign-in', { ...person }),
    ]);
    const ends = await Promise.all(
      sent.map((reply, index) =>
        request(tabs[index]!, new URL(String(reply.headers.get('location')), app.url).href),
      ),
    );
    const codes = ends.map((end) => codeOf(end));
    for (const [index, code] of codes.entries()) {
      // Either it has its code, or it starts over at a page of ours; never a code that is dead.
      if (!code) {
        t.true(ends[index]!.status < 500);
        continue;
      }
      const { json, status } = await redeem(app, index === 0 ? shop : blog, code);
      t.is(status, 200);
      t.is((await userinfo(app, json['access_token'])).status, 200);
    }
    t.true(codes.some((code) => code !== undefined));
  });
});

function codeOf(reply: Reply): string | undefined {
  const location = reply.headers.get('location');
  return (location && new URL(location, app.url).searchParams.get('code')) || undefined;
}

/** Asks with the old cookie after the sign-out was answered: nothing may come of it, whatever the other tab did meanwhile. */
async function showsNoLife(cookie: string): Promise<string[]> {
  const wrong: string[] = [];
  const jar = {
    cookies: cookie.split('; ').map((pair) => ({
      name: pair.slice(0, pair.indexOf('=')),
      value: pair.slice(pair.indexOf('=') + 1),
      path: '/',
    })),
  };
  const silent = await request(tabOf(jar), authorizeUrl(app, shop, { prompt: 'none' }));
  if (errorOf(silent) !== 'login_required')
    wrong.push(`/auth: ${silent.status} ${silent.headers.get('location')}`);
  const account = await request(tabOf(jar), `${app.url}/account`);
  if (account.status !== 303) wrong.push(`/account: ${account.status}`);
  return wrong;
}

/** Where the answers lead, in the order in which they leave the server. */
function watchAnswers(): Disposable & { locations: string[] } {
  const { writeHead } = ServerResponse.prototype;
  const locations: string[] = [];
  ServerResponse.prototype.writeHead = function (this: ServerResponse, ...given: never[]) {
    locations.push(String(this.getHeader('location')));
    return Reflect.apply(writeHead, this, given);
  };
  return {
    locations,
    [Symbol.dispose]() {
      ServerResponse.prototype.writeHead = writeHead;
    },
  };
}

for (const [order, first] of [
  ['after the sign-out was sent', 'sign-out'],
  ['before the sign-out was sent', 'auth'],
] as const) {
  test.serial(`an /auth that began ${order} does not revive the session`, async (t) => {
    let raced = 0;
    await inRounds(async (round) => {
      const jar = newJar();
      await openAccount(jar);
      if (round % 3 === 0) await signIn(app, jar, shop, undefined);
      const account = await openStep(jar, `${app.url}/account`);
      const cookie = cookieHeader(jar, `${app.url}/auth`);
      const tabs = Array.from({ length: 4 }, () => tabOf(jar));
      const leave = () => submit(tabOf(jar), account, '/account/sign-out');
      const visit = () =>
        Promise.all(tabs.map((tab, index) => request(tab, authorizeUrl(app, index % 2 ? blog : shop))));
      using answers = watchAnswers();
      const [left, visits] =
        first === 'sign-out'
          ? await Promise.all([leave(), stagger(round).then(visit)])
          : await Promise.all([stagger(round).then(leave), visit()]);
      t.is(left.status, 303);
      const answered = answers.locations.indexOf(String(left.headers.get('location')));
      t.not(answered, -1);
      const late = answers.locations.slice(answered).filter((location) => location.includes('code='));
      t.deepEqual(late, [], 'no code leaves after the sign-out was answered');
      const codes = visits.map(codeOf);
      raced += codes.filter(Boolean).length;
      // A code that left before the sign-out is answered by its grant, which the sign-out has ended.
      for (const [index, code] of codes.entries()) {
        if (!code) continue;
        const reply = await redeem(app, index % 2 ? blog : shop, code);
        t.is(
          reply.json['error'],
          'invalid_grant',
          `a code of the ended session was redeemed in round ${round}`,
        );
      }
      t.deepEqual(await showsNoLife(cookie), []);
      for (const tab of tabs) {
        const after = cookieHeader(tab, `${app.url}/auth`);
        if (after !== cookie)
          t.deepEqual(await showsNoLife(after), [], 'nor under an id that a tab was given');
      }
    });
    t.log(`${raced} codes left before the sign-out`);
  });
}

test.serial('a resume that races the sign-out gives no living code', async (t) => {
  await inRounds(async (round) => {
    const jar = newJar();
    await openAccount(jar);
    const step = await openStep(jar, authorizeUrl(app, shop, { prompt: 'login' }));
    const tab = tabOf(jar);
    const sent = await submit(tab, step, 'sign-in', { ...person });
    const resume = new URL(String(sent.headers.get('location')), app.url).href;
    const account = await openStep(tabOf(jar), `${app.url}/account`);
    const [left, resumed] = await Promise.all([
      submit(tabOf(jar), account, '/account/sign-out'),
      stagger(round).then(() => request(tab, resume)),
    ]);
    t.true(left.status === 303 || left.status === 403);
    t.true(resumed.status < 500);
    const code = codeOf(resumed);
    const alive = (await request(tabOf(tab), `${app.url}/account`)).status === 200;
    const redeemed = code ? (await redeem(app, shop, code)).status : undefined;
    // Whoever came first: the person proved who they are again, or the session is over. Never half of it.
    if (code) t.is(redeemed === 200, alive, `round ${round}`);
    t.is(
      (await request(tabOf(jar), `${app.url}/account`)).status,
      303,
      'the old cookie is worthless either way',
    );
  });
});

test.serial('20 parallel refreshes of a public client get one successor', async (t) => {
  const jar = newJar();
  await signIn(app, jar, spa, person);
  let { refresh_token: token } = await signInForTokens(app, jar, spa, undefined);
  await inRounds(async () => {
    const replies = await times(20, () => refresh(app, spa, token));
    t.deepEqual([...new Set(replies.map(({ status }) => status))], [200]);
    const successors = [...new Set(replies.map(({ json }) => String(json['refresh_token'])))];
    t.is(successors.length, 1);
    t.not(successors[0], token);
    t.is((await userinfo(app, replies[7]?.json['access_token'])).status, 200);
    token = String(successors[0]);
  });
});

test.serial('20 parallel refreshes of a client with a secret all succeed and rotate nothing', async (t) => {
  const { refresh_token } = await signInForTokens(app, newJar(), shop, person);
  const replies = await times(20, () => refresh(app, shop, refresh_token));
  t.deepEqual([...new Set(replies.map(({ status }) => status))], [200]);
  t.deepEqual([...new Set(replies.map(({ json }) => json['refresh_token']))], [refresh_token]);
});

test.serial('revoking while the same token is refreshed ends revoked', async (t) => {
  const jar = newJar();
  await signIn(app, jar, spa, person);
  await inRounds(async (round) => {
    const client = round % 2 ? spa : shop;
    const { refresh_token, access_token } = await signInForTokens(app, jar, client, undefined);
    const [revoked, ...refreshed] = await Promise.all([
      stagger(round).then(() => revoke(app, refresh_token, client)),
      refresh(app, client, refresh_token),
      refresh(app, client, refresh_token),
    ]);
    t.is(revoked.status, 200);
    for (const token of [refresh_token, ...refreshed.map(({ json }) => json['refresh_token'])]) {
      if (token) t.is((await refresh(app, client, token)).json['error'], 'invalid_grant', `round ${round}`);
    }
    for (const token of [access_token, ...refreshed.map(({ json }) => json['access_token'])]) {
      if (token) t.is((await userinfo(app, token)).status, 401, `round ${round}`);
    }
  });
});

test.serial('a sign-out while tokens are refreshed leaves none of them alive', async (t) => {
  await inRounds(async (round) => {
    const jar = newJar();
    const { refresh_token } = await signInForTokens(app, jar, spa, person);
    const [left, ...refreshed] = await Promise.all([
      stagger(round).then(() => signOut(app, jar)),
      refresh(app, spa, refresh_token),
      refresh(app, spa, refresh_token),
    ]);
    t.is(left.status, 303);
    for (const { status, json } of refreshed) {
      t.true(status === 200 || json['error'] === 'invalid_grant');
      if (status !== 200) continue;
      t.is((await userinfo(app, json['access_token'])).status, 401);
      t.is((await refresh(app, spa, json['refresh_token'])).json['error'], 'invalid_grant');
    }
  });
});

test.serial('a step that is sent twice at once counts once', async (t) => {
  await inRounds(async () => {
    const jar = newJar();
    const step = await openStep(jar, authorizeUrl(app, shop));
    const replies = await times(3, () => submit(tabOf(jar), step, 'sign-in', { ...person }));
    t.true(replies.every(({ status }) => status < 500));
    const [resume] = replies
      .map((reply) => reply.headers.get('location'))
      .filter((location) => location !== null);
    const ends = await times(3, () => request(tabOf(jar), new URL(String(resume), app.url).href));
    const codes = ends.map(codeOf).filter((code) => code !== undefined);
    t.true(codes.length >= 1);
    const redeemed = await Promise.all(codes.map((code) => redeem(app, shop, code)));
    t.true(redeemed.some(({ status }) => status === 200));
    t.true(redeemed.every(({ status }) => status < 500));
  });
});

test.serial('a refusal of one journey does not touch another one', async (t) => {
  const other = await addClient(app, { kind: 'web', name: 'Other', redirectUris: ['https://other.test/cb'] });
  const jar = newJar();
  await openAccount(jar);
  const [refused, allowed] = [tabOf(jar), tabOf(jar)];
  const answers = await Promise.all([
    walk(refused, authorizeUrl(app, other, { prompt: 'consent' }), { deny: true }),
    walk(allowed, authorizeUrl(app, other, { prompt: 'consent' })),
  ]);
  t.is(answers[0].get('error'), 'access_denied');
  t.is((await redeem(app, other, answers[1].get('code'))).status, 200);
});

/** What a pool hands out, as far as it matters here. */
interface Pool {
  acquireConnection(): Promise<{ query(statement: { name?: string }, ...rest: unknown[]): unknown }>;
  releaseConnection(connection: object): Promise<void>;
}

/**
 * Runs `first` until it has read its answer to a named statement, then all of `second`, then the rest of `first`. The embedded
 * database has one connection, so requests that are only sent at once rarely meet there; here they meet every time.
 */
async function overlap<A, B>(
  statement: string,
  first: () => Promise<A>,
  second: () => Promise<B>,
): Promise<[A, B]> {
  const pool = app.db.client as Pool;
  const { acquireConnection, releaseConnection } = pool;
  const reached = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const asked = new WeakMap<object, string | undefined>();
  let waiting = true;
  pool.acquireConnection = async () => {
    const connection = await acquireConnection.call(pool);
    const query = connection.query.bind(connection);
    connection.query = (given, ...rest) => {
      asked.set(connection, given.name);
      return query(given, ...rest);
    };
    return connection;
  };
  pool.releaseConnection = async (connection) => {
    const name = asked.get(connection);
    asked.delete(connection);
    Reflect.deleteProperty(connection, 'query');
    await releaseConnection.call(pool, connection);
    if (!waiting || name !== statement) return;
    waiting = false;
    reached.resolve();
    await released.promise;
  };
  try {
    const held = first();
    await Promise.race([
      reached.promise,
      held.then((reply) =>
        Promise.reject(new Error(`it never asked ${statement}: ${JSON.stringify(reply)}`)),
      ),
    ]);
    const done = await second();
    released.resolve();
    return [await held, done];
  } finally {
    Object.assign(pool, { acquireConnection, releaseConnection });
    released.resolve();
  }
}

test.serial(
  'a code that is spent between the reading and the spending of another request is spent once',
  async (t) => {
    const code = (await signIn(app, newJar(), shop, person)).get('code');
    const [late, won] = await overlap(
      'authorization_codes_find',
      () => redeem(app, shop, code),
      () => redeem(app, shop, code),
    );
    t.is(won.status, 200);
    t.is(late.status, 400);
    t.is(late.json['error'], 'invalid_grant');
    t.is((await userinfo(app, won.json['access_token'])).status, 401, 'one of the two was not who they said');
    t.is((await refresh(app, shop, won.json['refresh_token'])).json['error'], 'invalid_grant');
  },
);

for (const statement of [
  'sessions_find_by_id',
  'accounts_find_by_subject',
  'grants_find_of_session',
  'consents_list',
]) {
  test.serial(
    `a sign-out just after another tab has asked ${statement} leaves that tab nothing`,
    async (t) => {
      for (const known of [true, false]) {
        for (const prompt of ['none', undefined]) {
          const jar = newJar();
          await openAccount(jar);
          if (known) await signIn(app, jar, shop, undefined);
          const cookie = cookieHeader(jar, `${app.url}/auth`);
          const account = await openStep(tabOf(jar), `${app.url}/account`);
          const tab = tabOf(jar);
          const [visited, left] = await overlap(
            statement,
            () => request(tab, authorizeUrl(app, shop, { prompt })),
            () => submit(tabOf(jar), account, '/account/sign-out'),
          );
          t.is(left.status, 303);
          t.true(visited.status < 400, `${visited.status}`);
          t.is(codeOf(visited), undefined, 'no code leaves');
          t.deepEqual(await showsNoLife(cookie), []);
          t.deepEqual(await showsNoLife(cookieHeader(tab, `${app.url}/auth`)), []);
        }
      }
    },
  );
}

test.serial('a resume whose session is ended under it ends on a page with a way on', async (t) => {
  const jar = newJar();
  await openAccount(jar);
  const ask = authorizeUrl(app, shop, { prompt: 'select_account' });
  const step = await openStep(jar, ask);
  const chosen = await submit(jar, step, 'account', { account: person.subject });
  const account = await openStep(tabOf(jar), `${app.url}/account`);
  const [resumed, left] = await overlap(
    'sessions_find_by_id',
    () => request(jar, new URL(String(chosen.headers.get('location')), app.url).href),
    () => submit(tabOf(jar), account, '/account/sign-out'),
  );
  t.is(left.status, 303);
  t.is(codeOf(resumed), undefined);
  t.true(resumed.status < 500);
  t.true(resumed.status === 303 || resumed.text.includes(`href="${app.url}/auth?`), 'start again');
});

test.serial('a client that joins a session while another one does is not forgotten', async (t) => {
  const jar = newJar();
  await openAccount(jar);
  const [one, two] = await overlap(
    'sessions_find_by_id',
    () => signInForTokens(app, tabOf(jar), shop, undefined),
    () => signInForTokens(app, tabOf(jar), blog, undefined),
  );
  for (const [client, { access_token, refresh_token }] of [
    [shop, one],
    [blog, two],
  ] as const) {
    t.is((await userinfo(app, access_token)).status, 200);
    t.is((await refresh(app, client, refresh_token)).status, 200);
  }
  await signOut(app, jar);
  for (const { access_token } of [one, two]) t.is((await userinfo(app, access_token)).status, 401);
});

test.serial('two tabs of one client that meet no grant end on the same one', async (t) => {
  const jar = newJar();
  await openAccount(jar);
  const before = await grantsOf(shop);
  const answers = await overlap(
    'grants_find_of_session',
    () => signInForTokens(app, tabOf(jar), shop, undefined),
    () => signInForTokens(app, tabOf(jar), shop, undefined),
  );
  t.is((await grantsOf(shop)) - before, 1);
  for (const { access_token, refresh_token } of answers) {
    t.is((await userinfo(app, access_token)).status, 200);
    t.is((await refresh(app, shop, refresh_token)).status, 200);
  }
});

test.serial('a refresh that meets another one gets the same successor', async (t) => {
  const { refresh_token } = await signInForTokens(app, newJar(), spa, person);
  const replies = await overlap(
    'refresh_tokens_find_with_successor',
    () => refresh(app, spa, refresh_token),
    () => refresh(app, spa, refresh_token),
  );
  t.deepEqual(
    replies.map(({ status }) => status),
    [200, 200],
  );
  t.is(replies[0].json['refresh_token'], replies[1].json['refresh_token']);
});

for (const statement of ['refresh_tokens_find_with_successor', 'grants_find']) {
  test.serial(`a refresh whose token is revoked after ${statement} gives nothing that lives`, async (t) => {
    for (const client of [shop, spa]) {
      const { refresh_token } = await signInForTokens(app, newJar(), client, person);
      const [{ json }, revoked] = await overlap(
        statement,
        () => refresh(app, client, refresh_token),
        () => revoke(app, refresh_token, client),
      );
      t.is(revoked.status, 200);
      if (json['access_token']) t.is((await userinfo(app, json['access_token'])).status, 401);
      for (const token of [refresh_token, json['refresh_token']]) {
        if (token) t.is((await refresh(app, client, token)).json['error'], 'invalid_grant');
      }
    }
  });
}
