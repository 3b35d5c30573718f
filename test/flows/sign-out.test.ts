/** Signing out at the application (OpenID Connect RP-Initiated Logout 1.0): by plain requests, then in a browser. */
import test from 'ava';
import { buildEndSessionUrl } from 'openid-client';
import { startTestApp } from '../_app.ts';
import { run, send, signIn, useBrowser } from '../_chromium.ts';
import { startRelyingParty } from '../_relying-party.ts';
import { authorizeUrl, newJar, redeem, request, type TestClient, userinfo, walk } from '../_walk.ts';

const callback = 'https://shop.test/callback';
const after = 'https://shop.test/bye';

async function setUp() {
  const app = await startTestApp();
  const person = await app.createPerson();
  const client: TestClient = {
    ...(await app.createClient({
      kind: 'web',
      name: 'Shop',
      redirectUris: [callback],
      postLogoutRedirectUris: [after],
    })),
    redirectUri: callback,
  };
  const jar = newJar();
  const { json } = await redeem(
    app,
    client,
    (await walk(jar, authorizeUrl(app, client), { person })).get('code'),
  );
  const end = (more: Record<string, string>) => `${app.url}/session/end?${new URLSearchParams(more)}`;
  return { app, person, client, jar, tokens: json, end };
}

test('an address that is not registered is refused, and nobody is signed out', async (t) => {
  const { app, client, jar, tokens, end } = await setUp();
  await using _ = app;
  const reply = await request(
    jar,
    end({ client_id: client.id, post_logout_redirect_uri: 'https://evil.test/' }),
  );
  t.is(reply.status, 400);
  t.is((await userinfo(app, tokens['access_token'])).status, 200);
});

test('a GET alone never signs out: without the own hint it asks', async (t) => {
  const { app, person, client, jar, tokens, end } = await setUp();
  await using _ = app;
  const stranger = newJar();
  const others = await redeem(
    app,
    client,
    (await walk(stranger, authorizeUrl(app, client), { person })).get('code'),
  );
  for (const hint of [undefined, String(others.json['id_token'])]) {
    const page = await request(jar, end(hint ? { id_token_hint: hint } : { client_id: client.id }));
    t.is(page.status, 200);
    t.true(page.text.includes('id="sign-out-confirm"'));
    // An ID token without "sid" names the person and not the session; only the same person's may skip the question.
    if (!hint) t.false(page.text.includes('data-automatic'));
  }
  t.is((await userinfo(app, tokens['access_token'])).status, 200);
});

test("another person's hint asks", async (t) => {
  const { app, client, jar, end } = await setUp();
  await using _ = app;
  const bob = await app.createPerson({ name: 'Bob' });
  const { json } = await redeem(
    app,
    client,
    (await walk(newJar(), authorizeUrl(app, client), { person: bob })).get('code'),
  );
  t.false(
    (await request(jar, end({ id_token_hint: String(json['id_token']) }))).text.includes('data-automatic'),
  );
});

test('the own hint signs out, returns with the state, and everything of the session ends', async (t) => {
  const { app, client, jar, tokens, end } = await setUp();
  await using _ = app;
  const page = await request(
    jar,
    end({ id_token_hint: String(tokens['id_token']), post_logout_redirect_uri: after, state: 'bye' }),
  );
  t.true(page.text.includes('data-automatic'));
  const xsrf = String(/name="xsrf" value="([^"]+)"/.exec(page.text)?.[1]);
  const wrong = await request(jar, `${app.url}/session/end/confirm`, {
    method: 'POST',
    body: new URLSearchParams({ xsrf: 'x', logout: 'yes' }),
  });
  t.true(wrong.status >= 400 && wrong.status < 500);
  t.is((await userinfo(app, tokens['access_token'])).status, 200);
  const reply = await request(jar, `${app.url}/session/end/confirm`, {
    method: 'POST',
    body: new URLSearchParams({ xsrf, logout: 'yes' }),
  });
  t.is(reply.headers.get('location'), `${after}?state=bye`);
  t.is((await userinfo(app, tokens['access_token'])).status, 401);
  const silent = await request(jar, authorizeUrl(app, client, { prompt: 'none' }));
  t.is(new URL(String(silent.headers.get('location'))).searchParams.get('error'), 'login_required');
});

const openContext = useBrowser();

/** Somebody who is signed in at an application, in a browser. */
async function signedIn(options: { javaScriptEnabled?: boolean } = {}) {
  const app = await startTestApp();
  const person = await app.createPerson();
  const shop = await startRelyingParty(app, { firstParty: true });
  const context = await openContext(options);
  const page = await context.newPage();
  const attempt = await shop.begin();
  await page.goto(attempt.url);
  await signIn(page, person);
  const tokens = await attempt.redeem(page);
  const cookies = await context.cookies();
  return {
    app,
    person,
    shop,
    page,
    tokens,
    endUrl: (parameters: Record<string, string>) => buildEndSessionUrl(shop.config, parameters).href,
    goodbye: `${shop.origin}/goodbye`,
    /** Whether the cookie, the access token and the refresh token that there were work. */
    async whatWorks() {
      await using thief = await openContext();
      await thief.addCookies(cookies);
      const there = await thief.newPage();
      await there.goto(`${app.url}/account`);
      const succeeds = (promise: Promise<unknown>) =>
        promise.then(
          () => true,
          () => false,
        );
      return {
        cookie: (await there.locator('#sign-out').count()) === 1,
        accessToken: await succeeds(shop.userInfo(tokens)),
        refreshToken: await succeeds(shop.refresh(tokens)),
      };
    },
    async [Symbol.asyncDispose]() {
      await context.close();
      await shop[Symbol.asyncDispose]();
      await app[Symbol.asyncDispose]();
    },
  };
}

const everything = { cookie: true, accessToken: true, refreshToken: true };
const nothing = { cookie: false, accessToken: false, refreshToken: false };

run('an address that nobody registered ends on a page, and nobody is signed out', async (t) => {
  await using visit = await signedIn();
  const { page, tokens, endUrl, whatWorks } = visit;
  const response = await page.goto(
    endUrl({ id_token_hint: String(tokens.id_token), post_logout_redirect_uri: 'https://evil.test/' }),
  );
  t.is(response?.status(), 400);
  t.is(await page.locator('#error-code').textContent(), 'invalid_request');
  t.is(new URL(page.url()).pathname, '/session/end');
  t.deepEqual(await whatWorks(), everything);
});

run('without a hint it asks, and "Stay signed in" keeps the session', async (t) => {
  await using visit = await signedIn();
  const { person, shop, page, goodbye, endUrl, whatWorks } = visit;
  await page.goto(endUrl({ post_logout_redirect_uri: goodbye, state: 's1' }));
  t.is(await page.locator('h1').innerText(), 'Sign out of Gatehouse?');
  t.true((await page.locator('main').innerText()).includes('Demo Shop'));
  t.deepEqual(await whatWorks(), everything, 'a GET alone signs nobody out');
  await send(page, '#sign-out-stay');
  t.is(page.url(), `${goodbye}?state=s1`, 'the application gets its answer');
  // The application has signed the person out of itself before it asks (RP-Initiated Logout section 2), so its tokens end.
  t.deepEqual(await whatWorks(), { ...nothing, cookie: true });
  const again = await shop.begin();
  await page.goto(again.url);
  t.is((await again.redeem(page)).claims()?.sub, person.subject, 'without a password');

  await page.goto(endUrl({ post_logout_redirect_uri: goodbye, state: 's2' }));
  await send(page, '#sign-out-confirm');
  t.is(page.url(), `${goodbye}?state=s2`);
  t.deepEqual(await whatWorks(), nothing);
});

run('with the own hint the page sends itself, and the old cookie and tokens fail at once', async (t) => {
  await using visit = await signedIn();
  const { page, tokens, goodbye, endUrl, whatWorks } = visit;
  t.deepEqual(await whatWorks(), everything);
  await page.goto(
    endUrl({ id_token_hint: String(tokens.id_token), post_logout_redirect_uri: goodbye, state: 'bye' }),
  );
  await page.waitForURL(`${goodbye}?state=bye`);
  t.deepEqual(await whatWorks(), nothing);
});

run('without JavaScript the own hint takes one button', async (t) => {
  await using visit = await signedIn({ javaScriptEnabled: false });
  const { page, tokens, goodbye, endUrl, whatWorks } = visit;
  await page.goto(endUrl({ id_token_hint: String(tokens.id_token), post_logout_redirect_uri: goodbye }));
  t.is(await page.locator('main button').count(), 1);
  t.deepEqual(await whatWorks(), everything, 'a GET alone signs nobody out');
  await send(page, '#sign-out-confirm');
  t.is(page.url(), goodbye);
  t.deepEqual(await whatWorks(), nothing);
});

run('a hint that names another session, or another person, asks', async (t) => {
  await using visit = await signedIn();
  const { app, person, shop, page, endUrl, whatWorks } = visit;
  const other = await app.createPerson({ name: 'Bob' });
  for (const one of [person, other]) {
    await using elsewhere = await openContext();
    const there = await elsewhere.newPage();
    const attempt = await shop.begin({ claims: JSON.stringify({ id_token: { sid: null } }) });
    await there.goto(attempt.url);
    await signIn(there, one);
    const foreign = await attempt.redeem(there);
    t.is(typeof foreign.claims()?.['sid'], 'string');
    await page.goto(endUrl({ id_token_hint: String(foreign.id_token) }));
    t.is(await page.locator('#sign-out-stay').count(), 1);
  }
  t.deepEqual(await whatWorks(), everything);
});

run('the account page signs out, and says where one can sign in again', async (t) => {
  await using visit = await signedIn();
  const { app, person, page, whatWorks } = visit;
  await page.goto(`${app.url}/account`);
  await send(page, '#sign-out');
  t.is(new URL(page.url()).pathname, '/session/end/success');
  t.is(await page.locator('h1').innerText(), 'You’re signed out');
  t.deepEqual(await whatWorks(), nothing);
  await send(page, 'main a.primary');
  await signIn(page, person);
  t.is(page.url(), `${app.url}/account`);
});

run('signing out a second time, from a tab that was left open, ends on a page with a way on', async (t) => {
  await using visit = await signedIn();
  const { app, page, endUrl } = visit;
  await page.goto(endUrl({}));
  const account = await page.context().newPage();
  await account.goto(`${app.url}/account`);
  const accountAgain = await page.context().newPage();
  await accountAgain.goto(`${app.url}/account`);
  await send(account, '#sign-out');
  t.is((await send(accountAgain, '#sign-out')).status(), 200);
  const late = await send(page, '#sign-out-confirm');
  t.true(late.status() < 500);
  t.true((await page.locator('main a').count()) > 0);
});
