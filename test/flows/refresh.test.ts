/** How long access lasts, how it is renewed, and for which API: with a browser, and openid-client as the application. */
import test from 'ava';
import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose';
import * as oidc from 'openid-client';
import type { Page } from 'playwright-core';
import { startTestApp, type TestApp } from '../_app.ts';
import { run, send, signIn, useBrowser } from '../_chromium.ts';
import { type RelyingParty, startRelyingParty } from '../_relying-party.ts';
import { passTime, resetTime } from '../_time.ts';

const newContext = useBrowser();
const orders = 'https://api.shop.test/orders';
let app: TestApp;
/** First-party, so that these tests are not about consent. */
let shop: RelyingParty;

test.before(async () => {
  app = await startTestApp({ env: { ACCESS_TOKEN_TTL: '10m' } });
  await app.createApi({
    identifier: orders,
    title: 'Orders',
    scopes: [{ name: 'read' }, { name: 'refund', restricted: true }],
    ttlSeconds: 300,
  });
  const { id } = (await app.db('apis').where({ identifier: orders }).first('id')) as { id: never };
  await app.db('role_scopes').insert({ role: 'vip', api_id: id, scope: 'refund' } as never);
  shop = await startRelyingParty(app, { firstParty: true });
});

test.after.always(async () => {
  resetTime();
  await shop?.[Symbol.asyncDispose]();
  await app?.[Symbol.asyncDispose]();
});

const invalidGrant = { instanceOf: oidc.ResponseBodyError, code: 'OAUTH_RESPONSE_BODY_ERROR' };

/** The person signs in and, where there is a question, allows all of it. */
async function signInAt(page: Page, url: string, person: Parameters<typeof signIn>[1]): Promise<void> {
  await page.goto(url);
  if ((await page.locator('#sign-in').count()) > 0) await signIn(page, person);
  if ((await page.locator('#consent-allow').count()) > 0) await send(page, '#consent-allow');
}

async function signOut(page: Page): Promise<void> {
  await page.goto(`${app.url}/account`);
  await send(page, '#sign-out');
}

const statusAt = async (tokens: { access_token: string }) =>
  (await fetch(`${app.url}/me`, { headers: { authorization: `Bearer ${tokens.access_token}` } })).status;

run(
  'a refresh token is refused to another client, with another scope, and when it was made up',
  async (t) => {
    const person = await app.createPerson();
    await using other = await startRelyingParty(app, { firstParty: true, name: 'Other' });
    await using context = await newContext();
    const page = await context.newPage();
    const attempt = await shop.begin({ scope: 'openid email' });
    await signInAt(page, attempt.url, person);
    const tokens = await attempt.redeem(page);
    for (const refused of [
      other.refresh(tokens),
      shop.refresh({ ...tokens, refresh_token: `${tokens.refresh_token}x` } as typeof tokens),
    ]) {
      t.is((await t.throwsAsync(refused, invalidGrant))?.error, 'invalid_grant');
    }
    const wider = await t.throwsAsync(shop.refresh(tokens, { scope: 'openid email phone' }), invalidGrant);
    t.is(wider?.error, 'invalid_scope');
    const less = await shop.refresh(tokens, { scope: 'openid' });
    t.is((await shop.userInfo(less)).email, undefined);
    t.is((await shop.userInfo(await shop.refresh(tokens))).email, person.identifier);
  },
);

run('an application with a secret keeps its refresh token', async (t) => {
  const person = await app.createPerson();
  await using context = await newContext();
  const page = await context.newPage();
  const attempt = await shop.begin();
  await signInAt(page, attempt.url, person);
  const tokens = await attempt.redeem(page);
  const next = await shop.refresh(tokens);
  t.is(next.refresh_token, tokens.refresh_token);
  t.not(next.access_token, tokens.access_token);
  t.is(next.claims()?.sub, person.subject);
  t.is(await statusAt(tokens), 200, 'the access token before it is good until it expires');
  await passTime(app.db, app.config.tokens.accessSeconds - 60);
  const later = await shop.refresh(tokens);
  await passTime(app.db, 61);
  t.is(await statusAt(tokens), 401);
  t.is(await statusAt(later), 200);
});

run('a public application gets a new one at each use, and an old one ends them all', async (t) => {
  const person = await app.createPerson();
  await using spa = await startRelyingParty(app, { kind: 'spa', name: 'Local' });
  await using context = await newContext();
  const page = await context.newPage();
  const attempt = await spa.begin();
  await signInAt(page, attempt.url, person);
  const first = await attempt.redeem(page);
  const second = await spa.refresh(first);
  t.not(second.refresh_token, first.refresh_token);
  t.is((await spa.refresh(first)).refresh_token, second.refresh_token, 'a retry is the same answer');
  const third = await spa.refresh(second);
  await passTime(app.db, app.config.tokens.refreshGraceSeconds + 1);
  await t.throwsAsync(spa.refresh(first), invalidGrant);
  await t.throwsAsync(spa.refresh(third), invalidGrant);
  t.is(await statusAt(third), 401);
});

run('offline access outlives the sign-out; without it everything ends with the session', async (t) => {
  const person = await app.createPerson();
  await using online = await startRelyingParty(app, { firstParty: true, name: 'Online' });
  await using context = await newContext();
  const page = await context.newPage();
  const kept = await shop.begin({ scope: 'openid offline_access', prompt: 'consent' });
  await signInAt(page, kept.url, person);
  const offline = await kept.redeem(page);
  const attempt = await online.begin();
  await signInAt(page, attempt.url, person);
  const tokens = await attempt.redeem(page);

  await signOut(page);
  t.is(await statusAt(tokens), 401);
  t.is((await t.throwsAsync(online.refresh(tokens), invalidGrant))?.error, 'invalid_grant');
  const renewed = await shop.refresh(offline);
  t.is(await statusAt(renewed), 200);
  await passTime(app.db, app.config.session.absoluteSeconds + 60);
  t.is(
    await statusAt(await shop.refresh(offline)),
    200,
    'also after the end that the session would have had',
  );
});

run('without offline access a refresh token ends with a session that nobody uses', async (t) => {
  const person = await app.createPerson();
  await using context = await newContext();
  const page = await context.newPage();
  const attempt = await shop.begin();
  await signInAt(page, attempt.url, person);
  const tokens = await attempt.redeem(page);
  await passTime(app.db, app.config.session.absoluteSeconds + 1);
  await t.throwsAsync(shop.refresh(tokens), invalidGrant);
});

run("an API's token comes by its name, as a JWT that the API can verify by itself", async (t) => {
  const person = await app.createPerson({ roles: ['user', 'vip'] });
  await using context = await newContext();
  const page = await context.newPage();
  const attempt = await shop.begin({ scope: 'openid roles read refund', resource: orders });
  await signInAt(page, attempt.url, person);
  const tokens = await attempt.redeem(page);
  t.is(tokens.access_token.split('.').length, 1, 'without a name it is the one for userinfo');
  t.is(await statusAt(tokens), 200);

  const refused = await t.throwsAsync(
    shop.refresh(tokens, { resource: 'https://unknown.test/' }),
    invalidGrant,
  );
  t.is(refused?.error, 'invalid_target');
  const forApi = await shop.refresh(tokens, { resource: orders });
  const { payload, protectedHeader } = await jwtVerify(
    forApi.access_token,
    createRemoteJWKSet(new URL(`${app.url}/jwks`)),
    { issuer: app.url, audience: orders, typ: 'at+jwt' },
  );
  t.is(protectedHeader.alg, 'ES256');
  t.is(payload.sub, person.subject);
  t.is(payload['client_id'], shop.clientId);
  t.is(typeof payload.jti, 'string');
  t.is((payload['rev'] as string[]).length, 2);
  t.true((payload['rev'] as string[]).every((handle) => Buffer.from(handle, 'base64url').length === 16));
  t.deepEqual(payload['roles'], ['user', 'vip']);
  t.deepEqual(String(payload['scope']).split(' ').toSorted(), ['read', 'refund']);
  t.is(Number(payload.exp) - Number(payload.iat), 300);
  t.is(await statusAt(forApi), 401, 'it is no token for userinfo');

  const silent = await shop.begin({ scope: 'openid read', resource: orders });
  await page.goto(silent.url);
  const narrow = await silent.redeem(page, { resource: orders });
  t.is(decodeJwt(narrow.access_token)['scope'], 'read');
});

run('a lost role is lost at the next refresh, and a person without it never had its scope', async (t) => {
  const person = await app.createPerson({ roles: ['user', 'vip'] });
  await using context = await newContext();
  const page = await context.newPage();
  const attempt = await shop.begin({ scope: 'openid read refund', resource: orders });
  await signInAt(page, attempt.url, person);
  const tokens = await attempt.redeem(page, { resource: orders });
  t.true(String(decodeJwt(tokens.access_token)['scope']).includes('refund'));
  await app
    .db('account_roles')
    .where({ account_id: person.id as never, role: 'vip' })
    .delete();
  const next = await shop.refresh(tokens, { resource: orders });
  t.is(decodeJwt(next.access_token)['scope'], 'read');

  const usual = await app.createPerson();
  await using elsewhere = await newContext();
  const there = await elsewhere.newPage();
  const asked = await shop.begin({ scope: 'openid read refund', resource: orders });
  await signInAt(there, asked.url, usual);
  const theirs = await asked.redeem(there, { resource: orders });
  t.is(decodeJwt(theirs.access_token)['scope'], 'read');
});

run('a pushed request works once, and only for the client that pushed it', async (t) => {
  const person = await app.createPerson();
  await using other = await startRelyingParty(app, { firstParty: true, name: 'Other' });
  await using context = await newContext();
  const page = await context.newPage();
  const attempt = await shop.begin({ scope: 'openid email' }, { pushed: true });
  t.deepEqual([...new URL(attempt.url).searchParams.keys()].toSorted(), ['client_id', 'request_uri']);
  const stolen = new URL(attempt.url);
  stolen.searchParams.set('client_id', other.clientId);
  await page.goto(stolen.href);
  const answer = new URL(page.url());
  t.is(answer.origin, other.origin, 'the one who asks gets the error at its own address');
  t.is(answer.searchParams.get('error'), 'invalid_request_object');
  t.is(answer.searchParams.get('code'), null);

  await signInAt(page, attempt.url, person);
  t.is((await attempt.redeem(page)).claims()?.sub, person.subject);
  const late = await shop.begin({}, { pushed: true });
  await passTime(app.db, 61);
  for (const gone of [attempt, late]) {
    await page.goto(gone.url);
    const refused = new URL(page.url());
    t.is(refused.origin, shop.origin);
    t.is(refused.searchParams.get('error'), 'invalid_request_uri');
    t.is(refused.searchParams.get('code'), null);
  }
});

run('tokens bound to a key are worth nothing without it', async (t) => {
  const person = await app.createPerson();
  await using spa = await startRelyingParty(app, { kind: 'spa', name: 'Local' });
  const bound = oidc.getDPoPHandle(spa.config, await oidc.randomDPoPKeyPair('ES256'));
  const stranger = oidc.getDPoPHandle(spa.config, await oidc.randomDPoPKeyPair('ES256'));
  await using context = await newContext();
  const page = await context.newPage();
  const attempt = await spa.begin({ scope: 'openid email read', resource: orders }, { dpop: bound });
  await signInAt(page, attempt.url, person);
  const tokens = await attempt.redeem(page);
  t.is(tokens.token_type, 'dpop');
  t.is(await statusAt(tokens), 401, 'as a bearer token');
  const { sub } = tokens.claims() as { sub: string };
  await t.throwsAsync(oidc.fetchUserInfo(spa.config, tokens.access_token, sub, { DPoP: stranger }));
  t.is(
    (await oidc.fetchUserInfo(spa.config, tokens.access_token, sub, { DPoP: bound })).email,
    person.identifier,
  );

  await t.throwsAsync(spa.refresh(tokens), invalidGrant);
  await t.throwsAsync(spa.refresh(tokens, {}, { DPoP: stranger }), invalidGrant);
  const next = await spa.refresh(tokens, { resource: orders }, { DPoP: bound });
  t.is(next.refresh_token, tokens.refresh_token, 'a bound refresh token is not rotated (RFC 9700 4.14.2)');
  const { cnf } = decodeJwt(next.access_token) as { cnf?: { jkt?: string } };
  t.is(cnf?.jkt, await bound.calculateThumbprint());
});
