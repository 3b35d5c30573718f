/** Signing in to applications with a real browser, and with openid-client as the application. */
import test from 'ava';
import type { Page } from 'playwright-core';
import { startTestApp, type TestApp } from '../_app.ts';
import { allow, leadsTo, run, send, signIn, useBrowser } from '../_chromium.ts';
import { type RelyingParty, startRelyingParty } from '../_relying-party.ts';
import { passTime, resetTime } from '../_time.ts';

const newContext = useBrowser();
let app: TestApp;
/** First-party, so that these tests are about signing in and not about consent. */
let shop: RelyingParty;

test.before(async () => {
  app = await startTestApp();
  shop = await startRelyingParty(app, { firstParty: true });
});

test.after.always(async () => {
  resetTime();
  await shop?.[Symbol.asyncDispose]();
  await app?.[Symbol.asyncDispose]();
});

/** What userinfo says to an access token. */
const statusOf = async (tokens: { access_token: string }) =>
  (await fetch(`${app.url}/me`, { headers: { authorization: `Bearer ${tokens.access_token}` } })).status;

/** The role of the element that has the focus. */
const focused = (page: Page) =>
  page.locator(':focus').evaluate((element) => (element as unknown as { role: string | null }).role);

run('a wrong password and an unknown name get one and the same page, and what was typed stays', async (t) => {
  const person = await app.createPerson();
  await using context = await newContext();
  const page = await context.newPage();
  await page.goto((await shop.begin()).url);
  const texts: string[] = [];
  for (const wrong of [
    { identifier: person.identifier, password: 'not the password' },
    { identifier: 'nobody@example.test', password: person.password },
  ]) {
    const response = await signIn(page, wrong);
    t.is(response.status(), 422);
    t.is(response.headers()['cache-control'], 'no-store');
    t.is(await page.inputValue('input[name=identifier]'), wrong.identifier);
    t.is(await page.inputValue('input[name=password]'), '');
    t.is(await focused(page), 'alert', 'the summary has the focus');
    t.regex(await page.title(), /^Error: /);
    texts.push(await page.locator('main').innerText());
  }
  t.is(texts[0], texts[1]);
  t.is((await signIn(page, person)).status(), 200);
  t.true(page.url().startsWith(shop.redirectUri));
});

run(
  'a code with PKCE becomes an ID token that openid-client accepts, and userinfo in each of its three ways',
  async (t) => {
    const person = await app.createPerson({ roles: ['user', 'vip'] });
    await using context = await newContext();
    const page = await context.newPage();
    const attempt = await shop.begin({ scope: 'openid profile email roles' });
    await page.goto(attempt.url);
    t.is(await page.locator('h1').innerText(), 'Sign in to continue to Demo Shop');
    await signIn(page, person);
    const tokens = await attempt.redeem(page);
    t.is(tokens.claims()?.sub, person.subject);
    t.is(tokens.claims()?.iss, app.url);
    t.deepEqual(tokens.scope?.split(' ').toSorted(), ['email', 'openid', 'profile', 'roles']);

    const token = tokens.access_token;
    const me = `${app.url}/me`;
    const headers = { authorization: `Bearer ${token}` };
    for (const response of [
      await fetch(me, { headers }),
      await fetch(me, { method: 'POST', headers }),
      await fetch(me, { method: 'POST', body: new URLSearchParams({ access_token: token }) }),
    ]) {
      t.is(response.status, 200);
      const claims = (await response.json()) as Record<string, unknown>;
      t.is(claims['sub'], person.subject);
      t.is(claims['email'], person.identifier);
      t.is(claims['name'], person.name);
      t.deepEqual(claims['roles'], ['user', 'vip']);
    }
    t.is((await fetch(`${me}?access_token=${token}`)).status, 400, 'never in an address');
    const nobody = await fetch(me, { headers: { authorization: `Bearer ${token}x` } });
    t.is(nobody.status, 401);
    t.regex(String(nobody.headers.get('www-authenticate')), /error="invalid_token"/);
  },
);

run('cancelling gives access_denied, and the state of the request', async (t) => {
  await using context = await newContext();
  const page = await context.newPage();
  const attempt = await shop.begin({ state: 'as it was' });
  await page.goto(attempt.url);
  await send(page, '#cancel');
  const answer = await attempt.answer(page);
  t.is(answer.get('error'), 'access_denied');
  t.is(answer.get('state'), 'as it was');
  t.is(answer.get('iss'), app.url);
  t.is(answer.get('code'), null);
});

run('login_hint fills the name in, and ui_locales decides the language', async (t) => {
  await using context = await newContext();
  const page = await context.newPage();
  await page.goto((await shop.begin({ login_hint: '<b>"alice"@example.test' })).url);
  t.is(await page.inputValue('input[name=identifier]'), '<b>"alice"@example.test');
  t.is(await page.locator(':focus').getAttribute('name'), 'password');
  t.is(await page.getAttribute('html', 'lang'), 'en');

  await page.goto((await shop.begin({ ui_locales: 'fr zh-CN en' })).url);
  t.is(await page.getAttribute('html', 'lang'), 'zh-CN');
  t.is(await page.locator('h1').innerText(), '登录以继续使用 Demo Shop');
  await signIn(page, { identifier: 'nobody@example.test', password: 'x' });
  t.is(await page.getAttribute('html', 'lang'), 'zh-CN', 'a failure is told in the same language');
  t.true((await page.locator('[role=alert]').innerText()).includes('账号或密码不正确'));
});

run('the language can be changed in the middle, and the journey goes on', async (t) => {
  const person = await app.createPerson();
  await using context = await newContext();
  const page = await context.newPage();
  const attempt = await shop.begin();
  await page.goto(attempt.url);
  await leadsTo(page, () => page.click('a[hreflang="zh-CN"]'));
  t.is(await page.getAttribute('html', 'lang'), 'zh-CN');
  await signIn(page, person);
  t.is((await attempt.redeem(page)).claims()?.sub, person.subject);
});

run('the claims parameter, acr_values and auth_time are answered in the ID token', async (t) => {
  const person = await app.createPerson();
  await using context = await newContext();
  const page = await context.newPage();
  const plain = await shop.begin({ scope: 'openid' });
  await page.goto(plain.url);
  const before = Math.floor(Date.now() / 1000);
  await signIn(page, person);
  const without = (await plain.redeem(page)).claims();
  t.is(without?.['email'], undefined);
  t.is(without?.['acr'], undefined);

  const attempt = await shop.begin({
    scope: 'openid',
    acr_values: '1',
    claims: JSON.stringify({
      id_token: { email: { essential: true }, auth_time: { essential: true }, amr: null },
      userinfo: { name: null },
    }),
  });
  await page.goto(attempt.url);
  const tokens = await attempt.redeem(page);
  const claims = tokens.claims();
  t.is(claims?.['email'], person.identifier);
  t.is(claims?.['acr'], '1');
  t.deepEqual(claims?.['amr'], ['pwd']);
  t.true(Number(claims?.auth_time) >= before && Number(claims?.auth_time) <= Date.now() / 1000);
  const info = await shop.userInfo(tokens);
  t.is(info.name, person.name);
  t.is(info.email, undefined);
});

run('a second application signs the same person in without a password', async (t) => {
  const person = await app.createPerson();
  await using context = await newContext();
  const page = await context.newPage();
  await using other = await startRelyingParty(app, { name: 'Other' });
  const first = await shop.begin();
  await page.goto(first.url);
  await signIn(page, person);
  await first.redeem(page);

  const asked = await other.begin();
  await page.goto(asked.url);
  t.is(await page.locator('input[name=password]').count(), 0);
  await allow(page);
  t.is((await asked.redeem(page)).claims()?.sub, person.subject);

  for (const party of [other, shop]) {
    const silent = await party.begin();
    await page.goto(silent.url);
    t.is((await silent.redeem(page)).claims()?.sub, person.subject, 'nothing is asked');
  }
});

run('prompt=none answers login_required without a session and a code with one', async (t) => {
  const person = await app.createPerson();
  await using context = await newContext();
  const page = await context.newPage();
  const nobody = await shop.begin({ prompt: 'none' });
  await page.goto(nobody.url);
  t.is((await nobody.answer(page)).get('error'), 'login_required');

  await page.goto((await shop.begin()).url);
  await signIn(page, person);
  const silent = await shop.begin({ prompt: 'none' });
  await page.goto(silent.url);
  const tokens = await silent.redeem(page);
  t.is(tokens.claims()?.sub, person.subject);

  const other = await app.createPerson();
  const hinted = await shop.begin({ prompt: 'none', id_token_hint: String(tokens.id_token) });
  await page.goto(hinted.url);
  t.is((await hinted.redeem(page)).claims()?.sub, person.subject, 'the hint is about this person');
  await using elsewhere = await newContext();
  const there = await elsewhere.newPage();
  await there.goto((await shop.begin()).url);
  await signIn(there, other);
  const mismatch = await shop.begin({ prompt: 'none', id_token_hint: String(tokens.id_token) });
  await there.goto(mismatch.url);
  t.is((await mismatch.answer(there)).get('error'), 'login_required', 'the hint is about another person');
});

run('prompt=login asks for the password again, of this account only, and auth_time moves', async (t) => {
  const person = await app.createPerson();
  await using context = await newContext();
  const page = await context.newPage();
  const first = await shop.begin({ max_age: '3600' });
  await page.goto(first.url);
  await signIn(page, person);
  const before = (await first.redeem(page)).claims();
  await passTime(app.db, 5);

  const again = await shop.begin({ prompt: 'login', max_age: '3600' });
  await page.goto(again.url);
  t.is(await page.locator('input[name=identifier]:visible').count(), 0, 'the account is fixed');
  t.true((await page.locator('main').innerText()).includes(person.name));
  await page.fill('input[name=password]', 'not the password');
  t.is((await send(page, '#sign-in')).status(), 422);
  t.is(await page.locator('input[name=identifier]:visible').count(), 0, 'and stays so after a mistake');
  await page.fill('input[name=password]', person.password);
  await send(page, '#sign-in');
  const after = (await again.redeem(page)).claims();
  t.is(after?.sub, person.subject);
  t.true(Number(after?.auth_time) >= Number(before?.auth_time) + 5);
});

run('max_age asks again once the sign-in is older than that, and not before', async (t) => {
  const person = await app.createPerson();
  await using context = await newContext();
  const page = await context.newPage();
  await page.goto((await shop.begin()).url);
  await signIn(page, person);
  await passTime(app.db, 100);

  const young = await shop.begin({ max_age: '1000' });
  await page.goto(young.url);
  t.is((await young.redeem(page)).claims()?.sub, person.subject);

  const silent = await shop.begin({ max_age: '60', prompt: 'none' });
  await page.goto(silent.url);
  t.is((await silent.answer(page)).get('error'), 'login_required');

  const old = await shop.begin({ max_age: '60' });
  await page.goto(old.url);
  await page.fill('input[name=password]', person.password);
  await send(page, '#sign-in');
  // openid-client refuses an auth_time that is older than max_age.
  t.is((await old.redeem(page)).claims()?.sub, person.subject);
});

run(
  'prompt=select_account shows who is signed in, and another person ends the first one’s session',
  async (t) => {
    const alice = await app.createPerson();
    const bob = await app.createPerson({ name: 'Bob', identifier: `bob-${Date.now()}@example.test` });
    await using context = await newContext();
    const page = await context.newPage();
    const first = await shop.begin();
    await page.goto(first.url);
    await signIn(page, alice);
    const tokens = await first.redeem(page);

    const same = await shop.begin({ prompt: 'select_account' });
    await page.goto(same.url);
    t.true((await page.locator('main').innerText()).includes(alice.identifier));
    await send(page, `button[name=account][value="${alice.subject}"]`);
    t.is((await same.redeem(page)).claims()?.sub, alice.subject, 'no password for the one who is signed in');

    const other = await shop.begin({ prompt: 'select_account' });
    await page.goto(other.url);
    await send(page, '#use-another-account');
    t.is(await page.inputValue('input[name=identifier]'), '');
    await signIn(page, bob);
    t.is((await other.redeem(page)).claims()?.sub, bob.subject);

    t.is(await statusOf(tokens), 401);
    await t.throwsAsync(shop.refresh(tokens), { message: /invalid_grant|server responded with an error/ });
    await page.goto(`${app.url}/account`);
    t.true((await page.locator('main').innerText()).includes(bob.identifier));
  },
);

run('at a re-authentication another person can take over with "Use another account"', async (t) => {
  const alice = await app.createPerson();
  const bob = await app.createPerson({ name: 'Bob' });
  await using context = await newContext();
  const page = await context.newPage();
  const first = await shop.begin();
  await page.goto(first.url);
  await signIn(page, alice);
  const tokens = await first.redeem(page);

  const again = await shop.begin({ prompt: 'login' });
  await page.goto(again.url);
  await send(page, '#use-another-account');
  await signIn(page, bob);
  t.is((await again.redeem(page)).claims()?.sub, bob.subject);
  t.is(await statusOf(tokens), 401);
});

run('everything works without JavaScript', async (t) => {
  const person = await app.createPerson();
  await using context = await newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await using other = await startRelyingParty(app, { name: 'Other' });
  const attempt = await other.begin();
  await page.goto(attempt.url);
  t.is((await signIn(page, { ...person, password: 'not the password' })).status(), 422);
  await signIn(page, person);
  await allow(page, ['email']);
  const tokens = await attempt.redeem(page);
  t.is(tokens.claims()?.sub, person.subject);
  t.false(tokens.scope?.split(' ').includes('email'));
  const chosen = await other.begin({ prompt: 'select_account' });
  await page.goto(chosen.url);
  await send(page, `button[name=account][value="${person.subject}"]`);
  t.is((await chosen.redeem(page)).claims()?.sub, person.subject);
});

run('without JavaScript another person takes over with one more button', async (t) => {
  const alice = await app.createPerson();
  const bob = await app.createPerson({ name: 'Bob' });
  await using context = await newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  const first = await shop.begin();
  await page.goto(first.url);
  await signIn(page, alice);
  const tokens = await first.redeem(page);
  const other = await shop.begin({ prompt: 'select_account' });
  await page.goto(other.url);
  await send(page, '#use-another-account');
  const between = await signIn(page, bob);
  t.is(between.status(), 200);
  await send(page, 'button');
  t.is((await other.redeem(page)).claims()?.sub, bob.subject);
  t.is(await statusOf(tokens), 401);
});
