/**
 * What was made for one client, one person, one session or one value of a token works for no other: the cases that peers got wrong,
 * each as a table.
 */
import test from 'ava';
import { startTestApp, type TestApp } from '../_app.ts';
import {
  addClient,
  type Credential,
  defects,
  introspect,
  newVerifier,
  openStep,
  signIn,
  signInForTokens,
  signOut,
  submit,
} from '../_browserless.ts';
import {
  authorizeUrl,
  challenge,
  cookieHeader,
  type Jar,
  newJar,
  redeem,
  refresh,
  request,
  type TestClient,
  userinfo,
  verifier,
  walk,
} from '../_walk.ts';

const callback = 'https://shop.test/callback';
const otherCallback = 'https://shop.test/other';
const orders = 'https://api.test/orders';

let app: TestApp;
let person: Awaited<ReturnType<TestApp['createPerson']>>;
let shop: TestClient;
let ordersApi: Credential;

test.before(async () => {
  app = await startTestApp();
  person = await app.createPerson();
  await app.createApi({
    identifier: orders,
    title: 'Orders',
    scopes: [{ name: 'read' }, { name: 'refund', restricted: true }],
  });
  const api = await app.db('apis').where({ identifier: orders }).first('id');
  await app.db('role_scopes').insert({ role: 'vip', api_id: String(api?.id), scope: 'refund' });
  ordersApi = await app.createClient({ kind: 'api', name: 'Orders', api: orders });
  shop = await addClient(app, { kind: 'web', redirectUris: [callback, otherCallback] });
});
test.after.always(async () => app?.[Symbol.asyncDispose]());
test.afterEach((t) => t.deepEqual(defects(app), []));

/** Takes from the jar what the session is known by, as it was stolen. */
function copyOf(jar: Jar): Jar {
  return { cookies: jar.cookies.filter(({ name }) => name.startsWith('gatehouse_session')) };
}

test.serial(
  'a code is redeemed by its client, redirect URI and verifier together, and by nothing less',
  async (t) => {
    const thief = await addClient(app, {
      kind: 'web',
      redirectUris: [callback, otherCallback],
      name: 'Thief',
    });
    const spa = await addClient(app, { kind: 'spa', redirectUris: [callback, otherCallback], name: 'Spa' });
    const jar = newJar();
    await signIn(app, jar, shop, person);
    const code = (await signIn(app, jar, shop, undefined)).get('code');
    const clients = { own: shop, 'another one': thief, 'a public one': spa };
    const addresses = { own: callback, 'another registered': otherCallback, none: undefined, empty: '' };
    const verifiers = {
      own: verifier,
      another: newVerifier().verifier,
      'the challenge': challenge,
      none: undefined,
      'one character more': `${verifier}v`,
      'one less': verifier.slice(1),
    };
    for (const [whose, client] of Object.entries(clients)) {
      for (const [where, redirect_uri] of Object.entries(addresses)) {
        for (const [which, code_verifier] of Object.entries(verifiers)) {
          if (whose === 'own' && where === 'own' && which === 'own') continue;
          const what = `client ${whose}, redirect URI ${where}, verifier ${which}`;
          const reply = await redeem(app, client, code, { redirect_uri, code_verifier });
          t.is(reply.status, 400, what);
          t.true(['invalid_grant', 'invalid_request'].includes(String(reply.json['error'])), what);
          t.is(reply.json['access_token'], undefined, what);
        }
      }
    }
    t.is((await redeem(app, shop, code)).status, 200, 'none of it spent the code');
  },
);

/** Every way of changing a value by little. */
function* variationsOf(value: string): Generator<[string, string]> {
  for (let length = 0; length < value.length; length += 1) {
    yield [`the first ${length} characters`, value.slice(0, length)];
    yield [`all but the first ${length + 1} characters`, value.slice(length + 1)];
  }
  for (let at = 0; at < value.length; at += 1) {
    const bit = 1 << (at % 7);
    const flipped = String.fromCharCode(value.charCodeAt(at) ^ bit);
    yield [`bit ${bit} of character ${at}`, value.slice(0, at) + flipped + value.slice(at + 1)];
  }
  yield ['upper case', value.toUpperCase()];
  yield ['lower case', value.toLowerCase()];
  for (const more of ['=', ' ', '\n', '.', '~', '\u00a0']) {
    yield [`${JSON.stringify(more)} after it`, value + more];
    yield [`${JSON.stringify(more)} before it`, more + value];
  }
  yield ['twice', value + value];
}

test.serial('no part and no variation of a token is taken for it', async (t) => {
  const jar = newJar();
  const tokens = await signInForTokens(app, jar, shop, person);
  const code = String((await signIn(app, jar, shop, undefined)).get('code'));
  for (const [name, value] of Object.entries({ ...tokens, code })) {
    if (!['access_token', 'refresh_token', 'code'].includes(name)) continue;
    for (const [what, changed] of variationsOf(value)) {
      if (changed === value || changed === '') continue;
      if (name === 'code') {
        const reply = await redeem(app, shop, changed);
        t.true(reply.status === 400 && reply.json['access_token'] === undefined, `${name}: ${what}`);
        continue;
      }
      if (name === 'refresh_token') {
        const reply = await refresh(app, shop, changed);
        t.true(reply.status === 400 && reply.json['access_token'] === undefined, `${name}: ${what}`);
      }
      const described = await introspect(app, changed, shop);
      t.not(described.json['active'], true, `${name}: ${what}`);
    }
  }
  t.is((await userinfo(app, tokens.access_token)).status, 200);
  t.is((await refresh(app, shop, tokens.refresh_token)).status, 200);
  t.is((await redeem(app, shop, code)).status, 200);
});

test.serial('an open consent page says and decides nothing after its person has signed out', async (t) => {
  const alice = await app.createPerson({ name: 'Alice Secretive' });
  const jar = newJar();
  await signInAtAccount(jar, alice);
  const step = await openStep(jar, authorizeUrl(app, shop));
  t.true(step.text.includes('id="consent-allow"') && step.text.includes(alice.identifier));
  await signOut(app, jar);
  const before = await app.db('consents').where({ account_id: alice.id as never });
  const seen = await request(jar, step.url);
  t.false(seen.text.includes(alice.identifier), 'whoever has the browser now is not told who it was');
  t.true(seen.status === 410 || seen.status === 403);
  const sent = await submit(jar, step, 'consent', { decision: 'allow', scope: 'email' });
  t.true(sent.status === 410 || sent.status === 403, String(sent.status));
  t.is(sent.headers.get('location'), null);
  t.deepEqual(await app.db('consents').where({ account_id: alice.id as never }), before);
});

test.serial('an open consent page decides nothing after somebody else has signed in', async (t) => {
  const alice = await app.createPerson();
  const bob = await app.createPerson({ name: 'Bob' });
  const jar = newJar();
  await signInAtAccount(jar, alice);
  const step = await openStep(jar, authorizeUrl(app, shop));
  t.true(step.text.includes('id="consent-allow"'));
  await signOut(app, jar);
  await signInAtAccount(jar, bob);
  const sent = await submit(jar, step, 'consent', { decision: 'allow', scope: 'email' });
  t.is(sent.headers.get('location'), null, 'no way on to the application');
  for (const { id } of [alice, bob]) {
    t.deepEqual(await app.db('consents').where({ account_id: id as never }), []);
  }
});

test.serial('an open account chooser and a re-authentication forget who was signed in', async (t) => {
  const alice = await app.createPerson({ name: 'Alice Secretive' });
  for (const prompt of ['select_account', 'login']) {
    const jar = newJar();
    await signInAtAccount(jar, alice);
    const step = await openStep(jar, authorizeUrl(app, shop, { prompt }));
    t.true(step.text.includes(alice.name));
    await signOut(app, jar);
    const seen = await request(jar, step.url);
    t.false(seen.text.includes(alice.name) || seen.text.includes(alice.identifier), prompt);
    const sent = await submit(jar, step, 'account', { account: alice.subject });
    const end = sent.headers.get('location');
    if (end) {
      const next = await openStep(jar, new URL(end, app.url).href);
      t.true(next.text.includes('name="password"') || next.status >= 400, prompt);
      t.false(next.text.includes(alice.identifier), prompt);
    }
  }
});

async function signInAtAccount(jar: Jar, { identifier, password }: { identifier: string; password: string }) {
  const step = await openStep(jar, `${app.url}/account`);
  const reply = await submit(jar, step, 'sign-in', { identifier, password });
  const account = await openStep(jar, new URL(String(reply.headers.get('location')), app.url).href);
  if (!account.url.endsWith('/account')) throw new Error(`not signed in: ${account.url}`);
}

test.serial(
  'offline access stays that of the person who gave it, whoever uses the browser next',
  async (t) => {
    const bob = await app.createPerson({ name: 'Bob' });
    const offline = { scope: 'openid email offline_access', prompt: 'consent' };
    const jar = newJar();
    const alices = await signInForTokens(app, jar, shop, person, offline);
    await signOut(app, jar);
    const bobs = await signInForTokens(app, jar, shop, bob, offline);
    for (const [tokens, owner] of [
      [alices, person],
      [bobs, bob],
    ] as const) {
      const { json } = await refresh(app, shop, tokens.refresh_token);
      t.is((await userinfo(app, json['access_token'])).json['email'], owner.identifier);
    }
  },
);

/** What a person has at an application, and at an API through it. */
async function everythingOf(owner: Parameters<typeof signInForTokens>[3], client = shop) {
  const jar = newJar();
  const tokens = await signInForTokens(app, jar, client, owner, {
    scope: 'openid email read refund offline_access',
    prompt: 'consent',
    resource: orders,
  });
  const { json } = await refresh(app, client, tokens.refresh_token, { resource: orders });
  const code = (await signIn(app, jar, client, undefined, { scope: 'openid email' })).get('code');
  return { jar, tokens, jwt: String(json['access_token']), code, client };
}

type Everything = Awaited<ReturnType<typeof everythingOf>>;

/** Which of it still works. The code goes last: it is spent by asking. */
async function whatWorks({ jar, tokens, jwt, code, client }: Everything) {
  const silent = await request(copyOf(jar), authorizeUrl(app, client, { prompt: 'none', scope: 'openid' }));
  const refreshed = await refresh(app, client, tokens.refresh_token);
  return {
    userinfo: (await userinfo(app, tokens.access_token)).status === 200,
    refresh: refreshed.status === 200,
    introspection: (await introspect(app, tokens.access_token, client)).json['active'] === true,
    introspectionOfRefresh: (await introspect(app, tokens.refresh_token, client)).json['active'] === true,
    jwt: (await introspect(app, jwt, ordersApi)).json['active'] === true,
    session: Boolean(URL.parse(String(silent.headers.get('location')))?.searchParams.get('code')),
    code: (await redeem(app, client, code)).status === 200,
  };
}

const all = {
  userinfo: true,
  refresh: true,
  introspection: true,
  introspectionOfRefresh: true,
  jwt: true,
  session: true,
  code: true,
};
const none = Object.fromEntries(Object.keys(all).map((name) => [name, false]));

test.serial('nothing of a suspended or deleted account works any more', async (t) => {
  t.deepEqual(
    await whatWorks(await everythingOf(await app.createPerson())),
    all,
    'or the rest proves nothing',
  );
  for (const status of ['suspended', 'deleting'] as const) {
    const victim = await app.createPerson();
    const had = await everythingOf(victim);
    await app
      .db('accounts')
      .where({ id: victim.id as never })
      .update({ status });
    t.deepEqual(await whatWorks(had), none, status);
  }
});

test.serial('nothing that a person gave a client works when it is disabled', async (t) => {
  const client = await addClient(app, { kind: 'web', redirectUris: [callback], name: 'Closed' });
  const had = await everythingOf(await app.createPerson(), client);
  await app.db('clients').where({ id: client.id }).update({ status: 'disabled' });
  t.deepEqual(await whatWorks(had), none);
});

test.serial('nothing of a grant works when it has ended; the session goes on', async (t) => {
  const victim = await app.createPerson();
  const had = await everythingOf(victim);
  await app.db.transaction((trx) => app.services.grants.endSubjectGrants(trx, victim.subject, 'test'));
  t.deepEqual(await whatWorks(had), { ...none, session: true });
});

test.serial('a session whose row is gone is nobody’s, and offline access outlives it', async (t) => {
  const victim = await app.createPerson();
  const had = await everythingOf(victim);
  const { subject } = victim;
  await app.db('sessions').where({ subject }).delete();
  const left = await whatWorks(had);
  t.false(left.session);
  t.true(left.refresh && left.userinfo);
  t.is((await request(copyOf(had.jar), `${app.url}/account`)).status, 303);
});

test.serial('the cookie of before a sign-in is worth nothing after it', async (t) => {
  const jar = newJar();
  await request(jar, authorizeUrl(app, shop));
  const before = copyOf(jar);
  await walk(jar, authorizeUrl(app, shop), { person });
  t.not(cookieHeader(copyOf(jar), app.url), cookieHeader(before, app.url));
  const silent = await request(before, authorizeUrl(app, shop, { prompt: 'none' }));
  t.is(new URL(String(silent.headers.get('location'))).searchParams.get('error'), 'login_required');
});
