/** The session of a browser: its cookie, its ids, and its end. */
import test from 'ava';
import type { BrowserContext, Page } from 'playwright-core';
import { type Person, startTestApp, type TestApp } from '../_app.ts';
import { raw } from '../_browserless.ts';
import { cookieOf, run, send, signIn, useBrowser } from '../_chromium.ts';
import { type RelyingParty, startRelyingParty } from '../_relying-party.ts';
import { passTime, resetTime } from '../_time.ts';

const newContext = useBrowser();
const cookieName = 'gatehouse_session';
let app: TestApp;
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

async function openSession(context: BrowserContext, person: Person): Promise<Page> {
  const page = await context.newPage();
  await page.goto((await shop.begin()).url);
  await signIn(page, person);
  return page;
}

/** Whether an application gets an answer without a question. */
async function isSignedIn(page: Page): Promise<boolean> {
  const attempt = await shop.begin({ prompt: 'none' });
  await page.goto(attempt.url);
  const answer = await attempt.answer(page);
  if (answer.get('code')) return true;
  if (answer.get('error') === 'login_required') return false;
  throw new Error(String(answer));
}

const sessionCookies = async (context: BrowserContext) =>
  (await context.cookies()).filter(({ name }) => name.startsWith(cookieName));

run('a cookie that was made up or changed is nobody', async (t) => {
  await using context = await newContext();
  const page = await openSession(context, await app.createPerson());
  const cookies = await sessionCookies(context);
  t.deepEqual(cookies.map(({ name }) => name).toSorted(), [cookieName, `${cookieName}.sig`]);
  t.true(await isSignedIn(page));
  const damage = (value: string) => (value.startsWith('A') ? 'B' : 'A') + value.slice(1);
  for (const change of [
    (name: string, value: string) => (name === cookieName ? damage(value) : value),
    (name: string, value: string) => (name === cookieName ? value : damage(value)),
    (name: string, value: string) => (name === cookieName ? value : ''),
  ]) {
    await using other = await newContext();
    await other.addCookies(cookies.map((one) => ({ ...one, value: change(one.name, one.value) })));
    t.false(await isSignedIn(await other.newPage()));
  }
  await using same = await newContext();
  await same.addCookies(cookies);
  t.true(await isSignedIn(await same.newPage()), 'unchanged it works, or the changes would prove nothing');
});

run(
  'a session that somebody planted in a browser is not the one of the person who signs in there',
  async (t) => {
    const attacker = await app.createPerson({ name: 'Mallory' });
    const victim = await app.createPerson();
    await using theirs = await newContext();
    await openSession(theirs, attacker);
    const planted = await sessionCookies(theirs);

    await using context = await newContext();
    await context.addCookies(planted);
    const page = await context.newPage();
    const attempt = await shop.begin({ prompt: 'select_account' });
    await page.goto(attempt.url);
    await send(page, '#use-another-account');
    await signIn(page, victim);
    t.is((await attempt.redeem(page)).claims()?.sub, victim.subject);
    await using again = await newContext();
    await again.addCookies(planted);
    t.false(await isSignedIn(await again.newPage()));
  },
);

run('the id of a session changes when the person proves again who they are', async (t) => {
  const person = await app.createPerson();
  await using context = await newContext();
  const page = await openSession(context, person);
  const before = await sessionCookies(context);
  const again = await shop.begin({ prompt: 'login' });
  await page.goto(again.url);
  await page.fill('input[name=password]', person.password);
  await send(page, '#sign-in');
  const old = before.find(({ name }) => name === cookieName)?.value;
  t.not((await cookieOf(context, cookieName))?.value, old);
  await using stale = await newContext();
  await stale.addCookies(before);
  t.false(await isSignedIn(await stale.newPage()), 'the value before it is worth nothing');
  t.true(await isSignedIn(page));
});

run('scripts and other sites do not get the cookies, and those of a journey stay in it', async (t) => {
  await using context = await newContext();
  const page = await context.newPage();
  await page.goto((await shop.begin()).url);
  const during = await context.cookies(page.url());
  t.true(during.length > 0);
  for (const cookie of during) {
    t.true(cookie.httpOnly, cookie.name);
    t.is(cookie.sameSite, 'Lax', cookie.name);
    t.false(cookie.secure, 'the issuer is http');
    t.is(cookie.domain, 'localhost', 'for this host only');
    t.is(cookie.path, cookie.name.startsWith('gatehouse_interaction') ? new URL(page.url()).pathname : '/');
  }
  await signIn(page, await app.createPerson());
  t.deepEqual(
    (await context.cookies(`${app.url}/account`)).map(({ name }) => name).toSorted(),
    [cookieName, `${cookieName}.sig`],
    'everywhere else on this host only the session is sent',
  );
});

test.serial('on https the cookies are secure and bound to the host by their names', async (t) => {
  await using secure = await startTestApp({
    env: { ISSUER: 'https://id.example.test', TRUST_PROXY: '127.0.0.1' },
  });
  const client = await secure.createClient({
    kind: 'web',
    name: 'Shop',
    redirectUris: ['https://shop.test/cb'],
  });
  const query = new URLSearchParams({
    client_id: client.id,
    response_type: 'code',
    scope: 'openid',
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    code_challenge_method: 'S256',
  });
  const insecure = await raw(secure, `/auth?${query}`);
  t.is(insecure.status, 421);
  t.is(insecure.headers['set-cookie'], undefined);

  const person = await secure.createPerson();
  const lines: string[] = [];
  const ask = async (address: string, form?: Record<string, string>) => {
    const { pathname, search } = new URL(address, secure.url);
    const reply = await raw(secure, pathname + search, {
      headers: {
        'x-forwarded-proto': 'https',
        cookie: lines.map((line) => line.split(';')[0]).join('; '),
        ...(form ? { 'content-type': 'application/x-www-form-urlencoded' } : {}),
      },
      ...(form ? { method: 'POST', body: String(new URLSearchParams(form)) } : {}),
    });
    lines.push(...(reply.headers['set-cookie'] ?? []));
    return reply;
  };
  const journey = String((await ask(`/auth?${query}`)).headers.location);
  const csrf = String(/name="csrf" value="([^"]+)"/.exec((await ask(journey)).text)?.[1]);
  const { identifier, password } = person;
  const signedIn = await ask(`${journey}/sign-in`, { csrf, identifier, password });
  await ask(String(signedIn.headers.location));
  t.true(lines.some((line) => line.startsWith('__Host-gatehouse_session=')));
  t.true(lines.some((line) => line.startsWith('__Secure-gatehouse_interaction=')));
  for (const line of lines) {
    t.regex(line, /; secure/i);
    t.regex(line, /; httponly/i);
    t.regex(line, /; samesite=lax/i);
    t.notRegex(line, /domain=/i);
    if (line.startsWith('__Host-')) t.regex(line, /; path=\/;/i);
    else t.regex(line, /^__Secure-/);
  }
});

run('a session that nobody uses ends; using it keeps it', async (t) => {
  await using context = await newContext();
  const page = await openSession(context, await app.createPerson());
  const { idleSeconds } = app.config.session;
  for (let turn = 0; turn < 3; turn += 1) {
    await passTime(app.db, idleSeconds - 60);
    t.true(await isSignedIn(page), `turn ${turn}`);
  }
  await passTime(app.db, idleSeconds + 1);
  t.false(await isSignedIn(page));
  await page.goto(`${app.url}/account`);
  t.is(await page.locator('#sign-in').count(), 1);
});

run('a session ends a day after the sign-in, however much it is used', async (t) => {
  const person = await app.createPerson();
  await using context = await newContext();
  const page = await openSession(context, person);
  const { idleSeconds, absoluteSeconds } = app.config.session;
  const step = idleSeconds - 300;
  let passed = 0;
  while (passed + step < absoluteSeconds - 60) {
    await passTime(app.db, step);
    passed += step;
    if (!(await isSignedIn(page))) break;
  }
  t.true(passed + step >= absoluteSeconds - 60, `it lasted ${passed} seconds`);
  await passTime(app.db, absoluteSeconds - passed + 1);
  t.false(await isSignedIn(page));

  // Signing in again starts a day of its own.
  await page.goto((await shop.begin()).url);
  await signIn(page, person);
  t.true(await isSignedIn(page));
});

run('a suspended account is signed out at its next request, everywhere', async (t) => {
  const person = await app.createPerson();
  await using context = await newContext();
  const page = await openSession(context, person);
  await app
    .db('accounts')
    .where({ id: person.id as never })
    .update({ status: 'suspended' });
  t.false(await isSignedIn(page));
  await page.goto(`${app.url}/account`);
  t.is(await page.locator('#sign-in').count(), 1);
  const response = await signIn(page, person);
  t.is(response.status(), 403);
  t.regex(await page.locator('[role=alert]').innerText(), /suspended/);
});

run('each browser has a session of its own', async (t) => {
  const person = await app.createPerson();
  await using laptop = await newContext();
  await using phone = await newContext();
  const one = await openSession(laptop, person);
  const other = await openSession(phone, person);
  await one.goto(`${app.url}/account`);
  await send(one, '#sign-out');
  t.false(await isSignedIn(one));
  t.true(await isSignedIn(other));
});
