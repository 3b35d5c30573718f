/** The authorization code flow without a browser: who gets what, and who does not. One after the other, since some let time pass. */
import test from 'ava';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { startTestApp, type TestApp } from '../_app.ts';
import { passTime, resetTime } from '../_time.ts';
import {
  authorizeUrl,
  basic,
  cookieHeader,
  newJar,
  post,
  redeem,
  refresh,
  request,
  type TestClient,
  userinfo,
  walk,
} from '../_walk.ts';

const callback = 'https://shop.test/callback';

async function setUp(more: Partial<Parameters<TestApp['createClient']>[0]> = {}) {
  const app = await startTestApp();
  const person = await app.createPerson({ roles: ['user', 'vip'] });
  const client: TestClient = {
    ...(await app.createClient({ kind: 'web', name: 'Shop', redirectUris: [callback], ...more })),
    redirectUri: callback,
  };
  return { app, person, client };
}

/** No request may be answered with a defect of ours. */
function noDefects(app: TestApp): string[] {
  return app.log.filter((line) => /"level":"(error|fatal)"/.test(line));
}

test.serial('a wrong password, an unknown name and a suspended account get no code', async (t) => {
  const { app, person, client } = await setUp();
  await using _ = app;
  for (const wrong of [
    { identifier: person.identifier, password: 'not the password' },
    { identifier: 'nobody@example.test', password: person.password },
  ]) {
    const pages: string[] = [];
    await t.throwsAsync(
      walk(newJar(), authorizeUrl(app, client), { person: wrong, seen: (page) => pages.push(page) }),
    );
    t.true(pages.some((page) => page.includes('role="alert"')));
  }
  await app
    .db('accounts')
    .where({ id: person.id as never })
    .update({ status: 'suspended' });
  await t.throwsAsync(walk(newJar(), authorizeUrl(app, client), { person }));
  t.deepEqual(noDefects(app), []);
});

test.serial(
  'a person signs in, and the client gets a code, an ID token, userinfo and refreshed tokens',
  async (t) => {
    const { app, person, client } = await setUp();
    await using _ = app;
    const answer = await walk(
      newJar(),
      authorizeUrl(app, client, { scope: 'openid profile email roles', nonce: 'n1', acr_values: '1' }),
      { person },
    );
    t.is(answer.get('iss'), app.url);
    t.is(answer.get('state'), 'the-state');
    const { status, json } = await redeem(app, client, answer.get('code'));
    t.is(status, 200);
    t.is(json['token_type'], 'Bearer');
    const { payload } = await jwtVerify(
      String(json['id_token']),
      createRemoteJWKSet(new URL(`${app.url}/jwks`)),
      {
        issuer: app.url,
        audience: client.id,
      },
    );
    t.is(payload.sub, person.subject);
    t.is(payload['nonce'], 'n1');
    t.is(payload['acr'], '1');
    const claims = (await userinfo(app, json['access_token'])).json;
    t.is(claims['email'], person.identifier);
    t.is(claims['name'], person.name);
    t.deepEqual(claims['roles'], ['user', 'vip']);
    const refreshed = await refresh(app, client, json['refresh_token']);
    t.is(refreshed.status, 200);
    t.is(refreshed.json['refresh_token'], json['refresh_token']);
    t.is((await userinfo(app, refreshed.json['access_token'])).status, 200);
    t.deepEqual(noDefects(app), []);
  },
);

test.serial('nothing that a person or client sent is in the log or readable in the database', async (t) => {
  const { app, person, client } = await setUp();
  await using _ = app;
  const jar = newJar();
  const answer = await walk(jar, authorizeUrl(app, client), { person });
  const { json } = await redeem(app, client, answer.get('code'));
  const session = jar.cookies.find(({ name }) => name === 'gatehouse_session')?.value;
  const secrets = [
    answer.get('code'),
    json['access_token'],
    json['refresh_token'],
    client.secret,
    person.password,
    session,
  ].map(String);
  t.true(secrets.every((secret) => secret.length > 10));
  const log = app.log.join('\n');
  const { rows } = await app.db.raw<{ rows: { tablename: string }[] }>(
    `select tablename from pg_tables where schemaname = 'public'`,
  );
  for (const { tablename } of rows) {
    const dump = await app.db.raw<{ rows: { row: string }[] }>(`select t::text as row from ${tablename} t`);
    const text = dump.rows.map(({ row }) => row).join('\n');
    for (const secret of secrets) {
      t.false(
        text.includes(secret) || text.includes(Buffer.from(secret).toString('hex')),
        `${tablename} holds ${secret.slice(0, 4)}`,
      );
    }
  }
  for (const secret of secrets) t.false(log.includes(secret));
});

test.serial('a redirect URI that differs in any way ends on a page, never in a redirect', async (t) => {
  const { app, client } = await setUp();
  await using _ = app;
  for (const uri of [
    'https://shop.test/Callback',
    'https://shop.test/callback/',
    'https://shop.test/callback?x=1',
    'https://shop.test/callback#x',
    'https://shop.test:8443/callback',
    'http://shop.test/callback',
    'https://user@shop.test/callback',
    'https://shop.test.evil.test/callback',
    'https://evil.test/?https://shop.test/callback',
    'https://shop.test/a/../callback',
    'https://shop.test/%63allback',
    'https://SHOP.test/callback ',
    'javascript:alert(1)',
  ]) {
    const reply = await request(newJar(), authorizeUrl(app, client, { redirect_uri: uri }));
    t.is(reply.status, 400, uri);
    t.is(reply.headers.get('location'), null, uri);
    t.true(reply.text.includes('id="error-code"'), uri);
  }
  t.deepEqual(noDefects(app), []);
});

test.serial('requests that are wrong are refused with the right error', async (t) => {
  const { app, client } = await setUp();
  await using _ = app;
  const refused: [Record<string, string | undefined>, string][] = [
    [{ code_challenge: undefined, code_challenge_method: undefined }, 'invalid_request'],
    [{ code_challenge_method: 'plain' }, 'invalid_request'],
    [{ response_type: 'token' }, 'unsupported_response_type'],
    [{ response_type: 'code id_token' }, 'unsupported_response_type'],
    [{ prompt: 'none' }, 'login_required'],
    [{ prompt: 'none login' }, 'invalid_request'],
    [{ resource: 'https://unknown.test' }, 'invalid_target'],
  ];
  for (const [more, error] of refused) {
    const { status, headers } = await request(newJar(), authorizeUrl(app, client, more));
    t.is(status, 303);
    const { searchParams, hash } = new URL(String(headers.get('location')));
    // Response types with a token in them answer in the fragment.
    const answered = searchParams.get('error') ?? new URLSearchParams(hash.slice(1)).get('error');
    t.is(answered, error, JSON.stringify(more));
  }
  const twice = await request(newJar(), `${authorizeUrl(app, client)}&scope=openid`);
  t.is(new URL(String(twice.headers.get('location'))).searchParams.get('error'), 'invalid_request');
  t.is((await request(newJar(), authorizeUrl(app, { ...client, id: 'unknown' }))).status, 400);
  t.is((await request(newJar(), `${authorizeUrl(app, client)}&state=%00`)).status, 400);
  t.is((await request(newJar(), `${authorizeUrl(app, client)}&login_hint=%zz`)).status, 400);
  t.deepEqual(noDefects(app), []);
});

test.serial(
  'a code works once, for its client, its redirect URI and its verifier; a wrong try does not burn it',
  async (t) => {
    const { app, person, client } = await setUp();
    await using _ = app;
    const other: TestClient = {
      ...(await app.createClient({ kind: 'web', name: 'Other', redirectUris: [callback] })),
      redirectUri: callback,
    };
    const code = (await walk(newJar(), authorizeUrl(app, client), { person })).get('code');
    for (const attempt of [
      redeem(app, other, code),
      redeem(app, client, code, { redirect_uri: 'https://shop.test/other' }),
      redeem(app, client, code, { code_verifier: 'w'.repeat(43) }),
      redeem(app, client, code, { code_verifier: undefined }),
      redeem(app, client, `${code}x`),
    ]) {
      const { status, json } = await attempt;
      t.is(status, 400);
      t.is(json['error'], 'invalid_grant');
    }
    const first = await redeem(app, client, code);
    t.is(first.status, 200);
    const second = await redeem(app, client, code);
    t.is(second.json['error'], 'invalid_grant');
    t.is((await userinfo(app, first.json['access_token'])).status, 401);
    t.is((await refresh(app, client, first.json['refresh_token'])).json['error'], 'invalid_grant');
  },
);

test.serial('of 50 parallel redemptions of one code exactly one succeeds', async (t) => {
  const { app, person, client } = await setUp();
  await using _ = app;
  const code = (await walk(newJar(), authorizeUrl(app, client), { person })).get('code');
  const replies = await Promise.all(Array.from({ length: 50 }, () => redeem(app, client, code)));
  t.is(replies.filter(({ status }) => status === 200).length, 1);
  t.true(replies.every(({ status, json }) => status === 200 || json['error'] === 'invalid_grant'));
  t.deepEqual(noDefects(app), []);
});

test.serial('an expired code is refused', async (t) => {
  const { app, person, client } = await setUp();
  await using _ = app;
  const code = (await walk(newJar(), authorizeUrl(app, client), { person })).get('code');
  await passTime(app.db, 61);
  t.is((await redeem(app, client, code)).json['error'], 'invalid_grant');
  resetTime();
});

test.serial('an unknown client and a wrong secret get the same answer', async (t) => {
  const { app, client } = await setUp();
  await using _ = app;
  const form = { grant_type: 'client_credentials' };
  const answers = await Promise.all([
    post(app, '/token', form, basic(client.id, 'wrong')),
    post(app, '/token', form, basic('app_unknown', 'wrong')),
    post(app, '/token', form, basic(client.id, `${client.secret}x`)),
  ]);
  for (const { status, text } of answers) {
    t.is(status, 401);
    t.is(text, answers[0]?.text);
  }
});

test.serial('damaged requests are answered 4xx, never 5xx', async (t) => {
  const { app, client } = await setUp();
  await using _ = app;
  const send = (body: string | Buffer, headers: Record<string, string> = {}) =>
    fetch(`${app.url}/token`, {
      method: 'POST',
      body: body as string,
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    });
  t.is((await send('grant_type=client_credentials&client_id=%00')).status, 400);
  t.is((await send('grant_type=%zz')).status, 400);
  t.is((await send(Buffer.from([0x61, 0x3d, 0xff, 0xfe]))).status, 400);
  t.is((await send('a='.padEnd(70_000, 'x'))).status, 413);
  t.is((await send('{}', { 'content-type': 'application/json' })).status, 400);
  t.is((await send('grant_type=client_credentials', { authorization: 'Basic %%%' })).status, 400);
  t.is(
    (
      await send('grant_type=client_credentials', {
        authorization: `Basic ${Buffer.from('a\0b:c').toString('base64')}`,
      })
    ).status,
    400,
  );
  t.true(
    (await send('__proto__=1&constructor=2&grant_type=x', basic(client.id, client.secret))).status < 500,
  );
  const wrongHost = await fetch(
    `${app.url.replace('localhost', '127.0.0.1')}/.well-known/openid-configuration`,
  );
  t.is(wrongHost.status, 421);
  t.false((await wrongHost.text()).includes('127.0.0.1/token'));
  const forwarded = await fetch(`${app.url}/.well-known/openid-configuration`, {
    headers: { 'x-forwarded-host': 'evil.test', 'x-forwarded-proto': 'https' },
  });
  t.is(((await forwarded.json()) as { token_endpoint: string }).token_endpoint, `${app.url}/token`);
  t.deepEqual(noDefects(app), []);
});

test.serial(
  "a form without its token, with another journey's, or from another site changes nothing",
  async (t) => {
    const { app, person, client } = await setUp();
    await using _ = app;
    const begin = async () => {
      const jar = newJar();
      const first = await request(jar, authorizeUrl(app, client));
      const url = `${app.url}${first.headers.get('location')}`;
      const page = await request(jar, url);
      return { jar, url, csrf: String(/name="csrf" value="([^"]+)"/.exec(page.text)?.[1]) };
    };
    const one = await begin();
    const other = await begin();
    const submit = (jar = one.jar, csrf = one.csrf, headers: Record<string, string> = {}) =>
      request(jar, `${one.url}/sign-in`, {
        method: 'POST',
        headers,
        body: new URLSearchParams({ csrf, identifier: person.identifier, password: person.password }),
      });
    t.is((await submit(one.jar, '')).status, 403);
    t.is((await submit(one.jar, other.csrf)).status, 403);
    t.is((await submit(one.jar, one.csrf, { 'sec-fetch-site': 'cross-site' })).status, 403);
    t.is((await submit(one.jar, one.csrf, { origin: 'https://evil.test' })).status, 403);
    t.is((await submit(other.jar, one.csrf)).status, 403, 'another browser has no cookie of this journey');
    t.is((await request(newJar(), one.url)).status, 403);
    t.is((await request(newJar(), `${app.url}/interaction/unknown`)).status, 410);
    t.is((await app.db('sessions').whereNotNull('subject')).length, 0);
    t.is((await submit()).status, 303);
  },
);

test.serial('steps out of order are refused', async (t) => {
  const { app, client } = await setUp();
  await using _ = app;
  const jar = newJar();
  const first = await request(jar, authorizeUrl(app, client));
  const url = `${app.url}${first.headers.get('location')}`;
  const csrf = String(/name="csrf" value="([^"]+)"/.exec((await request(jar, url)).text)?.[1]);
  for (const step of ['consent', 'setup', 'account']) {
    const reply = await request(jar, `${url}/${step}`, {
      method: 'POST',
      body: new URLSearchParams({
        csrf,
        decision: 'allow',
        key: 'x',
        name: 'x',
        identifier: 'x',
        password: 'x',
      }),
    });
    t.true(reply.status >= 300 && reply.status < 500, step);
    t.false(String(reply.headers.get('location')).includes('/auth/'), step);
  }
  t.is((await app.db('accounts').select('id')).length, 1);
});

test.serial('scopes are chosen one by one, remembered, and only what is new is asked', async (t) => {
  const { app, person, client } = await setUp();
  await using _ = app;
  const first = await walk(newJar(), authorizeUrl(app, client), { person, scopes: ['openid', 'profile'] });
  const tokens = (await redeem(app, client, first.get('code'))).json;
  t.is(tokens['scope'], 'openid profile');
  t.is((await userinfo(app, tokens['access_token'])).json['email'], undefined);

  const pages: string[] = [];
  const jar = newJar();
  await walk(jar, authorizeUrl(app, client), { person, seen: (page) => pages.push(page) });
  t.false(
    pages.some((page) => page.includes('consent-allow')),
    'another session does not ask again',
  );

  pages.length = 0;
  await walk(jar, authorizeUrl(app, client, { scope: 'openid profile email phone' }), {
    seen: (page) => pages.push(page),
  });
  const consent = pages.find((page) => page.includes('consent-allow')) ?? '';
  t.true(consent.includes('value="phone"'));
  t.false(
    consent.includes('value="email"'),
    'a refused scope is offered again only when the client asks for consent',
  );

  pages.length = 0;
  await walk(jar, authorizeUrl(app, client, { prompt: 'consent' }), { seen: (page) => pages.push(page) });
  t.true(pages.some((page) => page.includes('value="email"')));

  const denied = await walk(jar, authorizeUrl(app, client, { prompt: 'consent' }), { deny: true });
  t.is(denied.get('error'), 'access_denied');
});

test.serial(
  'a second client signs the same person in without a password; first-party ones ask nothing',
  async (t) => {
    const { app, person, client } = await setUp();
    await using _ = app;
    const jar = newJar();
    await walk(jar, authorizeUrl(app, client), { person });
    const own: TestClient = {
      ...(await app.createClient({ kind: 'web', name: 'Own', redirectUris: [callback], firstParty: true })),
      redirectUri: callback,
    };
    const seen: string[] = [];
    const answer = await walk(jar, authorizeUrl(app, own), { seen: (page) => seen.push(page) });
    t.deepEqual(seen, []);
    t.is((await redeem(app, own, answer.get('code'))).status, 200);
    const silent = await walk(jar, authorizeUrl(app, client, { prompt: 'none' }));
    t.truthy(silent.get('code'));
    t.is(
      (await walk(jar, authorizeUrl(app, client, { prompt: 'none', scope: 'openid phone' }))).get('error'),
      'consent_required',
    );
  },
);

test.serial('a native client and a public one on http are asked every time', async (t) => {
  const { app, person } = await setUp();
  await using _ = app;
  const native: TestClient = {
    ...(await app.createClient({ kind: 'native', name: 'Notes', redirectUris: ['http://127.0.0.1/cb'] })),
    redirectUri: 'http://127.0.0.1:4711/cb',
  };
  const spa: TestClient = {
    ...(await app.createClient({ kind: 'spa', name: 'Local', redirectUris: ['http://localhost:8080/cb'] })),
    redirectUri: 'http://localhost:8080/cb',
  };
  for (const client of [native, spa]) {
    const jar = newJar();
    await walk(jar, authorizeUrl(app, client), { person });
    const pages: string[] = [];
    const answer = await walk(jar, authorizeUrl(app, client), { seen: (page) => pages.push(page) });
    t.true(pages.some((page) => page.includes('consent-allow')));
    t.is((await redeem(app, client, answer.get('code'))).status, 200);
    t.is(
      (await walk(jar, authorizeUrl(app, client, { prompt: 'none' }))).get('error'),
      'interaction_required',
    );
  }
});

test.serial('prompt=login and max_age ask again, and the session id changes at sign-in', async (t) => {
  const { app, person, client } = await setUp();
  await using _ = app;
  const jar = newJar();
  await walk(jar, authorizeUrl(app, client), { person });
  const before = jar.cookies.find(({ name }) => name === 'gatehouse_session')?.value;
  const old = cookieHeader(jar, `${app.url}/auth`);
  await passTime(app.db, 120);
  t.is(
    (await walk(jar, authorizeUrl(app, client, { prompt: 'none', max_age: '60' }))).get('error'),
    'login_required',
  );
  await t.throwsAsync(walk(jar, authorizeUrl(app, client, { prompt: 'login' })));
  const answer = await walk(jar, authorizeUrl(app, client, { max_age: '60' }), { person });
  const idToken = String((await redeem(app, client, answer.get('code'))).json['id_token']);
  const { auth_time } = JSON.parse(Buffer.from(String(idToken.split('.')[1]), 'base64url').toString()) as {
    auth_time: number;
  };
  t.true(Math.abs(auth_time - Date.now() / 1000) < 20);
  t.not(jar.cookies.find(({ name }) => name === 'gatehouse_session')?.value, before);
  const reply = await fetch(authorizeUrl(app, client, { prompt: 'none' }), {
    headers: { cookie: old },
    redirect: 'manual',
  });
  t.is(new URL(String(reply.headers.get('location'))).searchParams.get('error'), 'login_required');
  resetTime();
});

test.serial('a public client rotates; retries get the same successor; reuse ends the family', async (t) => {
  const { app, person } = await setUp();
  await using _ = app;
  const client: TestClient = {
    ...(await app.createClient({ kind: 'spa', name: 'Spa', redirectUris: [callback] })),
    redirectUri: callback,
  };
  const code = (await walk(newJar(), authorizeUrl(app, client), { person })).get('code');
  const { json } = await redeem(app, client, code);
  const replies = await Promise.all(
    Array.from({ length: 20 }, () => refresh(app, client, json['refresh_token'])),
  );
  t.true(replies.every(({ status }) => status === 200));
  const successors = new Set(replies.map((reply) => reply.json['refresh_token']));
  t.is(successors.size, 1);
  const [successor] = successors;
  const next = await refresh(app, client, successor);
  t.is(next.status, 200);
  t.is((await refresh(app, client, json['refresh_token'])).json['error'], 'invalid_grant', 'a late retry');
  t.is((await refresh(app, client, next.json['refresh_token'])).status, 200, 'and it kills nothing');
  await passTime(app.db, 30);
  t.is((await refresh(app, client, successor)).json['error'], 'invalid_grant', 'reuse');
  t.is(
    (await refresh(app, client, next.json['refresh_token'])).json['error'],
    'invalid_grant',
    'ends the family',
  );
  resetTime();
});

test.serial(
  'a refresh token ends with the session; with offline_access it outlives the sign-out',
  async (t) => {
    const { app, person, client } = await setUp();
    await using _ = app;
    for (const offline of [false, true]) {
      const jar = newJar();
      const more = offline ? { scope: 'openid offline_access', prompt: 'consent' } : { scope: 'openid' };
      const answer = await walk(jar, authorizeUrl(app, client, more), { person });
      const { json } = await redeem(app, client, answer.get('code'));
      const account = await request(jar, `${app.url}/account`);
      t.is(account.status, 200);
      const csrf = String(/name="csrf" value="([^"]+)"/.exec(account.text)?.[1]);
      t.is(
        (
          await request(jar, `${app.url}/account/sign-out`, {
            method: 'POST',
            body: new URLSearchParams({ csrf: 'x' }),
          })
        ).status,
        403,
      );
      const cookie = cookieHeader(jar, `${app.url}/auth`);
      t.is(
        (
          await request(jar, `${app.url}/account/sign-out`, {
            method: 'POST',
            body: new URLSearchParams({ csrf }),
          })
        ).status,
        303,
      );
      const again = await fetch(authorizeUrl(app, client, { prompt: 'none' }), {
        headers: { cookie },
        redirect: 'manual',
      });
      t.is(new URL(String(again.headers.get('location'))).searchParams.get('error'), 'login_required');
      t.is((await refresh(app, client, json['refresh_token'])).status, offline ? 200 : 400);
      t.is((await userinfo(app, json['access_token'])).status, offline ? 200 : 401);
    }
  },
);

test.serial("an API's token comes by resource, says the roles, and dies with the grant", async (t) => {
  const { app, person, client } = await setUp({ grantTypes: ['authorization_code', 'refresh_token'] });
  await using _ = app;
  const api = 'https://api.test/orders';
  await app.createApi({
    identifier: api,
    title: 'Orders',
    scopes: [{ name: 'read' }, { name: 'vip', restricted: true }],
  });
  const row = await app.db('apis').where({ identifier: api }).first('id');
  await app.db('role_scopes').insert({ role: 'vip', api_id: String(row?.id), scope: 'vip' });
  const guard: TestClient = {
    ...(await app.createClient({ kind: 'api', name: 'Guard', api })),
    redirectUri: '',
  };

  const jar = newJar();
  const answer = await walk(
    jar,
    authorizeUrl(app, client, { scope: 'openid roles read vip', resource: api }),
    { person },
  );
  const first = (await redeem(app, client, answer.get('code'))).json;
  t.false(String(first['access_token']).includes('.'), 'without a resource the token is for userinfo');
  const { json } = await refresh(app, client, first['refresh_token'], { resource: api });
  const { payload, protectedHeader } = await jwtVerify(
    String(json['access_token']),
    createRemoteJWKSet(new URL(`${app.url}/jwks`)),
    {
      issuer: app.url,
      audience: api,
      typ: 'at+jwt',
    },
  );
  t.is(protectedHeader.alg, 'ES256');
  t.is(payload.sub, person.subject);
  t.is(payload['scope'], 'read vip');
  t.deepEqual(payload['roles'], ['user', 'vip']);
  t.is((payload['rev'] as string[]).length, 2);
  t.is(
    (await refresh(app, client, first['refresh_token'], { resource: 'https://other.test' })).json['error'],
    'invalid_target',
  );

  const introspect = (token: unknown, who: TestClient) =>
    post(app, '/token/introspection', { token: String(token) }, basic(who.id, who.secret));
  t.is((await introspect(json['access_token'], guard)).json['active'], true);
  t.is((await introspect(json['access_token'], guard)).json['sub'], person.subject);
  t.is((await introspect(first['access_token'], guard)).json['active'], false, 'not its audience');

  await app
    .db('account_roles')
    .where({ account_id: person.id as never, role: 'vip' })
    .delete();
  const later = await refresh(app, client, first['refresh_token'], { resource: api });
  t.is(later.json['scope'], 'read', 'a lost role is lost at the next refresh');

  const account = await request(jar, `${app.url}/account`);
  const csrf = String(/name="csrf" value="([^"]+)"/.exec(account.text)?.[1]);
  await request(jar, `${app.url}/account/sign-out`, { method: 'POST', body: new URLSearchParams({ csrf }) });
  t.is((await introspect(json['access_token'], guard)).json['active'], false, 'signed out');
});
