/**
 * Client credentials are answered by code of ours when the request is plain, and by the engine otherwise. A parameter that both
 * ignore sends the same request to the engine, so every case is asked twice and the answers are compared.
 */
import test from 'ava';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { startTestApp, type TestApp } from '../_app.ts';

const jwtApi = 'https://api.test/jwt';
const opaqueApi = 'https://api.test/opaque';

/** Not known to any grant: the engine drops it, ours leaves the request to the engine. */
const detour = { unknown_parameter: 'x' };

interface Answer {
  status: number;
  headers: Record<string, string | null>;
  body: Record<string, unknown>;
}

async function ask(app: TestApp, authorization: string, form: Record<string, string>): Promise<Answer> {
  const response = await fetch(`${app.url}/token`, {
    method: 'POST',
    headers: { authorization },
    body: new URLSearchParams({ grant_type: 'client_credentials', ...form }),
  });
  const names = ['content-type', 'cache-control', 'vary', 'www-authenticate'];
  return {
    status: response.status,
    headers: Object.fromEntries(names.map((name) => [name, response.headers.get(name)])),
    body: (await response.json()) as Record<string, unknown>,
  };
}

const basic = (id: string, secret: string) => `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;

/** What differs from token to token. */
function mask({ status, headers, body }: Answer) {
  const token = String(body['access_token']);
  const isJwt = token.split('.').length === 3;
  const { jti, iat, exp, ...claims } = isJwt ? decodeJwt(token) : {};
  return {
    status,
    headers,
    body: { ...body, access_token: token === 'undefined' ? undefined : isJwt ? 'jwt' : token.slice(0, 4) },
    keys: Object.keys(body).sort(),
    ...(isJwt
      ? {
          header: decodeProtectedHeader(token),
          claims,
          life: Number(exp) - Number(iat),
          hasId: typeof jti === 'string',
        }
      : {}),
  };
}

async function setUp() {
  const app = await startTestApp();
  await app.createApi({
    identifier: jwtApi,
    title: 'JWT',
    scopes: [{ name: 'read' }, { name: 'write' }, { name: 'admin', restricted: true }],
    ttlSeconds: 120,
  });
  await app.createApi({
    identifier: opaqueApi,
    title: 'Opaque',
    tokenFormat: 'opaque',
    scopes: [{ name: 'read' }, { name: 'admin', restricted: true }],
  });
  await app.db('role_scopes').insert(
    (await app.db('apis').whereIn('identifier', [jwtApi, opaqueApi]).select('id')).map(({ id }) => ({
      role: 'admin',
      api_id: id,
      scope: 'admin',
    })),
  );
  const plain = await app.createClient({ kind: 'machine', name: 'Plain', defaultResource: jwtApi });
  const admin = await app.createClient({ kind: 'machine', name: 'Admin', roles: ['admin'] });
  const website = await app.createClient({
    kind: 'web',
    name: 'Website',
    redirectUris: ['https://a.test/cb'],
  });
  return { app, plain, admin, website };
}

test('a plain request gets the same answer from us and from the engine', async (t) => {
  const { app, plain, admin, website } = await setUp();
  await using _ = app;
  const forms: Record<string, string>[] = [
    {},
    { scope: 'read' },
    { scope: 'read write read' },
    { scope: 'read unknown' },
    { scope: 'admin read' },
    { resource: jwtApi, scope: 'write' },
    { resource: opaqueApi },
    { resource: opaqueApi, scope: 'read' },
    { resource: opaqueApi, scope: 'read admin' },
    { resource: 'https://api.test/unknown', scope: 'read' },
    { resource: jwtApi, scope: 'openid read' },
    { scope: '' },
    { scope: 'two  spaces' },
    { scope: 'quote"' },
  ];
  const credentials = [
    basic(plain.id, String(plain.secret)),
    basic(admin.id, String(admin.secret)),
    basic(plain.id, String(admin.secret)),
    basic('unknown', String(plain.secret)),
    basic(website.id, String(website.secret)),
    'Basic !!!',
  ];
  for (const authorization of credentials) {
    for (const form of forms) {
      // Twice, since the second one may rest on what the first one cached.
      for (let turn = 0; turn < 2; turn += 1) {
        const ours = mask(await ask(app, authorization, form));
        const engine = mask(await ask(app, authorization, { ...form, ...detour }));
        t.deepEqual(ours, engine, `${authorization} ${JSON.stringify(form)}`);
      }
    }
  }
});

test('a disabled client, a retired secret and a changed API count at once', async (t) => {
  const { app, plain } = await setUp();
  await using _ = app;
  const { db } = app;
  const request = () =>
    ask(app, basic(plain.id, String(plain.secret)), { resource: opaqueApi, scope: 'read' });
  t.is((await request()).status, 200);
  t.is((await request()).status, 200);

  await db('clients').where({ id: plain.id }).update({ status: 'disabled' });
  t.is((await request()).status, 401);
  await db('clients').where({ id: plain.id }).update({ status: 'active' });
  t.is((await request()).status, 200);

  const api = await db('apis').where({ identifier: opaqueApi }).first('id');
  await db('scopes')
    .where({ api_id: String(api?.id), name: 'read' })
    .update({ restricted: true });
  await db('config_version').increment('version', 1);
  t.is((await request()).body['scope'], undefined);

  await db('client_secrets')
    .where({ client_id: plain.id })
    .update({ expires_at: new Date(Date.now() - 1000) });
  t.is((await request()).status, 401);
});

test('an opaque machine token is what the engine says it is', async (t) => {
  const { app, plain } = await setUp();
  await using _ = app;
  const authorization = basic(plain.id, String(plain.secret));
  const form = { resource: opaqueApi, scope: 'read' };
  const described = [];
  for (const extra of [{}, {}, detour]) {
    const { body } = await ask(app, authorization, { ...form, ...extra });
    const response = await fetch(`${app.url}/token/introspection`, {
      method: 'POST',
      headers: { authorization },
      body: new URLSearchParams({ token: String(body['access_token']) }),
    });
    const { iat, exp, ...rest } = (await response.json()) as Record<string, unknown>;
    described.push({ ...rest, life: Number(exp) - Number(iat) });
  }
  t.true(described[0]?.['active' as never]);
  t.deepEqual(described[0], described[2]);
  t.deepEqual(described[1], described[2]);
});
