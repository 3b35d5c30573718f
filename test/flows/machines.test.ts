/** Programs: client credentials, the tokens they get, and what introspection and revocation tell whom. */
import { createHmac, createPrivateKey, createPublicKey, randomUUID, sign } from 'node:crypto';
import test from 'ava';
import {
  createRemoteJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWTPayload,
  jwtVerify,
  SignJWT,
} from 'jose';
import { loadSigningKeys } from '../../server/keys/signing-keys.ts';
import { openKeyring } from '../../server/keys/keyring.ts';
import { startTestApp, type TestApp } from '../_app.ts';
import {
  addClient,
  type Credential,
  defects,
  errorOf,
  introspect,
  revoke,
  signInForTokens,
  signOut,
} from '../_browserless.ts';
import { passTime, resetTime } from '../_time.ts';
import {
  authorizeUrl,
  basic,
  newJar,
  post,
  type Reply,
  redeem,
  refresh,
  request,
  type TestClient,
  userinfo,
  walk,
} from '../_walk.ts';

const callback = 'https://shop.test/callback';
const orders = 'https://api.test/orders';
const stock = 'https://api.test/stock';

let app: TestApp;
let person: Awaited<ReturnType<TestApp['createPerson']>>;
/** Names no API; one with a default API; one with a role that holds the restricted scope. */
let machine: Credential;
let ordering: Credential;
let admin: Credential;
/** The credentials by which the two APIs introspect. */
let ordersApi: Credential;
let stockApi: Credential;
let shop: TestClient;

test.before(async () => {
  app = await startTestApp();
  await app.createApi({
    identifier: orders,
    title: 'Orders',
    scopes: [{ name: 'read' }, { name: 'write' }, { name: 'refund', restricted: true }],
    ttlSeconds: 300,
  });
  await app.createApi({
    identifier: stock,
    title: 'Stock',
    tokenFormat: 'opaque',
    scopes: [{ name: 'count' }],
  });
  const api = await app.db('apis').where({ identifier: orders }).first('id');
  await app.db('role_scopes').insert({ role: 'admin', api_id: String(api?.id), scope: 'refund' });
  person = await app.createPerson();
  machine = await app.createClient({ kind: 'machine', name: 'Machine' });
  ordering = await app.createClient({ kind: 'machine', name: 'Ordering', defaultResource: orders });
  admin = await app.createClient({ kind: 'machine', name: 'Admin', roles: ['admin'] });
  ordersApi = await app.createClient({ kind: 'api', name: 'Orders', api: orders });
  stockApi = await app.createClient({ kind: 'api', name: 'Stock', api: stock });
  shop = await addClient(app, { kind: 'web', redirectUris: [callback] });
});
test.after.always(async () => {
  resetTime();
  await app?.[Symbol.asyncDispose]();
});
test.afterEach((t) => t.deepEqual(defects(app), []));

function ask(client: Credential, form: Record<string, string> = {}): Promise<Reply> {
  return post(app, '/token', { grant_type: 'client_credentials', ...form }, basic(client.id, client.secret));
}

async function tokenOf(client: Credential, form: Record<string, string> = {}): Promise<string> {
  const { status, json, text } = await ask(client, form);
  if (status !== 200) throw new Error(text);
  return String(json['access_token']);
}

const isActive = async (token: string, client: Credential) =>
  (await introspect(app, token, client)).json['active'];

/** A person's JWT for the API, with the tokens it came from. */
async function personTokens(jar = newJar(), more: Record<string, string> = {}) {
  const tokens = await signInForTokens(app, jar, shop, person, {
    scope: 'openid read',
    resource: orders,
    ...more,
  });
  const { json } = await refresh(app, shop, tokens.refresh_token, { resource: orders });
  return { tokens, jwt: String(json['access_token']) };
}

test.serial('a machine gets a JWT for an API that verifies with the published keys', async (t) => {
  for (const [client, form] of [
    [machine, { resource: orders, scope: 'read write' }],
    [ordering, { scope: 'read write' }],
  ] as const) {
    const { status, json, headers } = await ask(client, form);
    t.is(status, 200);
    t.is(headers.get('cache-control'), 'no-store');
    t.deepEqual(Object.keys(json).sort(), ['access_token', 'expires_in', 'scope', 'token_type']);
    t.is(json['token_type'], 'Bearer');
    t.is(json['expires_in'], 300);
    t.is(json['scope'], 'read write');
    const { payload, protectedHeader } = await jwtVerify(
      String(json['access_token']),
      createRemoteJWKSet(new URL(`${app.url}/jwks`)),
      { issuer: app.url, audience: orders, typ: 'at+jwt', algorithms: ['ES256'] },
    );
    t.is(protectedHeader.typ, 'at+jwt');
    t.is(payload.aud, orders, 'one audience, as a string');
    t.is(payload['client_id'], client.id);
    t.is(payload.sub, client.id);
    t.is(payload['scope'], 'read write');
    t.is(Number(payload.exp) - Number(payload.iat), 300);
    t.is(typeof payload.jti, 'string');
    t.is((payload['rev'] as string[]).length, 1);
    t.deepEqual(Object.keys(payload).sort(), [
      'aud',
      'client_id',
      'exp',
      'iat',
      'iss',
      'jti',
      'rev',
      'scope',
      'sub',
    ]);
  }
});

test.serial('where no API is named the token is opaque', async (t) => {
  const { json } = await ask(machine, { scope: 'read' });
  t.regex(String(json['access_token']), /^gct_/);
  t.is(json['refresh_token'], undefined);
  t.is(json['scope'], undefined, 'there is no API that the scope could be of');
  const described = (await introspect(app, String(json['access_token']), machine)).json;
  t.is(described['active'], true);
  t.is(described['client_id'], machine.id);
  t.is(described['aud'], undefined);
  t.is(await isActive(String(json['access_token']), ordersApi), false);
});

test.serial('an API that wants opaque tokens gets them', async (t) => {
  const { json } = await ask(machine, { resource: stock, scope: 'count' });
  t.regex(String(json['access_token']), /^gct_/);
  t.is(json['scope'], 'count');
  const described = (await introspect(app, String(json['access_token']), stockApi)).json;
  t.is(described['active'], true);
  t.is(described['aud'], stock);
  t.is(described['scope'], 'count');
  t.is(described['sub'], undefined);
});

test.serial('an unknown API is refused, and so are two at once', async (t) => {
  for (const resource of ['https://api.test/unknown', 'not a uri', `${orders}/`, orders.toUpperCase()]) {
    const reply = await ask(machine, { resource });
    t.is(reply.status, 400, resource);
    t.is(reply.json['error'], 'invalid_target', resource);
  }
  const both = await fetch(`${app.url}/token`, {
    method: 'POST',
    headers: basic(machine.id, machine.secret),
    body: new URLSearchParams([
      ['grant_type', 'client_credentials'],
      ['resource', orders],
      ['resource', stock],
    ]),
  });
  t.is(both.status, 400);
  t.is(((await both.json()) as { error: string }).error, 'invalid_target');
});

test.serial(
  'scopes that the API does not have, or that the client has no role for, are left out',
  async (t) => {
    const scopeOf = async (client: Credential, scope: string) =>
      (await ask(client, { resource: orders, scope })).json['scope'];
    t.is(await scopeOf(machine, 'read refund'), 'read');
    t.is(await scopeOf(admin, 'read refund'), 'read refund');
    t.is(await scopeOf(machine, 'read count'), 'read', "another API's scope");
    t.is(await scopeOf(machine, 'openid read offline_access'), 'read', "a person's scope");
    t.is(await scopeOf(machine, 'refund'), undefined);
    t.is(decodeJwt(await tokenOf(machine, { resource: orders, scope: 'refund' }))['scope'], undefined);
    t.is(
      decodeJwt(await tokenOf(machine, { resource: orders }))['scope'],
      undefined,
      'none is asked, none is given',
    );
  },
);

test.serial('no other client gets a token by itself', async (t) => {
  const spa = await addClient(app, { kind: 'spa', redirectUris: [callback] });
  // The engine says invalid_request where RFC 6749 section 5.2 has a code of its own.
  for (const client of [shop, ordersApi]) {
    const reply = await ask(client);
    t.is(reply.status, 400);
    t.true(['unauthorized_client', 'invalid_request'].includes(String(reply.json['error'])));
  }
  const open = await post(app, '/token', { grant_type: 'client_credentials', client_id: spa.id });
  t.is(open.status, 400);
  t.is(open.json['access_token'], undefined);
  const password = await post(
    app,
    '/token',
    { grant_type: 'password', username: person.identifier, password: person.password },
    basic(machine.id, machine.secret),
  );
  t.is(password.json['error'], 'unsupported_grant_type');
});

test.serial(
  'a client introspects its own tokens only, an API those for it, a public client none',
  async (t) => {
    const forOrders = await tokenOf(machine, { resource: orders, scope: 'read' });
    const forStock = await tokenOf(machine, { resource: stock, scope: 'count' });
    const mine = (await introspect(app, forOrders, machine)).json;
    t.deepEqual(
      {
        active: mine['active'],
        aud: mine['aud'],
        client_id: mine['client_id'],
        scope: mine['scope'],
        iss: mine['iss'],
      },
      { active: true, aud: orders, client_id: machine.id, scope: 'read', iss: app.url },
    );
    t.is(mine['rev'], undefined, 'how it is refused later is nobody’s business');
    t.is(await isActive(forOrders, ordersApi), true);
    t.is(await isActive(forStock, stockApi), true);
    t.deepEqual((await introspect(app, forOrders, stockApi)).json, { active: false });
    t.deepEqual((await introspect(app, forStock, ordersApi)).json, { active: false });
    t.deepEqual((await introspect(app, forOrders, ordering)).json, { active: false }, 'another machine');
    t.deepEqual((await introspect(app, forOrders, shop)).json, { active: false }, 'a website');
    t.is((await post(app, '/token/introspection', { token: forOrders })).status, 400, 'nobody');
    t.is(
      (await post(app, '/token/introspection', { token: forOrders }, basic(ordersApi.id, 'x'))).status,
      401,
    );

    const spa = await addClient(app, { kind: 'spa', redirectUris: [callback] });
    const own = await signInForTokens(app, newJar(), spa, person);
    const open = await post(app, '/token/introspection', { token: own.access_token, client_id: spa.id });
    t.not(open.json['active'], true);
    t.is(await isActive(own.access_token, ordersApi), false);
    t.is(await isActive(own.refresh_token, ordersApi), false);
  },
);

test.serial("a person's token says who, to the API and to the client", async (t) => {
  const { jwt, tokens } = await personTokens();
  const { payload, protectedHeader } = await jwtVerify(jwt, createRemoteJWKSet(new URL(`${app.url}/jwks`)), {
    issuer: app.url,
    audience: orders,
  });
  t.is(protectedHeader.typ, 'at+jwt');
  t.is(payload.sub, person.subject);
  t.is(payload['client_id'], shop.id);
  t.is((payload['rev'] as string[]).length, 2);
  const described = (await introspect(app, jwt, ordersApi)).json;
  t.is(described['sub'], person.subject);
  t.is(described['scope'], 'read');
  t.is(await isActive(tokens.access_token, ordersApi), false, 'the one for userinfo is not for the API');
  t.is((await userinfo(app, jwt)).status, 401, 'and the one for the API is not for userinfo');
});

test.serial('a token is revoked by its own client only, and is inactive at once', async (t) => {
  for (const form of [
    { resource: orders, scope: 'read' },
    { resource: stock, scope: 'count' },
  ]) {
    const token = await tokenOf(machine, form);
    const sibling = await tokenOf(machine, form);
    const guard = form.resource === orders ? ordersApi : stockApi;
    for (const other of [ordering, shop, guard]) {
      const reply = await revoke(app, token, other);
      t.is(reply.status, 400, other.id);
      t.is(reply.json['error'], 'invalid_request');
    }
    t.is(await isActive(token, guard), true);
    t.is((await revoke(app, token, machine)).status, 200);
    t.is(await isActive(token, guard), false);
    t.is(await isActive(token, machine), false);
    t.is(await isActive(sibling, guard), true, 'and no other one');
    t.is((await revoke(app, token, machine)).status, 200, 'again');
  }
  for (const token of ['unknown', 'gat_x', 'a.b.c', `${await tokenOf(machine, { resource: orders })}x`]) {
    t.is((await revoke(app, token, machine)).status, 200, token);
  }
  t.is((await revoke(app, 'unknown', { id: machine.id, secret: 'wrong' })).status, 401);
  t.is(
    (await post(app, '/token/revocation', {}, basic(machine.id, machine.secret))).json['error'],
    'invalid_request',
  );
});

test.serial("revoking a person's tokens ends what belongs to them", async (t) => {
  const first = await personTokens();
  t.is((await revoke(app, first.jwt, ordering)).status, 400);
  t.is((await revoke(app, first.jwt, shop)).status, 200);
  t.is(await isActive(first.jwt, ordersApi), false);
  const second = await personTokens();
  t.is((await revoke(app, second.tokens.refresh_token, ordering)).status, 400);
  t.is(await isActive(second.jwt, ordersApi), true);
  t.is((await revoke(app, second.tokens.refresh_token, shop)).status, 200);
  t.is((await refresh(app, shop, second.tokens.refresh_token)).json['error'], 'invalid_grant');
  t.is((await userinfo(app, second.tokens.access_token)).status, 401);
  t.is(await isActive(second.jwt, ordersApi), false);
});

test.serial('a JWT that is changed in any way is inactive', async (t) => {
  const token = await tokenOf(machine, { resource: orders, scope: 'read' });
  const { tokens } = await personTokens();
  const claims = decodeJwt(token);
  const header = decodeProtectedHeader(token) as { alg: string; kid: string; typ: string };
  const [head, body, signature] = token.split('.') as [string, string, string];
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

  // The server's own keys, to sign what it never would.
  const keyring = await openKeyring(app.db, Buffer.alloc(32, 1));
  const keys = await loadSigningKeys(app.db, keyring);
  const own = keys.find(({ alg }) => alg === 'ES256')!;
  const rsa = keys.find(({ alg }) => alg === 'RS256')!;
  const signed = async (payload: JWTPayload, more: Record<string, unknown> = {}, key = own) =>
    new SignJWT(payload)
      .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'at+jwt', ...more })
      .sign(await importJWK(key.jwk as never, key.alg));
  t.is(await isActive(await signed(claims), ordersApi), true, 'the same claims are accepted');

  const { keys: published } = (await (await fetch(`${app.url}/jwks`)).json()) as {
    keys: { kid: string; alg: string }[];
  };
  const signedByHand = (protectedHeader: object) => {
    const input = `${encode(protectedHeader)}.${body}`;
    const key = createPrivateKey({ key: own.jwk as never, format: 'jwk' });
    return `${input}.${sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
  };
  t.is(await isActive(signedByHand(header), ordersApi), true);
  const hmac = (secret: string | Buffer, kid: string) => {
    const input = `${encode({ alg: 'HS256', typ: 'at+jwt', kid })}.${body}`;
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
  };
  const stranger = await generateKeyPair('ES256', { extractable: true });
  const strangerJwk = await exportJWK(stranger.publicKey);
  const byStranger = (more: Record<string, unknown>) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', ...more })
      .sign(stranger.privateKey);
  const { exp: _exp, ...endless } = claims;
  const { rev: _rev, ...irrevocable } = claims;
  const now = Math.floor(Date.now() / 1000);

  const mutations: Record<string, string> = {
    'alg none': `${encode({ alg: 'none', typ: 'at+jwt' })}.${body}.`,
    'alg none with a kid and the signature': `${encode({ ...header, alg: 'none' })}.${body}.${signature}`,
    'no signature': `${head}.${body}.`,
    'a tampered payload': `${head}.${encode({ ...claims, scope: 'read write refund' })}.${signature}`,
    'another audience': `${head}.${encode({ ...claims, aud: stock })}.${signature}`,
    'a tampered header': `${encode({ ...header, typ: 'JWT' })}.${body}.${signature}`,
    'an unknown kid': await signed(claims, { kid: 'unknown' }),
    'the kid of another key': await signed(claims, { kid: rsa.kid }),
    'typ JWT': await signed(claims, { typ: 'JWT' }),
    'typ of a sign-out': await signed(claims, { typ: 'logout+jwt' }),
    'no typ': await signed(claims, { typ: undefined }),
    'a foreign key': await byStranger({ kid: own.kid }),
    'a foreign key in the header': await byStranger({ jwk: strangerJwk }),
    'a foreign key by address': await byStranger({ kid: own.kid, jku: 'https://evil.test/jwks' }),
    'a critical extension': signedByHand({ ...header, crit: ['urn:unknown'], 'urn:unknown': 1 }),
    'another issuer': await signed({ ...claims, iss: 'https://evil.test' }),
    'the issuer with a slash': await signed({ ...claims, iss: `${app.url}/` }),
    expired: await signed({ ...claims, exp: now - 1 }),
    'not yet valid': await signed({ ...claims, nbf: now + 60 }),
    'no exp': await signed(endless),
    'no handles': await signed(irrevocable),
    'an ID token': tokens.id_token,
    'an ID token as an access token': await signed(decodeJwt(tokens.id_token)),
    'four parts': `${token}.x`,
    'two parts': `${head}.${body}`,
    'five parts': `${head}..${body}.${signature}.x`,
    empty: '..',
    huge: `${head}.${'A'.repeat(40_000)}.${signature}`,
  };
  for (const { kid, alg } of published) {
    const { [kid]: pem } = Object.fromEntries(
      keys.map((key) => [
        key.kid,
        createPublicKey({ key: key.jwk as never, format: 'jwk' })
          .export({ type: 'spki', format: 'pem' })
          .toString(),
      ]),
    );
    mutations[`HS256 with the ${alg} public key`] = hmac(String(pem), kid);
    mutations[`HS256 with the ${alg} JWK`] = hmac(
      JSON.stringify(published.find((key) => key.kid === kid)),
      kid,
    );
  }
  for (const [what, mutant] of Object.entries(mutations)) {
    for (const client of [machine, ordersApi, stockApi]) {
      t.deepEqual((await introspect(app, mutant, client)).json, { active: false }, what);
    }
    t.is((await revoke(app, mutant, machine)).status, 200, what);
    // Node itself refuses headers of that size.
    t.is((await userinfo(app, mutant)).status, what === 'huge' ? 431 : 401, what);
  }
  t.is(await isActive(token, ordersApi), true, 'nothing of it touched the real one');
  t.deepEqual(
    (await introspect(app, tokens.id_token, shop)).json,
    { active: false },
    'nor by its own client',
  );
});

test.serial('raising the generation of a client ends all its JWTs', async (t) => {
  const client = await app.createClient({ kind: 'machine', name: 'Rotated' });
  const form = { resource: orders, scope: 'read' };
  const old = await tokenOf(client, form);
  const before = await app.db('clients').where({ id: client.id }).first('id', 'generation');
  // What "revoke every token of this app" does: the old handle is listed, and new tokens carry another.
  await app.db.transaction(async (trx) => {
    await app.services.grants.endClient(trx, before!, 'test');
    await trx('clients').where({ id: client.id }).increment('generation', 1);
  });
  t.is(await isActive(old, ordersApi), false);
  t.is(await isActive(old, client), false);
  const fresh = await tokenOf(client, form);
  t.is(await isActive(fresh, ordersApi), true);
  t.notDeepEqual(decodeJwt(fresh)['rev'], decodeJwt(old)['rev']);
  t.is(await isActive(await tokenOf(machine, form), ordersApi), true, "nobody else's");
});

test.serial("signing out ends the person's JWT for an API", async (t) => {
  const jar = newJar();
  const { jwt } = await personTokens(jar);
  const elsewhere = await personTokens();
  t.is(await isActive(jwt, ordersApi), true);
  t.is((await signOut(app, jar)).status, 303);
  t.is(await isActive(jwt, ordersApi), false);
  t.is(await isActive(jwt, shop), false);
  t.is(await isActive(elsewhere.jwt, ordersApi), true, 'on this browser only');
});

test.serial("a suspended client's and a deleted role's tokens are worth nothing", async (t) => {
  const client = await app.createClient({ kind: 'machine', name: 'Closed' });
  const token = await tokenOf(client, { resource: orders, scope: 'read' });
  await app.db('clients').where({ id: client.id }).update({ status: 'disabled' });
  t.is(await isActive(token, ordersApi), false);
  t.is((await ask(client)).status, 401);
  await app.db('client_roles').where({ client_id: admin.id }).delete();
  t.is((await ask(admin, { resource: orders, scope: 'read refund' })).json['scope'], 'read');
});

async function keyedClient() {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' };
  const client = await app.createClient({
    kind: 'machine',
    name: 'Keyed',
    authMethod: 'private_key_jwt',
    jwks: { keys: [jwk as Record<string, unknown>] },
  });
  const assertion = (claims: Record<string, unknown> = {}, key = privateKey) =>
    new SignJWT({
      iss: client.id,
      sub: client.id,
      aud: app.url,
      jti: randomUUID(),
      iat: Math.floor(Date.now() / 1000),
      exp: Math.floor(Date.now() / 1000) + 60,
      ...claims,
    })
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .sign(key);
  const present = (client_assertion: string, more: Record<string, string> = {}) =>
    post(app, '/token', {
      grant_type: 'client_credentials',
      resource: orders,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion,
      ...more,
    });
  return { client, assertion, present };
}

test.serial('a client may prove itself with a key, each proof once', async (t) => {
  const { client, assertion, present } = await keyedClient();
  t.is(client.secret, undefined);
  const once = await assertion();
  t.is((await present(once, { client_id: client.id })).status, 200);
  const replayed = await present(once);
  t.is(replayed.status, 401);
  t.is(replayed.json['error'], 'invalid_client');
  t.is((await present(await assertion())).status, 200);
  const racing = await assertion();
  const replies = await Promise.all(Array.from({ length: 8 }, () => present(racing)));
  t.is(replies.filter(({ status }) => status === 200).length, 1);
  t.true(replies.every(({ status }) => status === 200 || status === 401));
});

test.serial('a proof for somebody else, without end or by another key is refused', async (t) => {
  const { client, assertion, present } = await keyedClient();
  const now = Math.floor(Date.now() / 1000);
  const wrong: Record<string, Record<string, unknown>> = {
    'the token endpoint as audience': { aud: `${app.url}/token` },
    'a list as audience': { aud: [app.url] },
    'another server as audience': { aud: 'https://evil.test' },
    'the issuer with a slash': { aud: `${app.url}/` },
    'an end too far away': { exp: now + 3600 },
    'an end in the past': { exp: now - 60 },
    'another subject': { sub: machine.id },
    'another issuer': { iss: machine.id },
    'a NUL in its id': { jti: 'a\0b', aud: 'x' },
  };
  for (const [what, claims] of Object.entries(wrong)) {
    const reply = await present(await assertion(claims));
    t.is(reply.status, 401, what);
    t.is(reply.json['error'], 'invalid_client', what);
  }
  t.is((await present(await assertion({ jti: undefined }))).status, 401, 'no id');
  t.is((await present(await assertion({ exp: undefined }))).status, 401, 'no end');
  t.true((await present(await assertion({ jti: 'a\0b' }))).status < 500, 'a NUL in its id');
  const foreign = await generateKeyPair('ES256');
  t.is((await present(await assertion({}, foreign.privateKey))).status, 401);
  t.true([400, 401].includes((await present('x')).status));
  t.is((await present(await assertion(), { client_id: machine.id })).status, 400, 'the id of another client');
  // The way of proof is the registered one.
  t.is((await ask({ id: client.id, secret: 'x' })).status, 401);
  t.is((await post(app, '/token', { grant_type: 'client_credentials', client_id: client.id })).status, 401);
});

test.serial('a pushed request works once, for its client', async (t) => {
  const url = new URL(authorizeUrl(app, shop));
  const push = async () =>
    (await post(app, '/request', Object.fromEntries(url.searchParams), basic(shop.id, shop.secret))).json;
  const pushed = await push();
  const start = (client: Credential, uri: unknown) =>
    `${app.url}/auth?${new URLSearchParams({ client_id: client.id, request_uri: String(uri) })}`;
  const other = await addClient(app, { kind: 'web', redirectUris: [callback] });
  t.not(errorOf(await request(newJar(), start(other, pushed['request_uri']))), undefined);
  const jar = newJar();
  const fresh = await push();
  const answer = await walk(jar, `${start(shop, fresh['request_uri'])}&redirect_uri=${callback}`, { person });
  t.is((await redeem(app, shop, answer.get('code'))).status, 200);
  const again = await request(jar, start(shop, fresh['request_uri']));
  t.true(['invalid_request_uri', 'invalid_request'].includes(String(errorOf(again))), errorOf(again));
  t.is((await post(app, '/request', Object.fromEntries(url.searchParams), basic(shop.id, 'x'))).status, 401);
});

test.serial('discovery lists what is on and nothing else', async (t) => {
  const [openid, oauth] = (await Promise.all(
    ['openid-configuration', 'oauth-authorization-server'].map(async (name) =>
      (await fetch(`${app.url}/.well-known/${name}`)).json(),
    ),
  )) as Record<string, unknown>[];
  t.deepEqual(openid, oauth);
  const relative = JSON.parse(JSON.stringify(openid).replaceAll(app.url, 'ISSUER')) as object;
  t.snapshot(Object.fromEntries(Object.entries(relative).sort(([a], [b]) => (a < b ? -1 : 1))));
  // Every address in it answers, and no other one does.
  const endpoints = Object.entries(openid ?? {}).filter(([name]) => /_(endpoint|uri)$/.test(name));
  for (const [name, address] of endpoints) {
    const { status } = await fetch(String(address), { method: name === 'jwks_uri' ? 'GET' : 'POST' });
    t.true(status !== 404 && status < 500, `${name}: ${status}`);
  }
  for (const path of ['/reg', '/device', '/device/auth', '/backchannel', '/token/challenge', '/credential']) {
    t.is((await fetch(app.url + path, { method: 'POST' })).status, 404, path);
  }
  const { keys } = (await (await fetch(`${app.url}/jwks`)).json()) as { keys: Record<string, unknown>[] };
  for (const key of keys) {
    t.deepEqual(
      ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k', 'oth'].filter((member) => member in key),
      [],
    );
  }
});

// Last: it moves the clock.
test.serial('a token ends when it says so', async (t) => {
  const jwt = await tokenOf(machine, { resource: orders, scope: 'read' });
  const opaque = await tokenOf(machine, { resource: stock, scope: 'count' });
  await passTime(app.db, 301);
  t.is(await isActive(jwt, ordersApi), false);
  t.is(await isActive(opaque, stockApi), true);
  await passTime(app.db, 3600);
  t.is(await isActive(opaque, stockApi), false);
  t.is((await revoke(app, jwt, machine)).status, 200);
  resetTime();
});
