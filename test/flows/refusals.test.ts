/** What is refused, how it is said, and that nothing changed by it. No refusal is a defect: the log stays free of errors. */
import { createHash } from 'node:crypto';
import test from 'ava';
import { startTestApp, type TestApp } from '../_app.ts';
import {
  addClient,
  defects,
  errorOf,
  introspect,
  newVerifier,
  openStep,
  type RawReply,
  raw,
  revoke,
  type Step,
  signIn,
  signInForTokens,
  signOut,
  submit,
} from '../_browserless.ts';
import { passTime, resetTime } from '../_time.ts';
import {
  authorizeUrl,
  basic,
  challenge,
  cookieHeader,
  newJar,
  post,
  type Reply,
  redeem,
  refresh,
  request,
  type TestClient,
  userinfo,
  verifier,
  walk,
} from '../_walk.ts';

const callback = 'https://shop.test/callback';
const noPkce = { code_challenge: undefined, code_challenge_method: undefined };

let app: TestApp;
let person: Awaited<ReturnType<TestApp['createPerson']>>;
let shop: TestClient;
let legacy: TestClient;

test.before(async () => {
  app = await startTestApp();
  person = await app.createPerson();
  shop = await addClient(app, { kind: 'web', redirectUris: [callback] });
  legacy = await addClient(app, { kind: 'web', redirectUris: [callback], requirePkce: false });
});
test.after.always(async () => {
  resetTime();
  await app?.[Symbol.asyncDispose]();
});
test.afterEach((t) => t.deepEqual(defects(app), []));

const isPage = (reply: Pick<Reply, 'text' | 'headers'>) =>
  reply.headers.get('location') === null && reply.text.includes('id="error-code"');

/** What a request could have changed. */
async function countRows() {
  const count = async (table: string) =>
    Number((await app.db(table as 'accounts').count('* as n'))[0]?.['n' as never]);
  const signedIn = (await app.db('sessions').whereNotNull('subject').whereNull('ended_at')).length;
  return {
    signedIn,
    accounts: await count('accounts'),
    consents: await count('consents'),
    grants: await count('grants'),
    events: await count('audit_events'),
    codes: await count('authorization_codes'),
    accessTokens: await count('access_tokens'),
  };
}

test.serial('an unknown client ends on the error page', async (t) => {
  for (const id of ['app_unknown', '', 'a'.repeat(3000), '__proto__', "' or 1=1 --", '\u202eevil']) {
    const reply = await request(newJar(), authorizeUrl(app, { ...shop, id }));
    t.is(reply.status, 400, id);
    t.true(isPage(reply), id);
    t.is(errorOf(reply), id === '' ? 'invalid_request' : 'invalid_client', id);
  }
});

test.serial('a redirect URI that differs in any way ends on the error page', async (t) => {
  const withQuery = await addClient(app, { kind: 'web', redirectUris: ['https://shop.test/cb?a=1&b=2'] });
  const variants: [TestClient, string[]][] = [
    [
      shop,
      [
        'https://shop.test/Callback',
        'https://SHOP.test/callback',
        'HTTPS://shop.test/callback',
        'https://shop.test/',
        'https://shop.test/callback/',
        'https://shop.test//callback',
        'https://shop.test/callback/more',
        'https://user@shop.test/callback',
        'https://shop.test@evil.test/callback',
        'https://shop.test:443/callback',
        'https://shop.test:8443/callback',
        'http://shop.test/callback',
        'https://shop.test/%63allback',
        'https://shop.test/call%62ack',
        'https://shop.test/callback%2f..',
        'https://shop.test/x/../callback',
        'https://shop.test/./callback',
        'https://shop.test\\callback',
        'https://shop.test/callback?',
        'https://shop.test/callback?extra=1',
        'https://shop.test/callback;x=1',
        'https://shop.test/callback#',
        'https://shop.test/callback#fragment',
        'https://shop.test.evil.test/callback',
        'https://evil.test/?x=https://shop.test/callback',
        'https://evilshop.test/callback',
        'https://ѕhop.test/callback',
        'https://shop.test./callback',
        ' https://shop.test/callback',
        'https://shop.test/callback ',
        'https://shop.test/callback\r\nLocation: https://evil.test',
        '//shop.test/callback',
        '/callback',
        'javascript:alert(1)',
        'data:text/html,x',
      ],
    ],
    [
      withQuery,
      [
        'https://shop.test/cb?b=2&a=1',
        'https://shop.test/cb?a=1&b=2&c=3',
        'https://shop.test/cb?a=1',
        'https://shop.test/cb?a=1&b=3',
        'https://shop.test/cb',
      ],
    ],
  ];
  for (const [client, uris] of variants) {
    for (const uri of uris) {
      const reply = await request(newJar(), authorizeUrl(app, client, { redirect_uri: uri }));
      t.is(reply.status, 400, uri);
      t.true(isPage(reply), uri);
      t.is(errorOf(reply), 'invalid_redirect_uri', uri);
    }
  }
  const exact = await signIn(app, newJar(), withQuery, person);
  t.is(exact.get('a'), '1', 'a registered query is kept');
  t.truthy(exact.get('code'));
});

test.serial('the port of a loopback address varies for a native application only', async (t) => {
  const web = await addClient(app, { kind: 'web', redirectUris: ['http://127.0.0.1:8000/cb'] });
  const native = await addClient(app, { kind: 'native', redirectUris: ['http://127.0.0.1:8000/cb'] });
  const other = { redirect_uri: 'http://127.0.0.1:8001/cb' };
  const refused = await request(newJar(), authorizeUrl(app, web, other));
  t.is(refused.status, 400);
  t.is(errorOf(refused), 'invalid_redirect_uri');
  t.is((await request(newJar(), authorizeUrl(app, native, other))).status, 303);
  const notLoopback = { redirect_uri: 'http://10.0.0.1:8001/cb' };
  t.is(errorOf(await request(newJar(), authorizeUrl(app, native, notLoopback))), 'invalid_redirect_uri');
});

test.serial('an authorization request without PKCE is refused', async (t) => {
  const wrong: Record<string, string | undefined>[] = [
    noPkce,
    { code_challenge_method: 'plain' },
    { code_challenge_method: undefined },
    { code_challenge_method: 's256' },
    { code_challenge: 'short' },
    { code_challenge: `${challenge}!` },
    { code_challenge: undefined },
  ];
  for (const more of wrong) {
    const reply = await request(newJar(), authorizeUrl(app, shop, more));
    t.is(reply.status, 303, JSON.stringify(more));
    t.is(errorOf(reply), 'invalid_request', JSON.stringify(more));
    const { searchParams } = new URL(String(reply.headers.get('location')));
    t.is(searchParams.get('state'), 'the-state');
    t.is(searchParams.get('iss'), app.url);
  }
  const spa = await addClient(app, { kind: 'spa', redirectUris: [callback] });
  t.is(errorOf(await request(newJar(), authorizeUrl(app, spa, noPkce))), 'invalid_request');
});

test.serial('a client that was opted out of PKCE works without, and cannot be downgraded', async (t) => {
  const plain = await signIn(app, newJar(), legacy, person, noPkce);
  const downgraded = await redeem(app, legacy, plain.get('code'));
  t.is(downgraded.json['error'], 'invalid_grant', 'a verifier for a code without a challenge');
  const { status } = await redeem(app, legacy, plain.get('code'), { code_verifier: undefined });
  t.is(status, 200, 'and the code was not spent by it');

  const protectedCode = (await signIn(app, newJar(), legacy, person)).get('code');
  for (const code_verifier of [undefined, '', newVerifier().verifier, challenge]) {
    const reply = await redeem(app, legacy, protectedCode, { code_verifier });
    t.is(reply.status, 400, code_verifier);
    t.is(reply.json['error'], 'invalid_grant', code_verifier);
  }
  t.is((await redeem(app, legacy, protectedCode)).status, 200);
  t.is(
    errorOf(await request(newJar(), authorizeUrl(app, legacy, { code_challenge_method: 'plain' }))),
    'invalid_request',
  );
});

test.serial('a parameter that is sent twice is refused, an unknown one is ignored', async (t) => {
  for (const name of [
    'scope',
    'state',
    'response_type',
    'code_challenge',
    'code_challenge_method',
    'nonce',
  ]) {
    const url = authorizeUrl(app, shop, { nonce: 'n' });
    const value = String(new URL(url).searchParams.get(name));
    const reply = await request(newJar(), `${url}&${name}=${encodeURIComponent(value)}`);
    t.is(errorOf(reply), 'invalid_request', name);
    t.is(reply.status, 303, name);
  }
  const elsewhere = 'redirect_uri=https://evil.test/callback';
  const only = await request(newJar(), `${authorizeUrl(app, shop)}&${elsewhere}`);
  t.true(String(only.headers.get('location')).startsWith(`${callback}?error=invalid_request`));
  const several = await addClient(app, { kind: 'web', redirectUris: [callback, 'https://shop.test/other'] });
  for (const url of [
    `${authorizeUrl(app, several)}&${elsewhere}`,
    `${authorizeUrl(app, shop)}&client_id=${legacy.id}`,
  ]) {
    const reply = await request(newJar(), url);
    t.is(reply.status, 400, url);
    t.true(isPage(reply), url);
  }
  const code = String((await signIn(app, newJar(), shop, person)).get('code'));
  const doubled = await raw(app, '/token', {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...basic(shop.id, shop.secret) },
    body: `${new URLSearchParams({ grant_type: 'authorization_code', code, redirect_uri: callback, code_verifier: verifier })}&code=${code}`,
  });
  t.is(doubled.status, 400);
  t.is(JSON.parse(doubled.text).error, 'invalid_request');
  t.is((await redeem(app, shop, code)).status, 200);
  t.truthy(
    (await signIn(app, newJar(), shop, person, { unknown_parameter: 'x', __proto__: 'x' })).get('code'),
  );
});

test.serial('a wrong secret and an unknown client get the same answer', async (t) => {
  const form = { grant_type: 'refresh_token', refresh_token: 'x' };
  const answers = [
    await post(app, '/token', form, basic(shop.id, `${shop.secret}x`)),
    await post(app, '/token', form, basic(shop.id, 'wrong')),
    await post(app, '/token', form, basic(shop.id, legacy.secret)),
    await post(app, '/token', form, basic('app_unknown', shop.secret)),
    await post(app, '/token', form, basic('portal', shop.secret)),
  ];
  for (const answer of answers) {
    t.is(answer.status, 401);
    t.is(answer.json['error'], 'invalid_client');
    t.is(answer.text, String(answers[0]?.text));
    t.is(answer.headers.get('www-authenticate'), String(answers[0]?.headers.get('www-authenticate')));
    t.is(answer.headers.get('cache-control'), 'no-store');
  }
  const posted = [
    await post(app, '/token', { ...form, client_id: shop.id, client_secret: 'wrong' }),
    await post(app, '/token', { ...form, client_id: 'app_unknown', client_secret: 'wrong' }),
  ];
  t.is(posted[0]?.text, posted[1]?.text);
  t.is(posted[0]?.status, posted[1]?.status);
  // The engine takes the right secret from the header or the body, whichever of the two is registered; never from the query.
  const inBody = await post(app, '/token', {
    ...form,
    client_id: shop.id,
    client_secret: String(shop.secret),
  });
  t.is(inBody.json['error'], 'invalid_grant', 'authenticated');
});

test.serial('a secret or token in the query is not taken', async (t) => {
  const query = new URLSearchParams({ client_id: shop.id, client_secret: String(shop.secret) });
  const reply = await post(app, `/token?${query}`, { grant_type: 'refresh_token', refresh_token: 'x' });
  t.true(reply.status === 400 || reply.status === 401);
  t.true(['invalid_request', 'invalid_client'].includes(String(reply.json['error'])));
  const { access_token } = await signInForTokens(app, newJar(), shop, person);
  const me = await request(newJar(), `${app.url}/me?access_token=${access_token}`);
  t.is(me.status, 400);
  t.false(me.text.includes(person.subject));
  t.is((await userinfo(app, access_token)).status, 200);
  t.false(app.log.some((line) => line.includes(String(shop.secret)) || line.includes(access_token)));
});

test.serial('two client authentications at once are refused', async (t) => {
  const form = { grant_type: 'refresh_token', refresh_token: 'x' };
  const reply = await post(
    app,
    '/token',
    { ...form, client_secret: String(shop.secret) },
    basic(shop.id, shop.secret),
  );
  t.is(reply.status, 400);
  t.is(reply.json['error'], 'invalid_request');
  const mixed = await post(app, '/token', { ...form, client_id: legacy.id }, basic(shop.id, shop.secret));
  t.is(mixed.status, 400);
  t.is(mixed.json['error'], 'invalid_request');
});

test.serial('a code works once, and its second use ends the tokens of the first', async (t) => {
  const code = (await signIn(app, newJar(), shop, person)).get('code');
  const first = (await redeem(app, shop, code)).json;
  t.is((await userinfo(app, first['access_token'])).status, 200);
  t.is((await redeem(app, shop, code)).json['error'], 'invalid_grant');
  t.is((await userinfo(app, first['access_token'])).status, 401);
  t.is((await refresh(app, shop, first['refresh_token'])).json['error'], 'invalid_grant');
  t.is((await introspect(app, String(first['access_token']), shop)).json['active'], false);
});

test.serial(
  "another client, another redirect URI and a wrong verifier do not spend somebody's code",
  async (t) => {
    const thief = await addClient(app, { kind: 'web', redirectUris: [callback], name: 'Thief' });
    const code = (await signIn(app, newJar(), shop, person)).get('code');
    for (const attempt of [
      () => redeem(app, thief, code),
      () => redeem(app, shop, code, { redirect_uri: 'https://shop.test/other' }),
      () => redeem(app, shop, code, { redirect_uri: undefined, code_verifier: 'w'.repeat(43) }),
      () => redeem(app, shop, code, { code_verifier: 'w'.repeat(43) }),
      () => redeem(app, shop, code, { code_verifier: undefined }),
      () => redeem(app, shop, `${code}x`),
      () => redeem(app, shop, String(code).toUpperCase()),
    ]) {
      const reply = await attempt();
      t.is(reply.status, 400);
      t.is(reply.json['error'], 'invalid_grant');
    }
    t.is((await redeem(app, shop, code)).status, 200);
  },
);

test.serial('a token of the wrong kind opens nothing', async (t) => {
  const tokens = await signInForTokens(app, newJar(), shop, person);
  const code = String((await signIn(app, newJar(), shop, person)).get('code'));
  for (const token of [tokens.refresh_token, tokens.id_token, code, 'x', `${tokens.access_token}x`]) {
    const reply = await userinfo(app, token);
    t.is(reply.status, 401);
    t.regex(String(reply.headers.get('www-authenticate')), /invalid_token/);
  }
  for (const token of [tokens.access_token, tokens.id_token, code, '']) {
    const reply = await refresh(app, shop, token);
    t.is(reply.status, 400);
  }
  t.is((await redeem(app, shop, tokens.refresh_token)).json['error'], 'invalid_grant');
  const other = await addClient(app, { kind: 'web', redirectUris: [callback] });
  t.is((await refresh(app, other, tokens.refresh_token)).json['error'], 'invalid_grant');
  t.is((await refresh(app, shop, tokens.refresh_token)).status, 200, 'and it still works for its own');
});

test.serial(
  'a wrong Host is 421 on every kind of route and never appears in an answer as an address',
  async (t) => {
    for (const host of [
      'evil.test',
      '127.0.0.1',
      'localhost',
      'localhost:1',
      `${new URL(app.url).host}.evil.test`,
      '',
    ]) {
      for (const path of [
        '/.well-known/openid-configuration',
        '/jwks',
        '/auth',
        '/account',
        '/docs/errors',
        '/nothing',
      ]) {
        const reply = await raw(app, path, { headers: { host } });
        t.is(reply.status, 421, `${host} ${path}`);
        t.is(reply.headers.location, undefined);
        t.is(reply.headers['set-cookie'], undefined);
        t.false(reply.text.includes('token_endpoint'));
      }
    }
    const shown = await raw(app, '/account', {
      headers: { host: 'evil.test', accept: 'text/html' },
    });
    t.true(shown.text.includes(`href="${app.url}"`), 'the page leads to the right address');
    t.false(/(href|action|src)="[^"]*evil\.test/.test(shown.text));
    const token = await raw(app, '/token', {
      method: 'POST',
      headers: { host: 'evil.test', 'content-type': 'application/x-www-form-urlencoded' },
      body: 'grant_type=client_credentials',
    });
    t.is(token.status, 421);
    t.is(JSON.parse(token.text).error, 'invalid_request');
    t.is(
      (await raw(app, '/healthz', { headers: { host: '10.0.0.7' } })).status,
      200,
      'probes call by address',
    );
  },
);

test.serial('forwarded headers of an untrusted peer are ignored', async (t) => {
  const headers = {
    'x-forwarded-host': 'evil.test',
    'x-forwarded-proto': 'https',
    'x-forwarded-for': '203.0.113.9',
    'x-forwarded-port': '444',
    forwarded: 'host=evil.test;proto=https',
  };
  const reply = await raw(app, '/.well-known/openid-configuration', { headers });
  t.is(reply.status, 200);
  t.false(reply.text.includes('evil.test'));
  t.is(JSON.parse(reply.text).token_endpoint, `${app.url}/token`);
  const jar = newJar();
  const step = await openStep(jar, authorizeUrl(app, shop));
  const { identifier } = person;
  await submit(jar, step, 'sign-in', { identifier, password: 'wrong' }, headers);
  const event = await app
    .db('audit_events')
    .where({ kind: 'login_failed' })
    .orderBy('id', 'desc')
    .first('ip');
  t.is(event?.ip, '127.0.0.1');
});

test.serial('forwarded headers of a trusted proxy are believed', async (t) => {
  await using behind = await startTestApp({ env: { TRUST_PROXY: '127.0.0.1' } });
  const { host } = new URL(behind.url);
  const inside = { host: 'gatehouse.internal:3000' };
  const open = (headers: Record<string, string>) =>
    raw(behind, '/.well-known/openid-configuration', { headers: { ...inside, ...headers } });
  t.is((await open({})).status, 421);
  t.is((await open({ 'x-forwarded-host': 'evil.test' })).status, 421);
  const reply = await open({ 'x-forwarded-host': host, 'x-forwarded-proto': 'http' });
  t.is(reply.status, 200);
  t.is(JSON.parse(reply.text).token_endpoint, `${behind.url}/token`);

  const client = await addClient(behind, { kind: 'web', redirectUris: [callback] });
  const known = await behind.createPerson();
  const lastIp = async () => {
    const jar = newJar();
    const step = await openStep(jar, authorizeUrl(behind, client));
    const forwarded = { 'x-forwarded-for': '198.51.100.1, 203.0.113.9, 127.0.0.1' };
    await submit(jar, step, 'sign-in', { identifier: known.identifier, password: 'wrong' }, forwarded);
    return (await behind.db('audit_events').where({ kind: 'login_failed' }).first('ip'))?.ip;
  };
  t.is(await lastIp(), '203.0.113.9', 'the last hop that no proxy of ours is; what is left of it is hearsay');
  t.deepEqual(defects(behind), []);
});

test.serial('an https issuer refuses a request that came without https', async (t) => {
  await using behind = await startTestApp({
    env: { TRUST_PROXY: '127.0.0.1', ISSUER: 'https://id.example.test' },
  });
  const ask = (headers: Record<string, string>) =>
    raw(behind, '/.well-known/openid-configuration', { headers });
  t.is((await ask({})).status, 421);
  t.is((await ask({ 'x-forwarded-proto': 'http' })).status, 421);
  const reply = await ask({ 'x-forwarded-proto': 'https' });
  t.is(reply.status, 200);
  t.is(JSON.parse(reply.text).token_endpoint, 'https://id.example.test/token');
});

const formType = { 'content-type': 'application/x-www-form-urlencoded' };

test.serial('a body that is too large is 413', async (t) => {
  const body = `a=${'x'.repeat(80_000)}`;
  const jar = newJar();
  const step = await openStep(jar, authorizeUrl(app, shop));
  const headers = { ...formType, cookie: cookieHeader(jar, step.url) };
  for (const path of [
    '/token',
    '/request',
    '/token/introspection',
    '/token/revocation',
    '/me',
    '/auth',
    '/session/end',
    '/account/sign-out',
    step.actions[0],
  ]) {
    t.is((await raw(app, String(path), { method: 'POST', headers, body })).status, 413, path);
    const chunked = await raw(app, String(path), {
      method: 'POST',
      headers: { ...headers, 'transfer-encoding': 'chunked' },
      body,
    });
    t.is(chunked.status, 413, `${path} without a length`);
  }
  const many = Array.from({ length: 300 }, (_, index) => `f${index}=x`).join('&');
  t.is((await raw(app, '/token', { method: 'POST', headers, body: many })).status, 400);
  const long = authorizeUrl(app, shop, { state: 's'.repeat(20_000) });
  const reply = await raw(app, long.slice(app.url.length));
  t.true(reply.status >= 400 && reply.status < 500, `a long query: ${reply.status}`);
});

test.serial('NUL characters, broken UTF-8 and broken percent-encodings are 4xx everywhere', async (t) => {
  const jar = newJar();
  const step = await openStep(jar, authorizeUrl(app, shop));
  const cookie = cookieHeader(jar, step.url);
  const bodies = [
    'a=%00',
    '%00=a',
    'a=%zz',
    'a=%',
    'a=%c3',
    'a=%ff%fe',
    'a=%ed%a0%80',
    Buffer.from([0x61, 0x3d, 0xff]),
    Buffer.from([0x61, 0x3d, 0x00]),
  ];
  const posts = [
    '/token',
    '/request',
    '/token/introspection',
    '/token/revocation',
    '/auth',
    '/session/end',
    '/session/end/confirm',
    '/account/sign-out',
    String(step.actions[0]),
  ];
  for (const path of posts) {
    for (const body of bodies) {
      const reply = await raw(app, path, { method: 'POST', headers: { ...formType, cookie }, body });
      t.is(reply.status, 400, `${path} ${String(body)}`);
    }
  }
  const start = authorizeUrl(app, shop).slice(app.url.length);
  const broken: string[] = [
    `${start}&state=%00`,
    `${start}&login_hint=%00`,
    `${start}&%00=x`,
    `${start}&x=%zz`,
    `${start}&x=%`,
    `/auth?client_id=${shop.id}%00`,
    `/session/end?id_token_hint=%00`,
    '/auth/%00',
    '/auth/%zz',
    '/interaction/%00',
    '/interaction/%zz',
    '/interaction/%c3/sign-in',
    '/%00',
    '/%',
    '/account/callback?state=%00',
    '/preferences?locale=%00&return_to=%00',
    '/preferences?return_to=%zz',
    '/assets/%00',
    '/assets/..%2f..%2fpackage.json',
    '/assets/%2e%2e/%2e%2e/package.json',
    '//evil.test/%2f..',
  ];
  for (const path of broken) {
    const reply = await raw(app, path, { headers: { accept: 'text/html', cookie } });
    t.true(reply.status < 500, `${path}: ${reply.status}`);
    if (!path.startsWith('/account/callback') && !path.startsWith('/preferences'))
      t.true(reply.status >= 400, `${path}: ${reply.status}`);
    t.false(/evil\.test/.test(String(reply.headers.location)), path);
  }
  const invalidUtf8 = [
    `${start}&state=%ff`,
    `${start}&login_hint=%c3%28`,
    `${start}&ui_locales=%ff`,
    `${start}&state=\xff`,
  ];
  for (const path of invalidUtf8) {
    t.true((await raw(app, path, { headers: { cookie } })).status < 500, path);
  }
  const cookies = [
    'gatehouse_session=%00',
    'gatehouse_session=%zz',
    'gatehouse_session=\xff; gatehouse_session.sig=\xff',
    'gatehouse_locale=%00',
    `gatehouse_interaction=${'x'.repeat(2000)}`,
  ];
  for (const sent of cookies) {
    for (const path of [start, '/account', `/interaction/${new URL(step.url).pathname.split('/')[2]}`]) {
      t.true((await raw(app, path, { headers: { cookie: sent } })).status < 500, `${sent} ${path}`);
    }
  }
});

test.serial('a malformed Authorization header is 400 or 401', async (t) => {
  const encode = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
  const wrong = [
    'Basic',
    'Basic ',
    'Basic %%%',
    encode(''),
    encode('nocolon'),
    encode(':'),
    encode(`${shop.id}:`),
    encode(`:${shop.secret}`),
    encode(`${shop.id}\0:${shop.secret}`),
    encode(`${shop.id}:${shop.secret}\0`),
    encode(`%00:${shop.secret}`),
    encode(`%zz:${shop.secret}`),
    encode(`%ff:${shop.secret}`),
    `Basic ${Buffer.from([0xff, 0x3a, 0xff]).toString('base64')}`,
    encode(`${'a'.repeat(5000)}:x`),
    `Bearer ${shop.secret}`,
    'Negotiate abc',
    'DPoP x',
    '\xff\xfe',
  ];
  const body = 'grant_type=client_credentials&token=x';
  for (const authorization of wrong) {
    for (const path of ['/token', '/token/introspection', '/token/revocation', '/request']) {
      const reply = await raw(app, path, { method: 'POST', headers: { ...formType, authorization }, body });
      t.true([400, 401].includes(reply.status), `${path} ${authorization}: ${reply.status}`);
      t.true(
        ['invalid_client', 'invalid_request'].includes(String(JSON.parse(reply.text).error)),
        `${path} ${authorization}: ${reply.text}`,
      );
    }
    const me = await raw(app, '/me', { headers: { authorization } });
    t.true([400, 401].includes(me.status), `/me ${authorization}: ${me.status}`);
  }
});

test.serial('a body of another media type is refused', async (t) => {
  const code = String((await signIn(app, newJar(), shop, person)).get('code'));
  const fields = { grant_type: 'authorization_code', code, redirect_uri: callback, code_verifier: verifier };
  for (const [type, body] of [
    ['application/json', JSON.stringify(fields)],
    ['text/plain', new URLSearchParams(fields).toString()],
    [
      'multipart/form-data; boundary=x',
      '--x\r\nContent-Disposition: form-data; name="code"\r\n\r\nx\r\n--x--',
    ],
    ['', new URLSearchParams(fields).toString()],
  ] as const) {
    const headers = { ...basic(shop.id, shop.secret), ...(type ? { 'content-type': type } : {}) };
    const reply = await raw(app, '/token', { method: 'POST', headers, body });
    t.is(reply.status, 400, type);
    t.is(JSON.parse(reply.text).error, 'invalid_request', type);
  }
  t.is((await redeem(app, shop, code)).status, 200);
  const jar = newJar();
  const step = await openStep(jar, authorizeUrl(app, shop));
  const { identifier, password } = person;
  for (const type of [
    'application/json',
    'text/plain',
    'multipart/form-data; boundary=x',
    'application/x-www-form-urlencoded; charset=utf-16',
  ]) {
    const reply = await request(jar, `${step.url}/sign-in`, {
      method: 'POST',
      headers: { 'content-type': type },
      body: JSON.stringify({ csrf: step.csrf, identifier, password }),
    });
    t.is(reply.status, 415, type);
  }
});

test.serial('the journey of another browser and one that never was have a page of their own', async (t) => {
  const jar = newJar();
  const step = await openStep(jar, authorizeUrl(app, shop));
  const other = newJar();
  const begun = await openStep(other, authorizeUrl(app, shop));
  for (const path of ['', '/sign-in']) {
    t.is((await request(newJar(), step.url + path)).status, 403, 'another browser');
    t.is((await request(other, step.url + path)).status, 403, 'one with a journey of its own');
    t.is((await request(jar, `${app.url}/interaction/unknown${path}`)).status, 410);
  }
  const before = await countRows();
  for (const part of ['sign-in', 'switch-account', 'account', 'consent', 'setup', 'cancel']) {
    const fields = { ...person, csrf: step.csrf, decision: 'allow', key: 'x' };
    t.is((await submit(newJar(), step, part, fields)).status, 403, part);
    t.is((await submit(other, step, part, fields)).status, 403, part);
    t.is(
      (await submit(jar, { ...step, url: `${app.url}/interaction/unknown` }, part, fields)).status,
      410,
      part,
    );
  }
  // A cookie of one journey under the address of another.
  const [mine] = other.cookies.filter(({ name }) => name === 'gatehouse_interaction');
  const [signature] = other.cookies.filter(({ name }) => name === 'gatehouse_interaction.sig');
  const forged = { cookies: [mine, signature].map((cookie) => ({ ...cookie!, path: '/' })) };
  t.is((await request(forged, step.url)).status, 403);
  t.is((await submit(forged, step, 'sign-in', { ...person, csrf: begun.csrf })).status, 403);
  // Resuming without the cookie.
  const uid = new URL(step.url).pathname.split('/')[2];
  t.is((await request(newJar(), `${app.url}/auth/${uid}`)).status, 403);
  t.is((await request(newJar(), `${app.url}/auth/unknown`)).status, 410);
  t.deepEqual(await countRows(), before);
});

/** Every form of the service on a page where it may be sent, with what would do harm. */
async function openEveryForm(): Promise<
  { jar: ReturnType<typeof newJar>; step: Step; part: string; fields: Record<string, string> }[]
> {
  const { identifier, password, subject } = person;
  const fresh = async (parameters: Record<string, string> = {}) => {
    const jar = newJar();
    return { jar, step: await openStep(jar, authorizeUrl(app, shop, parameters)) };
  };
  const signedIn = async (parameters: Record<string, string>) => {
    const jar = newJar();
    await signIn(app, jar, shop, person);
    return { jar, step: await openStep(jar, authorizeUrl(app, shop, parameters)) };
  };
  const account = newJar();
  await signIn(app, account, shop, person);
  const setup = newJar();
  return [
    { ...(await fresh()), part: 'sign-in', fields: { identifier, password } },
    { ...(await fresh()), part: 'switch-account', fields: {} },
    { ...(await fresh()), part: 'cancel', fields: {} },
    { ...(await signedIn({ prompt: 'select_account' })), part: 'account', fields: { account: subject } },
    {
      ...(await signedIn({ prompt: 'consent' })),
      part: 'consent',
      fields: { decision: 'allow', scope: 'openid' },
    },
    {
      jar: setup,
      step: await openStep(setup, `${app.url}/setup`),
      part: 'setup',
      fields: {
        key: 'x',
        name: 'Mallory',
        identifier: 'mallory@evil.test',
        password: 'correct horse battery',
      },
    },
    {
      jar: account,
      step: await openStep(account, `${app.url}/account`),
      part: '/account/sign-out',
      fields: {},
    },
  ];
}

test.serial('no form is taken without its own token or from another site, and nothing changes', async (t) => {
  const forms = await openEveryForm();
  t.deepEqual(
    forms.filter(({ step }) => step.csrf === '').map(({ part }) => part),
    [],
  );
  const before = await countRows();
  const other = newJar();
  const stranger = await openStep(other, authorizeUrl(app, shop));
  for (const { jar, step, part, fields } of forms) {
    const attempts: [string, Record<string, string>, Record<string, string>][] = [
      ['no token', { csrf: '' }, {}],
      ['a wrong token', { csrf: 'AAAA' }, {}],
      ['a wrong token of the right length', { csrf: Buffer.alloc(32, 1).toString('base64url') }, {}],
      ["another journey's token", { csrf: stranger.csrf }, {}],
      ['a cross-site request', {}, { 'sec-fetch-site': 'cross-site' }],
      ['a same-site request', {}, { 'sec-fetch-site': 'same-site' }],
      ['a foreign origin', {}, { origin: 'https://evil.test' }],
      ['a look-alike origin', {}, { origin: `${app.url}.evil.test` }],
      ['an opaque origin across sites', {}, { origin: 'null', 'sec-fetch-site': 'cross-site' }],
    ];
    for (const [what, more, headers] of attempts) {
      const reply = await submit(jar, step, part, { ...fields, ...more }, headers);
      t.is(reply.status, 403, `${part} with ${what}`);
      t.true(isPage(reply), `${part} with ${what}`);
      t.deepEqual(reply.headers.getSetCookie(), [], `${part} with ${what}`);
    }
    const twice = await submit(jar, step, part, [
      ...Object.entries(fields),
      ['csrf', step.csrf],
      ['csrf', step.csrf],
    ]);
    t.is(twice.status, 400, `${part} with two tokens`);
  }
  t.deepEqual(await countRows(), before);
  for (const { jar, step, part, fields } of forms) {
    const reply = await submit(jar, step, part, fields);
    t.is(reply.status, part === 'setup' ? 410 : 303, `${part} with its own token`);
  }
});

test.serial("the engine's own sign-out form needs its token", async (t) => {
  const jar = newJar();
  const { id_token } = await signInForTokens(app, jar, shop, person);
  const page = await openStep(jar, `${app.url}/session/end?id_token_hint=${id_token}`);
  t.is(page.status, 200);
  for (const xsrf of ['', 'wrong', 'x'.repeat(43)]) {
    const reply = await request(jar, `${app.url}/session/end/confirm`, {
      method: 'POST',
      body: new URLSearchParams({ logout: 'yes', xsrf }),
    });
    t.is(reply.status, 400, xsrf);
  }
  t.is((await request(jar, `${app.url}/account`)).status, 200, 'still signed in');
});

test.serial('steps out of order change nothing and lead nowhere', async (t) => {
  const jar = newJar();
  const atLogin = await openStep(jar, authorizeUrl(app, shop));
  const before = await countRows();
  for (const [part, fields] of [
    ['consent', { decision: 'allow', scope: 'openid' }],
    ['setup', { key: 'x', name: 'M', identifier: 'm@evil.test', password: 'correct horse battery' }],
  ] as const) {
    t.is((await submit(jar, atLogin, part, fields)).status, 403, part);
  }
  const chosen = await submit(jar, atLogin, 'account', { account: person.subject });
  t.true(
    String(chosen.headers.get('location')).endsWith('/sign-in'),
    'an account that is not signed in here',
  );
  t.deepEqual(await countRows(), before);

  // Who must prove again who they are cannot get by with another step.
  const signedIn = newJar();
  await signIn(app, signedIn, shop, person);
  for (const [part, fields] of [
    ['account', { account: person.subject }],
    ['consent', { decision: 'allow', scope: 'openid' }],
    ['switch-account', {}],
  ] as [string, Record<string, string>][]) {
    const again = await openStep(signedIn, authorizeUrl(app, shop, { prompt: 'login' }));
    const reply = await submit(signedIn, again, part, fields);
    const location = reply.headers.get('location');
    const next = location ? await openStep(signedIn, new URL(location, again.url).href) : reply;
    t.true(next.text.includes('name="password"') || next.status === 403, part);
    t.false(String((next as Step).url).startsWith(callback), part);
  }

  const done = newJar();
  const step = await openStep(done, authorizeUrl(app, shop));
  const finished = await submit(done, step, 'sign-in', { ...person });
  t.is(finished.status, 303);
  const end = await walk(done, new URL(String(finished.headers.get('location')), step.url).href).catch(
    (error: Error) => error.message,
  );
  t.truthy(end);
  const after = await countRows();
  for (const part of ['sign-in', 'consent', 'cancel', 'account', 'setup', 'switch-account']) {
    const reply = await submit(done, step, part, { ...person, decision: 'allow', account: person.subject });
    t.true([200, 403, 410].includes(reply.status), `${part}: ${reply.status}`);
    t.is(reply.headers.get('location'), null, part);
  }
  t.is((await request(done, step.url)).status, 200, 'signed in already');
  t.is((await request(newJar(), step.url)).status, 410);
  t.deepEqual(await countRows(), after);
});

test.serial('a suspended account cannot sign in, refresh, be read or open its pages', async (t) => {
  const victim = await app.createPerson();
  const jar = newJar();
  const tokens = await signInForTokens(app, jar, shop, victim);
  const code = (await signIn(app, jar, shop, undefined)).get('code');
  t.is((await request(jar, `${app.url}/account`)).status, 200);
  const setStatus = (status: 'suspended' | 'active') =>
    app
      .db('accounts')
      .where({ id: victim.id as never })
      .update({ status });
  await setStatus('suspended');

  const attempt = async (password: string) => {
    const fresh = newJar();
    const step = await openStep(fresh, authorizeUrl(app, shop));
    return submit(fresh, step, 'sign-in', { identifier: victim.identifier, password });
  };
  t.is((await attempt('not the password')).status, 422, 'a wrong password does not tell');
  t.is((await attempt(victim.password)).status, 403);
  t.is((await redeem(app, shop, code)).json['error'], 'invalid_grant');
  t.is((await userinfo(app, tokens.access_token)).status, 401);
  t.is((await refresh(app, shop, tokens.refresh_token)).json['error'], 'invalid_grant');
  t.is((await request(jar, `${app.url}/account`)).status, 303, 'to sign-in');
  const silent = await request(jar, authorizeUrl(app, shop, { prompt: 'none' }));
  t.is(errorOf(silent), 'login_required');
  t.true((await openStep(jar, authorizeUrl(app, shop))).text.includes('name="password"'));
  await setStatus('active');
  t.truthy((await signIn(app, newJar(), shop, victim)).get('code'));
});

test.serial('a disabled client fails at every endpoint', async (t) => {
  const client = await addClient(app, { kind: 'web', redirectUris: [callback], name: 'Closed' });
  const jar = newJar();
  const tokens = await signInForTokens(app, jar, client, person);
  const code = (await signIn(app, jar, client, undefined)).get('code');
  const inside = newJar();
  const step = await openStep(inside, authorizeUrl(app, client));
  await app.db('clients').where({ id: client.id }).update({ status: 'disabled' });

  const atAuth = await request(jar, authorizeUrl(app, client));
  t.is(atAuth.status, 400);
  t.is(errorOf(atAuth), 'invalid_client');
  t.is((await redeem(app, client, code)).status, 401);
  t.is((await refresh(app, client, tokens.refresh_token)).status, 401);
  t.is((await introspect(app, tokens.access_token, client)).status, 401);
  t.is((await revoke(app, tokens.access_token, client)).status, 401);
  t.is((await userinfo(app, tokens.access_token)).status, 401);
  t.true((await request(inside, step.url)).status >= 400, 'and in the middle of a journey');
  t.true((await submit(inside, step, 'sign-in', { ...person })).status < 500);

  await app.db('clients').where({ id: client.id }).update({ status: 'active' });
  t.is((await userinfo(app, tokens.access_token)).status, 200);
});

test.serial('every kind of page has the headers that keep it to itself', async (t) => {
  const jar = newJar();
  const { id_token } = await signInForTokens(app, jar, shop, person);
  const inside = newJar();
  const step = await openStep(inside, authorizeUrl(app, shop));
  const choose = newJar();
  await signIn(app, choose, shop, person);
  const pages: Record<string, { headers: Headers; status: number }> = {
    'sign-in': step,
    'sign-in after a mistake': await submit(inside, step, 'sign-in', { identifier: 'x', password: 'x' }),
    'other account': await request(inside, `${step.url}/sign-in`),
    'choose account': await openStep(choose, authorizeUrl(app, shop, { prompt: 'select_account' })),
    consent: await openStep(choose, authorizeUrl(app, shop, { prompt: 'consent' })),
    setup: await openStep(newJar(), `${app.url}/setup`),
    'dead end': await request(jar, `${app.url}/interaction/unknown`),
    'another browser': await request(newJar(), step.url),
    'protocol error': await request(jar, `${app.url}/auth?client_id=unknown`),
    'not found': await request(jar, `${app.url}/nothing`),
    'sign out': await request(jar, `${app.url}/session/end?id_token_hint=${id_token}`),
    'sign out without a session': await request(newJar(), `${app.url}/session/end`),
    'an answer by form': await request(choose, authorizeUrl(app, shop, { response_mode: 'form_post' })),
    'signed out': await request(newJar(), `${app.url}/session/end/success`),
    account: await request(jar, `${app.url}/account`),
    'error docs': await request(jar, `${app.url}/docs/errors`),
    forbidden: await submit(inside, step, 'sign-in', { csrf: 'x' }),
  };
  for (const [name, { headers }] of Object.entries(pages)) {
    const policy = String(headers.get('content-security-policy'));
    t.true(policy.includes("default-src 'none'"), name);
    t.true(policy.includes("frame-ancestors 'none'"), name);
    t.false(policy.includes('unsafe-inline'), name);
    t.is(headers.get('x-frame-options'), 'DENY', name);
    t.is(headers.get('referrer-policy'), 'no-referrer', name);
    t.is(headers.get('x-content-type-options'), 'nosniff', name);
    t.is(headers.get('cache-control'), 'no-store', name);
    t.is(headers.get('content-type'), 'text/html; charset=utf-8', name);
    t.truthy(headers.get('x-request-id'), name);
    t.is(headers.get('access-control-allow-origin'), null, name);
  }
  // A page of the engine's own sends itself, by the one script that its policy allows.
  const form = await request(choose, authorizeUrl(app, shop, { response_mode: 'form_post' }));
  const script = String(/<script>(.*?)<\/script>/s.exec(form.text)?.[1]);
  const hash = createHash('sha256').update(script).digest('base64');
  t.true(String(form.headers.get('content-security-policy')).includes(`'sha256-${hash}'`));
  t.true(form.text.includes('name="code"'));
  const portal = new Set(['account', 'error docs']);
  for (const [name, { headers }] of Object.entries(pages)) {
    t.is(headers.get('cross-origin-opener-policy'), portal.has(name) ? 'same-origin' : 'unsafe-none', name);
  }
});

test.serial('the authorization endpoint shares nothing across origins', async (t) => {
  const spa = await addClient(app, { kind: 'spa', redirectUris: [callback] });
  for (const origin of ['https://shop.test', 'https://evil.test', 'null']) {
    const reply = await raw(app, authorizeUrl(app, spa).slice(app.url.length), { headers: { origin } });
    t.is(reply.headers['access-control-allow-origin'], undefined, origin);
  }
  const preflight = await raw(app, '/auth', {
    method: 'OPTIONS',
    headers: { origin: 'https://shop.test', 'access-control-request-method': 'POST' },
  });
  t.is(preflight.headers['access-control-allow-origin'], undefined);
  t.true(preflight.status < 500);
});

test.serial('an authorization request may be posted, and is answered with the same one by GET', async (t) => {
  const url = new URL(authorizeUrl(app, shop, { state: 'ä&=+ %' }));
  const jar = newJar();
  const reply = await request(jar, `${app.url}/auth`, { method: 'POST', body: url.searchParams });
  t.is(reply.status, 303);
  const target = new URL(String(reply.headers.get('location')), app.url);
  t.deepEqual([...target.searchParams], [...url.searchParams]);
  t.is(target.origin + target.pathname, `${app.url}/auth`);
  t.is((await walk(jar, target.href, { person })).get('state'), 'ä&=+ %');
  // Also when it is wrong: the GET says so.
  const wrong = await request(jar, `${app.url}/auth`, {
    method: 'POST',
    body: new URLSearchParams({ client_id: 'x' }),
  });
  t.is((await request(jar, new URL(String(wrong.headers.get('location')), app.url).href)).status, 400);
});

test.serial('a sign-out may be posted too, and is asked about on the same page', async (t) => {
  const jar = newJar();
  const { id_token } = await signInForTokens(app, jar, shop, person);
  const hint = new URLSearchParams({ id_token_hint: id_token, state: 's' });
  // From another site the session cookie does not come along.
  const reply = await request(newJar(), `${app.url}/session/end`, { method: 'POST', body: hint });
  t.is(reply.status, 303);
  const page = await openStep(jar, new URL(String(reply.headers.get('location')), app.url).href);
  t.is(page.url, `${app.url}/session/end?${hint}`);
  t.true(page.text.includes('id="sign-out-confirm"'));
  t.is((await request(jar, `${app.url}/account`)).status, 200, 'nothing is ended by the request alone');
});

test.serial('names and hints that were made to do harm are only text', async (t) => {
  const evil = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`;
  const client = await addClient(app, { kind: 'web', redirectUris: [callback], name: evil.slice(0, 100) });
  const pages: string[] = [];
  const jar = newJar();
  const hostile = await app.createPerson({ name: evil });
  const start = authorizeUrl(app, client, {
    login_hint: evil,
    ui_locales: evil,
    state: evil,
    nonce: evil,
    prompt: 'consent',
  });
  const answer = await walk(jar, start, { person: hostile, seen: (page) => pages.push(page) });
  t.is(answer.get('state'), evil);
  const finished = /\/interaction\/([\w-]+)\//.exec(pages[0] ?? '')?.[1];
  for (const url of [
    `${app.url}/account`,
    `${app.url}/interaction/${finished}`,
    `${app.url}/auth?client_id=${encodeURIComponent(evil)}`,
    `${authorizeUrl(app, client, { redirect_uri: `https://x.test/${evil}` })}`,
    `${app.url}/${encodeURIComponent(evil)}`,
    `${app.url}/session/end?client_id=${client.id}`,
    `${app.url}/session/end?post_logout_redirect_uri=${encodeURIComponent(evil)}`,
  ]) {
    pages.push((await openStep(jar, url)).text);
  }
  pages.push((await request(newJar(), `${app.url}/interaction/${finished}`)).text);
  t.true(pages.length >= 9);
  for (const page of pages) {
    t.false(page.includes('<script>'), page);
    t.false(page.includes('<img'), page);
    t.false(/ onerror=[^&]*>/.test(page.replaceAll(/&[a-z#0-9]+;[^<]*/g, '')), page);
  }
  t.true(
    pages.some((page) => page.includes('&lt;script&gt;')),
    'and it was shown',
  );
});

test.serial('a hint cannot become a wrong address to go on to', async (t) => {
  for (const target of [
    'https://evil.test',
    '//evil.test',
    '/\\evil.test',
    '/%5cevil.test',
    'javascript:alert(1)',
    '/\t/evil.test',
  ]) {
    for (const path of ['/preferences?theme=dark&return_to=', '/account/callback?state=']) {
      const { headers } = await raw(app, path + encodeURIComponent(target));
      const { origin } = new URL(String(headers.location), app.url);
      t.is(origin, app.url, `${path}${target}: ${headers.location}`);
    }
  }
});

test.serial('a method that a route does not have is 4xx', async (t) => {
  const replies: [string, RawReply][] = [];
  for (const method of ['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD', 'TRACE']) {
    for (const path of [
      '/token',
      '/token/introspection',
      '/token/revocation',
      '/request',
      '/account/sign-out',
      '/interaction/x/sign-in',
    ]) {
      replies.push([`${method} ${path}`, await raw(app, path, { method })]);
    }
  }
  for (const [what, { status }] of replies) t.true(status < 500, `${what}: ${status}`);
  t.deepEqual(
    replies
      .filter(
        ([what, { status }]) =>
          status < 400 && !what.startsWith('OPTIONS') && what !== 'GET /interaction/x/sign-in',
      )
      .map(([what, { status }]) => `${what}: ${status}`),
    [],
  );
});

test.serial('a sign-out ends the session under every id it had', async (t) => {
  const jar = newJar();
  await signIn(app, jar, shop, person);
  const before = cookieHeader(jar, `${app.url}/auth`);
  await signIn(app, jar, shop, undefined);
  const after = cookieHeader(jar, `${app.url}/auth`);
  t.is((await signOut(app, jar)).status, 303);
  for (const cookie of [before, after]) {
    const { headers } = await raw(app, authorizeUrl(app, shop, { prompt: 'none' }).slice(app.url.length), {
      headers: { cookie },
    });
    t.is(new URL(String(headers.location)).searchParams.get('error'), 'login_required');
  }
});

// Last: it moves the clock.
test.serial('a code that is a minute old is refused', async (t) => {
  const code = (await signIn(app, newJar(), shop, person)).get('code');
  const untouched = (await signIn(app, newJar(), shop, person)).get('code');
  t.is((await redeem(app, shop, untouched)).status, 200);
  await passTime(app.db, 61);
  t.is((await redeem(app, shop, code)).json['error'], 'invalid_grant');
  const jar = newJar();
  const step = await openStep(jar, authorizeUrl(app, shop));
  await passTime(app.db, 3601);
  t.is((await request(jar, step.url)).status, 410, 'an hour is long enough for a journey');
  t.is((await submit(jar, step, 'sign-in', { ...person })).status, 410);
  resetTime();
});
