/** What an authorization request may ask for, how it is answered, and that nothing in it makes the server call or redirect elsewhere. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createHash, randomUUID } from 'node:crypto';
import test from 'ava';
import { calculateJwkThumbprint, decodeJwt, exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import { startTestApp, type TestApp } from '../_app.ts';
import { addClient, defects, errorOf, openStep, signIn, signInForTokens, submit } from '../_browserless.ts';
import { passTime, resetTime } from '../_time.ts';
import {
  authorizeUrl,
  basic,
  newJar,
  post,
  redeem,
  refresh,
  request,
  type TestClient,
  userinfo,
  verifier,
  walk,
} from '../_walk.ts';

const callback = 'https://shop.test/callback';
const orders = 'https://api.test/orders';

let app: TestApp;
let person: Awaited<ReturnType<TestApp['createPerson']>>;
/** First-party, so that these tests are not about consent. */
let shop: TestClient;

test.before(async () => {
  app = await startTestApp();
  person = await app.createPerson();
  await app.createApi({ identifier: orders, title: 'Orders', scopes: [{ name: 'read' }, { name: 'write' }] });
  shop = await addClient(app, { kind: 'web', redirectUris: [callback], firstParty: true });
});
test.after.always(async () => {
  resetTime();
  await app?.[Symbol.asyncDispose]();
});
test.afterEach((t) => t.deepEqual(defects(app), []));

/** What a request is answered with, and whether the answer went to the registered address. */
async function answerTo(parameters: Record<string, string | undefined>, jar = newJar()) {
  const reply = await request(jar, authorizeUrl(app, shop, parameters));
  const location = reply.headers.get('location');
  const { hash } = new URL(location ?? 'x:', app.url);
  // A request for what a fragment would carry is refused in one.
  const error = hash ? (new URLSearchParams(hash.slice(1)).get('error') ?? undefined) : errorOf(reply);
  return { reply, error, atClient: location?.startsWith(callback) ?? false };
}

test.serial('a request object and an address of one are refused, and nothing is fetched', async (t) => {
  let calls = 0;
  await using server = createServer((_request, response) => {
    calls += 1;
    response.end('x');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/request`;
  const unsigned = new UnsecuredJWT({ client_id: shop.id, redirect_uri: 'https://evil.test/' }).encode();
  for (const [parameters, error] of [
    [{ request: unsigned }, 'request_not_supported'],
    [{ request: 'x' }, 'request_not_supported'],
    [{ request_uri: address }, undefined],
    [{ request_uri: 'urn:ietf:params:oauth:request_uri:unknown' }, undefined],
    [{ registration: '{}' }, 'registration_not_supported'],
  ] as const) {
    const { reply, ...answer } = await answerTo(parameters);
    const what = JSON.stringify(parameters);
    t.true(reply.status === 303 || reply.status === 400, what);
    t.false(String(reply.headers.get('location')).includes('evil.test'), what);
    if (error) t.is(answer.error, error, what);
    else t.regex(String(answer.error), /^(invalid_request_uri|request_uri_not_supported)$/, what);
    t.is(new URLSearchParams(String(reply.headers.get('location')).split('?')[1]).get('code'), null, what);
  }
  t.is(calls, 0);
});

test.serial('only a code is given, and only in the ways that are offered', async (t) => {
  for (const response_type of ['token', 'id_token', 'none', 'code token', 'code id_token', 'x', '']) {
    const { error, atClient } = await answerTo({ response_type });
    t.regex(String(error), /^(unsupported_response_type|invalid_request)$/, response_type);
    t.true(atClient, response_type);
  }
  for (const response_mode of ['web_message', 'jwt', 'query.jwt', 'form_post.jwt', 'x']) {
    const { error, reply } = await answerTo({ response_mode });
    t.regex(String(error), /^(unsupported_response_mode|invalid_request)$/, response_mode);
    t.false(reply.text.includes('name="code"'));
  }
  const jar = newJar();
  await signIn(app, jar, shop, person);
  for (const response_mode of ['query', 'fragment', 'form_post']) {
    // The check of the address is the same for each way of answering.
    const wrong = await request(
      jar,
      authorizeUrl(app, shop, { response_mode, redirect_uri: 'https://evil.test/callback' }),
    );
    t.is(wrong.status, 400, response_mode);
    t.is(errorOf(wrong), 'invalid_redirect_uri', response_mode);
    t.false(wrong.text.includes('action="https://evil.test'), response_mode);
  }
});

test.serial('an answer by form carries what was sent as text, to the registered address only', async (t) => {
  const jar = newJar();
  await signIn(app, jar, shop, person);
  const evil = `"><script>alert(1)</script><input name="`;
  for (const prompt of ['none', 'none login']) {
    const page = await request(
      jar,
      authorizeUrl(app, shop, { response_mode: 'form_post', state: evil, prompt }),
    );
    t.is(page.status, prompt === 'none' ? 200 : 400, prompt);
    t.deepEqual(
      [...page.text.matchAll(/<form[^>]* action="([^"]*)"/g)].map(([, action]) => action),
      [callback],
    );
    t.is(page.text.split('<script').length, 2, 'its own script and no other');
    t.true(page.text.includes('&lt;script&gt;'));
    t.is(page.text.includes('name="code"'), prompt === 'none');
    t.is(page.text.includes('name="error"'), prompt !== 'none');
    t.true(page.text.includes('name="iss"'));
    t.is(page.headers.get('cache-control'), 'no-store');
  }
});

test.serial('every answer says who answers', async (t) => {
  const jar = newJar();
  const code = await signIn(app, jar, shop, person);
  t.is(code.get('iss'), app.url);
  for (const parameters of [
    { prompt: 'none' },
    { response_type: 'token' },
    { scope: 'openid unknown\u00e9' },
  ]) {
    const { reply } = await answerTo(parameters);
    const { searchParams, hash } = new URL(String(reply.headers.get('location')));
    const answered = hash ? new URLSearchParams(hash.slice(1)) : searchParams;
    t.is(answered.get('iss'), app.url, JSON.stringify(parameters));
    t.is(answered.get('state'), 'the-state', JSON.stringify(parameters));
  }
});

test.serial('prompts and ages that contradict themselves or are none are refused', async (t) => {
  for (const parameters of [
    { prompt: 'none login' },
    { prompt: 'none consent' },
    { prompt: 'unknown' },
    { max_age: '-1' },
    { max_age: 'soon' },
    { max_age: '1.5' },
    { max_age: '99999999999999999999' },
    { id_token_hint: 'x' },
    { claims: 'x' },
    { claims: '[]' },
    { claims: '{}' },
    { claims: '{"id_token":{"acr":{"essential":true,"values":"1"}}}' },
    { claims: '{"userinfo":{"__proto__":null,"email":7}}' },
  ]) {
    const { error, atClient } = await answerTo(parameters);
    t.is(error, 'invalid_request', JSON.stringify(parameters));
    t.true(atClient, JSON.stringify(parameters));
  }
  const jar = newJar();
  await signIn(app, jar, shop, person);
  t.is((await answerTo({ max_age: '0', prompt: 'none' }, jar)).error, 'login_required');
  t.true((await openStep(jar, authorizeUrl(app, shop, { max_age: '0' }))).text.includes('name="password"'));
});

test.serial('several prompts at once are each asked once, and the journey ends', async (t) => {
  const blog = await addClient(app, { kind: 'web', name: 'Blog', redirectUris: [callback] });
  const { identifier, password, subject } = person;
  for (const [prompt, expected] of [
    ['login consent', ['sign-in', 'consent']],
    ['select_account consent', ['account', 'consent']],
    ['select_account login', ['sign-in']],
    ['login select_account consent', ['sign-in', 'consent']],
  ] as const) {
    const jar = newJar();
    await signIn(app, jar, blog, person);
    const asked: string[] = [];
    let step = await openStep(jar, authorizeUrl(app, blog, { prompt }));
    for (;;) {
      const part = String(
        step.actions
          .find((action) => !/(switch-account|cancel)$/.test(action))
          ?.split('/')
          .at(-1),
      );
      asked.push(part);
      if (asked.length > 5) break;
      const fields = { identifier, password, account: subject, scope: 'email', decision: 'allow' };
      const sent = await submit(jar, step, part, fields);
      const next = await request(jar, new URL(String(sent.headers.get('location')), app.url).href);
      const location = String(next.headers.get('location'));
      if (location.startsWith(callback)) {
        t.truthy(new URL(location).searchParams.get('code'), prompt);
        break;
      }
      step = await openStep(jar, new URL(location, app.url).href);
    }
    t.deepEqual(asked, [...expected], prompt);
  }
});

test.serial(
  'two APIs at once are two groups of choices, and scopes with odd names are only scopes',
  async (t) => {
    const odd = ['constructor', 'toString', '__proto__', 'hasOwnProperty'];
    const stock = 'https://api.test/stock';
    await app.createApi({
      identifier: stock,
      title: 'Stock',
      scopes: ['read', ...odd].map((name) => ({ name })),
    });
    const blog = await addClient(app, { kind: 'web', name: 'Blog', redirectUris: [callback] });
    const jar = newJar();
    const url = new URL(authorizeUrl(app, blog, { scope: `openid read write ${odd.join(' ')}` }));
    for (const resource of [orders, stock]) url.searchParams.append('resource', resource);
    for (const prompt of ['login', 'consent']) {
      url.searchParams.set('prompt', prompt);
      const pages: string[] = [];
      const answer = await walk(jar, url.href, { person, seen: (page) => pages.push(page) });
      const asked = [...String(pages.at(-1)).matchAll(/name="scope" value="([^"]+)"/g)].map(
        ([, scope]) => scope,
      );
      t.deepEqual(asked, [
        'openid',
        `${orders} read`,
        `${orders} write`,
        ...['read', ...odd].map((name) => `${stock} ${name}`),
      ]);
      const { json } = await redeem(app, blog, answer.get('code'));
      const scopeFor = async (resource: string) => {
        const reply = await refresh(app, blog, json['refresh_token'], { resource });
        return String(decodeJwt(String(reply.json['access_token']))['scope'])
          .split(' ')
          .toSorted();
      };
      t.deepEqual(await scopeFor(orders), ['read', 'write']);
      t.deepEqual(await scopeFor(stock), ['read', ...odd].toSorted());
    }
  },
);

test.serial('who may have or wants to give nothing of what is asked gives nothing', async (t) => {
  const vault = 'https://api.test/vault';
  await app.createApi({
    identifier: vault,
    title: 'Vault',
    scopes: [{ name: 'look' }, { name: 'open', restricted: true }],
  });
  const blog = await addClient(app, { kind: 'web', name: 'Blog', redirectUris: [callback] });
  for (const [scope, client, ticked] of [
    ['look', blog, []],
    ['open', blog, undefined],
    ['open', shop, undefined],
  ] as const) {
    const jar = newJar();
    for (const turn of ['first', 'second']) {
      const answer = await walk(jar, authorizeUrl(app, client, { scope, resource: vault }), {
        person,
        ...(ticked ? { scopes: ticked } : {}),
      });
      t.is(answer.get('error'), 'access_denied', `${scope} ${turn}`);
    }
  }
  const some = await signInForTokens(app, newJar(), blog, person, {
    scope: 'openid look open',
    resource: vault,
  });
  const { json } = await refresh(app, blog, some.refresh_token, { resource: vault });
  t.is(
    decodeJwt(String(json['access_token']))['scope'],
    undefined,
    'what was refused before is not asked again',
  );
});

test.serial('a level that cannot be reached is told, and not asked for again and again', async (t) => {
  const jar = newJar();
  const essential = (acr: object) => ({
    claims: JSON.stringify({ id_token: { acr: { essential: true, ...acr } } }),
  });
  for (const acr of [{ values: ['2', 'phr'] }, { value: '2' }]) {
    const answer = await walk(jar, authorizeUrl(app, shop, essential(acr)), { person });
    t.is(answer.get('error'), 'unmet_authentication_requirements', JSON.stringify(acr));
    t.is(answer.get('code'), null);
  }
  for (const parameters of [
    essential({ values: ['2', '1'] }),
    { acr_values: '2 phr' },
    { acr_values: '1' },
  ]) {
    const { id_token } = await signInForTokens(app, jar, shop, person, parameters);
    t.is(decodeJwt(id_token)['acr'], '1', 'what was really done');
  }
});

test.serial('a hint about another person never signs this one in', async (t) => {
  const bob = await app.createPerson({ name: 'Bob' });
  const jar = newJar();
  const { id_token } = await signInForTokens(app, newJar(), shop, bob);
  await signIn(app, jar, shop, person);
  for (const parameters of [
    { id_token_hint: id_token },
    { claims: JSON.stringify({ id_token: { sub: { value: bob.subject } } }) },
  ]) {
    t.is((await answerTo({ ...parameters, prompt: 'none' }, jar)).error, 'login_required');
    const step = await openStep(jar, authorizeUrl(app, shop, parameters));
    t.true(step.text.includes('name="password"'));
    t.false(step.text.includes(person.identifier), 'the one who is signed in is not who has to sign in');
    const wrong = await submit(jar, step, 'sign-in', { ...person });
    const next = await request(jar, new URL(String(wrong.headers.get('location')), app.url).href);
    t.regex(String(next.headers.get('location')), /^\/interaction\//, 'it is asked again');
  }
  const fresh = newJar();
  const answer = await walk(fresh, authorizeUrl(app, shop, { id_token_hint: id_token }), { person: bob });
  const { json } = await redeem(app, shop, answer.get('code'));
  t.is(decodeJwt(String(json['id_token'])).sub, bob.subject);
});

test.serial(
  'without "openid" the code is for the API: the one that is named, or the default one',
  async (t) => {
    const withDefault = await addClient(app, {
      kind: 'web',
      redirectUris: [callback],
      firstParty: true,
      defaultResource: orders,
    });
    const jar = newJar();
    for (const [client, parameters] of [
      [withDefault, { scope: 'read' }],
      [shop, { scope: 'read', resource: orders }],
    ] as const) {
      const code = (await signIn(app, jar, client, person, parameters)).get('code');
      const { status, json } = await redeem(app, client, code);
      t.is(status, 200);
      t.is(json['id_token'], undefined);
      const claims = decodeJwt(String(json['access_token']));
      t.is(claims.aud, orders);
      t.is(claims['scope'], 'read');
      t.is((await userinfo(app, json['access_token'])).status, 401);
    }
    const { access_token, refresh_token } = await signInForTokens(app, jar, withDefault, person, {
      scope: 'openid email read',
    });
    t.is(
      (await userinfo(app, access_token)).json['email'],
      person.identifier,
      'with "openid" it is the one for userinfo',
    );
    const { json } = await refresh(app, withDefault, refresh_token, { resource: orders });
    t.is(decodeJwt(String(json['access_token']))['scope'], 'read');
    const unknown = await answerTo({ resource: 'https://api.test/unknown' }, jar);
    t.is(unknown.error, 'invalid_target');
    const notAsked = await redeem(app, shop, (await signIn(app, jar, shop, person)).get('code'), {
      resource: orders,
    });
    t.is(notAsked.json['error'], 'invalid_target', 'an API that the request did not name');
  },
);

test.serial('two applications cannot tell that a person with a pairwise subject is the same', async (t) => {
  const [one, other] = [
    await addClient(app, {
      kind: 'web',
      redirectUris: ['https://one.test/cb'],
      firstParty: true,
      subjectType: 'pairwise',
    }),
    await addClient(app, {
      kind: 'web',
      redirectUris: ['https://other.test/cb'],
      firstParty: true,
      subjectType: 'pairwise',
    }),
  ];
  const jar = newJar();
  const subjects: unknown[] = [];
  for (const client of [one, other]) {
    const tokens = await signInForTokens(app, jar, client, person, {
      scope: 'openid read',
      resource: orders,
    });
    const { json } = await refresh(app, client, tokens.refresh_token, { resource: orders });
    const sub = decodeJwt(tokens.id_token).sub;
    t.is((await userinfo(app, tokens.access_token)).json['sub'], sub);
    const jwt = decodeJwt(String(json['access_token']));
    t.is(jwt.sub, sub);
    t.false(JSON.stringify(jwt).includes(person.subject) || JSON.stringify(jwt).includes(person.id));
    const silent = await signIn(app, jar, client, undefined, {
      prompt: 'none',
      id_token_hint: tokens.id_token,
    });
    t.truthy(silent.get('code'), 'its own hint is understood');
    subjects.push(sub);
  }
  t.not(subjects[0], subjects[1]);
  t.false(subjects.includes(person.subject));
});

test.serial(
  'a proof of possession is for one request, one address, one token and a short time',
  async (t) => {
    const spa = await addClient(app, { kind: 'spa', redirectUris: [callback] });
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
    const jwk = await exportJWK(publicKey);
    const prove = (htu: string, claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}) =>
      new SignJWT({ htm: 'POST', htu, jti: randomUUID(), iat: Math.floor(Date.now() / 1000), ...claims })
        .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk, ...header })
        .sign(privateKey);
    const here = `${app.url}/token`;
    const jar = newJar();
    const newCode = async () =>
      String(
        (await signIn(app, jar, spa, person, { dpop_jkt: await calculateJwkThumbprint(jwk) })).get('code'),
      );
    const send = (code: string, proof: string | undefined) =>
      post(
        app,
        '/token',
        {
          grant_type: 'authorization_code',
          code,
          redirect_uri: callback,
          code_verifier: verifier,
          client_id: spa.id,
        },
        proof ? { dpop: proof } : {},
      );
    const code = await newCode();
    const now = Math.floor(Date.now() / 1000);
    const wrong: Record<string, string> = {
      'not a JWT': 'x',
      'another address': await prove(`${app.url}/me`),
      'another server': await prove('https://evil.test/token'),
      'another method': await prove(here, { htm: 'GET' }),
      old: await prove(here, { iat: now - 600 }),
      'from the future': await prove(here, { iat: now + 600 }),
      'no id': await prove(here, { jti: undefined }),
      'another type': await prove(here, {}, { typ: 'JWT' }),
      'a private key in the header': await prove(here, {}, { jwk: await exportJWK(privateKey) }),
      'another key in the header': await prove(
        here,
        {},
        { jwk: await exportJWK((await generateKeyPair('ES256')).publicKey) },
      ),
    };
    for (const [what, proof] of Object.entries(wrong)) {
      const { status, json } = await send(code, proof);
      t.true(status === 400 || status === 401, what);
      t.regex(
        String(json['error']),
        /^(invalid_dpop_proof|use_dpop_nonce|invalid_grant|invalid_request)$/,
        what,
      );
    }
    const proof = await prove(here);
    const { status, json } = await send(code, proof);
    t.is(status, 200, 'and none of them spent the code');
    t.is(json['token_type'], 'DPoP');
    // The code is for this key, from the authorization request on (RFC 9449 section 10).
    const foreign = await generateKeyPair('ES256');
    const byAnother = await new SignJWT({ htm: 'POST', htu: here, jti: randomUUID(), iat: now })
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: await exportJWK(foreign.publicKey) })
      .sign(foreign.privateKey);
    for (const stolen of [undefined, byAnother]) {
      t.is((await send(await newCode(), stolen)).json['error'], 'invalid_grant');
    }
    const replayed = await send(await newCode(), proof);
    t.is(replayed.status, 400);
    t.regex(String(replayed.json['error']), /^invalid_(dpop_proof|grant)$/);

    const token = String(json['access_token']);
    const me = async (proofOf: string, scheme = 'DPoP') =>
      (await fetch(`${app.url}/me`, { headers: { authorization: `${scheme} ${token}`, dpop: proofOf } }))
        .status;
    const ath = createHash('sha256').update(token).digest('base64url');
    const there = `${app.url}/me`;
    t.is(await me(await prove(there, { htm: 'GET' })), 401, 'it does not name the token');
    t.is(await me(await prove(there, { htm: 'GET', ath: `${ath}x` })), 401);
    t.true([400, 401].includes(await me(await prove(there, { htm: 'GET', ath }), 'Bearer')));
    const good = await prove(there, { htm: 'GET', ath });
    t.is(await me(good), 200);
    t.is(await me(good), 401, 'a second time');
  },
);

test.serial(
  'a secret in the header is needed by a client that has one, also to push a request',
  async (t) => {
    const parameters = Object.fromEntries(new URL(authorizeUrl(app, shop)).searchParams);
    t.is((await post(app, '/request', parameters)).status, 401);
    t.is((await post(app, '/request', parameters, basic(shop.id, 'wrong'))).status, 401);
    const withUri = await post(
      app,
      '/request',
      { ...parameters, request_uri: 'urn:ietf:params:oauth:request_uri:x' },
      basic(shop.id, shop.secret),
    );
    t.is(withUri.status, 400);
    t.regex(String(withUri.json['error']), /^(invalid_request|request_uri_not_supported)$/);
    const badAddress = await post(
      app,
      '/request',
      { ...parameters, redirect_uri: 'https://evil.test/' },
      basic(shop.id, shop.secret),
    );
    t.is(badAddress.status, 400);
    t.regex(String(badAddress.json['error']), /^invalid_re(quest|direct_uri)$/);
  },
);

// Last: it moves the clock.
test.serial('a family of refresh tokens has one end, however often it rotates', async (t) => {
  const spa = await addClient(app, { kind: 'spa', redirectUris: [callback] });
  const offline = { scope: 'openid offline_access', prompt: 'consent' };
  let { refresh_token: token } = await signInForTokens(app, newJar(), spa, person, offline);
  const { refreshSeconds } = app.config.tokens;
  const steps = 4;
  for (let step = 1; step < steps; step += 1) {
    await passTime(app.db, Math.floor(refreshSeconds / steps));
    const { status, json } = await refresh(app, spa, token);
    t.is(status, 200, `step ${step}`);
    t.not(json['refresh_token'], token);
    token = String(json['refresh_token']);
  }
  await passTime(app.db, Math.ceil(refreshSeconds / steps) + 5);
  t.is((await refresh(app, spa, token)).json['error'], 'invalid_grant');
  resetTime();
});
