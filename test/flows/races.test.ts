/** Two tabs, two clients, and a sign-out in between: what the engine would lose or revive, and this store must not. */
import test from 'ava';
import { startTestApp, type TestApp } from '../_app.ts';
import {
  authorizeUrl,
  basic,
  cookieHeader,
  type Jar,
  newJar,
  post,
  redeem,
  refresh,
  request,
  type TestClient,
  userinfo,
  walk,
} from '../_walk.ts';

const rounds = Number(process.env['ROUNDS'] ?? 20);
const callback = 'https://shop.test/callback';

async function setUp() {
  const app = await startTestApp();
  const person = await app.createPerson();
  const create = async (name: string): Promise<TestClient> => ({
    ...(await app.createClient({ kind: 'web', name, redirectUris: [callback] })),
    redirectUri: callback,
  });
  return { app, person, one: await create('One'), other: await create('Other') };
}

const copy = (jar: Jar): Jar => ({ cookies: [...jar.cookies] });

async function lives(app: TestApp, client: TestClient, answer: URLSearchParams): Promise<boolean> {
  const { status, json } = await redeem(app, client, answer.get('code'));
  if (status !== 200) return false;
  const [info, refreshed] = await Promise.all([
    userinfo(app, json['access_token']),
    refresh(app, client, json['refresh_token']),
  ]);
  return info.status === 200 && refreshed.status === 200;
}

test.serial(`two tabs, two clients, one session, ${rounds} rounds: every token lives`, async (t) => {
  const { app, person, one, other } = await setUp();
  await using _ = app;
  // Consent is on record, so that the two requests below really run at once.
  await walk(newJar(), authorizeUrl(app, one), { person });
  await walk(newJar(), authorizeUrl(app, other), { person });
  for (let round = 0; round < rounds; round += 1) {
    const jar = newJar();
    const third: TestClient = {
      ...(await app.createClient({ kind: 'web', name: 'Third', redirectUris: [callback], firstParty: true })),
      redirectUri: callback,
    };
    await walk(jar, authorizeUrl(app, third), { person });
    const answers = await Promise.all(
      [one, other].map((client) => walk(copy(jar), authorizeUrl(app, client))),
    );
    t.true(await lives(app, one, answers[0] as URLSearchParams), `round ${round}`);
    t.true(await lives(app, other, answers[1] as URLSearchParams), `round ${round}`);
  }
});

test.serial(`two tabs, one client, ${rounds} rounds: every token lives, on one grant`, async (t) => {
  const { app, person, one, other } = await setUp();
  await using _ = app;
  await walk(newJar(), authorizeUrl(app, one), { person });
  for (let round = 0; round < rounds; round += 1) {
    const jar = newJar();
    await walk(jar, authorizeUrl(app, other), { person });
    const answers = await Promise.all([1, 2].map(() => walk(copy(jar), authorizeUrl(app, one))));
    for (const answer of answers) t.true(await lives(app, one, answer), `round ${round}`);
  }
  const doubled = await app
    .db('grants')
    .whereNull('ended_at')
    .groupBy('session_uid_hash', 'client_id')
    .havingRaw('count(*) > 1')
    .select('client_id');
  t.deepEqual(doubled, []);
});

test.serial(
  `sign-out while another tab is inside /auth, ${rounds} rounds: the old cookie never gets a living code`,
  async (t) => {
    const { app, person, one } = await setUp();
    await using _ = app;
    await walk(newJar(), authorizeUrl(app, one), { person });
    for (let round = 0; round < rounds; round += 1) {
      const jar = newJar();
      await walk(jar, authorizeUrl(app, one), { person });
      const csrf = String(
        /name="csrf" value="([^"]+)"/.exec((await request(jar, `${app.url}/account`)).text)?.[1],
      );
      const signOut = () =>
        request(copy(jar), `${app.url}/account/sign-out`, {
          method: 'POST',
          body: new URLSearchParams({ csrf }),
        });
      const ask = () => request(copy(jar), authorizeUrl(app, one, { prompt: 'none' }));
      const parts = round % 2 === 0 ? [ask(), ask(), signOut(), ask()] : [signOut(), ask(), ask(), ask()];
      const replies = await Promise.all(parts);
      for (const { headers } of replies) {
        const code = new URL(headers.get('location') ?? '/', app.url).searchParams.get('code');
        if (code) t.is((await redeem(app, one, code)).json['error'], 'invalid_grant', `round ${round}`);
      }
      const late = await fetch(authorizeUrl(app, one, { prompt: 'none' }), {
        headers: { cookie: cookieHeader(jar, `${app.url}/auth`) },
        redirect: 'manual',
      });
      t.is(
        new URL(String(late.headers.get('location'))).searchParams.get('error'),
        'login_required',
        `round ${round}`,
      );
    }
  },
);

test.serial(
  `revocation racing a refresh, ${rounds} rounds: what was answered revoked stays revoked`,
  async (t) => {
    const { app, person, one } = await setUp();
    await using _ = app;
    for (let round = 0; round < rounds; round += 1) {
      const { json } = await redeem(
        app,
        one,
        (await walk(newJar(), authorizeUrl(app, one), { person })).get('code'),
      );
      const revoke = () =>
        post(app, '/token/revocation', { token: String(json['refresh_token']) }, basic(one.id, one.secret));
      const parts =
        round % 2 === 0
          ? [revoke(), refresh(app, one, json['refresh_token'])]
          : [refresh(app, one, json['refresh_token']), revoke()];
      const replies = await Promise.all(parts);
      for (const reply of replies) {
        const token = reply.json['access_token'];
        if (token) t.is((await userinfo(app, token)).status, 401, `round ${round}`);
      }
      t.is((await refresh(app, one, json['refresh_token'])).json['error'], 'invalid_grant', `round ${round}`);
    }
  },
);
