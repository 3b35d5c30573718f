/** Back button, old tab, lost cookie, expired page: each one ends on a page with a way on that works. */
import test from 'ava';
import type { Page } from 'playwright-core';
import { createSetupLink } from '../../server/accounts/setup-link.ts';
import { startTestApp } from '../_app.ts';
import { allow, leadsTo, run, send, signIn, useBrowser } from '../_chromium.ts';
import { startRelyingParty } from '../_relying-party.ts';
import { passTime, resetTime } from '../_time.ts';
import { authorizeUrl, newJar, request, type TestClient } from '../_walk.ts';

const openContext = useBrowser();

async function setUp() {
  const app = await startTestApp();
  const person = await app.createPerson();
  // The callback is a page of this server that exists for everybody, so that the browser arrives somewhere.
  const redirectUri = `${app.url}/docs/errors`;
  const client: TestClient = {
    ...(await app.createClient({
      kind: 'web',
      name: 'Shop',
      redirectUris: [redirectUri],
      clientUri: 'https://shop.test/',
    })),
    redirectUri,
  };
  const signIn = async (page: Page) => {
    await page.fill('[name=identifier]', person.identifier);
    await page.fill('[name=password]', person.password);
    await page.click('#sign-in');
  };
  return { app, person, client, signIn };
}

test.serial('an unknown journey is gone', async (t) => {
  const { app } = await setUp();
  await using _ = app;
  t.is((await request(newJar(), `${app.url}/interaction/unknown`)).status, 410);
  t.is((await request(newJar(), `${app.url}/auth/unknown`)).status, 410);
});

run('Back after signing in says so, and an old tab too', async (t) => {
  const { app, client, signIn } = await setUp();
  await using _ = app;
  const page = await (await openContext()).newPage();
  await page.goto(authorizeUrl(app, client));
  const old = page.url();
  await signIn(page);
  await page.click('#consent-allow');
  await page.waitForURL(`${client.redirectUri}**`);
  const reply = await page.goto(old);
  t.is(reply?.status(), 200);
  t.truthy(await page.$('a[href="https://shop.test/"]'));
  await page.click('a[href="/account"]');
  t.is(page.url(), `${app.url}/account`);
});

run('a journey without its cookie starts again', async (t) => {
  const { app, client, signIn } = await setUp();
  await using _ = app;
  const context = await openContext();
  const page = await context.newPage();
  await page.goto(authorizeUrl(app, client));
  await context.clearCookies();
  await signIn(page);
  await page.waitForSelector('a[href*="/auth?"]');
  await page.click('a[href*="/auth?"]');
  await signIn(page);
  await page.click('#consent-allow');
  await page.waitForURL(`${client.redirectUri}**`);
  t.true(page.url().includes('state=the-state'));
});

run('a page that was open for too long starts again', async (t) => {
  const { app, client, signIn } = await setUp();
  await using _ = app;
  const page = await (await openContext()).newPage();
  await page.goto(authorizeUrl(app, client));
  await passTime(app.db, 3700);
  await signIn(page);
  await page.waitForSelector('a[href*="/auth?"]');
  resetTime();
  await page.click('a[href*="/auth?"]');
  await signIn(page);
  await page.click('#consent-allow');
  await page.waitForURL(`${client.redirectUri}**`);
  t.pass();
});

const startAgain = 'main a[href*="/auth?"]';

run('the Back button after signing in leads to a page that leads on', async (t) => {
  await using app = await startTestApp();
  const person = await app.createPerson();
  await using shop = await startRelyingParty(app, { clientUri: 'https://shop.test/' });
  await using context = await openContext();
  const page = await context.newPage();
  const attempt = await shop.begin();
  await page.goto(attempt.url);
  await signIn(page, person);

  // From the question about consent, one step too far; Forward returns to the question.
  t.is((await leadsTo(page, () => page.goBack())).status(), 200);
  t.is(await page.locator('input[name=password]').count(), 0);
  await leadsTo(page, () => page.goForward());
  await allow(page);
  t.is((await attempt.redeem(page)).claims()?.sub, person.subject);

  const back = await leadsTo(page, () => page.goBack());
  t.is(back.status(), 200);
  t.is(await page.locator('h1').innerText(), 'You’re already signed in');
  t.is(await page.locator('main a.primary').getAttribute('href'), 'https://shop.test/');
  await send(page, 'main a[href="/account"]');
  t.true((await page.locator('main').innerText()).includes(person.identifier));
});

run('an old tab can be sent, and two journeys at once both arrive', async (t) => {
  await using app = await startTestApp();
  const person = await app.createPerson();
  await using shop = await startRelyingParty(app, { firstParty: true });
  await using context = await openContext();
  const [first, second] = [await context.newPage(), await context.newPage()];
  const one = await shop.begin();
  const other = await shop.begin();
  await first.goto(one.url);
  await second.goto(other.url);
  const old = await context.newPage();
  await old.goto(first.url());
  await signIn(first, person);
  t.is((await one.redeem(first)).claims()?.sub, person.subject);
  await signIn(second, person);
  t.is((await other.redeem(second)).claims()?.sub, person.subject);

  t.is((await signIn(old, person)).status(), 200);
  t.is(await old.locator('h1').innerText(), 'You’re already signed in');
  await send(old, 'main a[href="/account"]');
  t.is(await old.locator('#sign-out').count(), 1);
});

run('a journey that another browser opens is refused there, and can be begun again', async (t) => {
  await using app = await startTestApp();
  const person = await app.createPerson();
  await using shop = await startRelyingParty(app, { firstParty: true });
  await using context = await openContext();
  const page = await context.newPage();
  const attempt = await shop.begin({ login_hint: person.identifier });
  await page.goto(attempt.url);
  await using elsewhere = await openContext();
  const there = await elsewhere.newPage();
  t.is((await there.goto(page.url()))?.status(), 403);
  t.false((await there.content()).includes(person.identifier), 'it says nothing about the person');
  await send(there, startAgain);
  t.is(await there.inputValue('input[name=identifier]'), '');
  await signIn(there, person);
  t.is((await attempt.answer(there)).get('error'), null);
});

run('a journey that began with a pushed request can be begun again', async (t) => {
  await using app = await startTestApp();
  const person = await app.createPerson();
  await using shop = await startRelyingParty(app, { firstParty: true });
  await using context = await openContext();
  const page = await context.newPage();
  const attempt = await shop.begin({}, { pushed: true });
  await page.goto(attempt.url);
  await context.clearCookies();
  t.is((await signIn(page, person)).status(), 403);
  await send(page, startAgain);
  await signIn(page, person);
  t.is((await attempt.redeem(page)).claims()?.sub, person.subject);
});

run('signed out, a finished journey is over, and begins again with a sign-in', async (t) => {
  await using app = await startTestApp();
  const person = await app.createPerson();
  await using shop = await startRelyingParty(app, { firstParty: true });
  await using context = await openContext();
  const page = await context.newPage();
  const attempt = await shop.begin();
  await page.goto(attempt.url);
  const address = page.url();
  await signIn(page, person);
  await page.goto(`${app.url}/account`);
  await send(page, '#sign-out');
  t.is((await page.goto(address))?.status(), 410);
  await send(page, startAgain);
  await signIn(page, person);
  t.is((await attempt.redeem(page)).claims()?.sub, person.subject);
});

run('an unknown journey leads to the account page', async (t) => {
  await using app = await startTestApp();
  await using context = await openContext();
  const page = await context.newPage();
  t.is((await page.goto(`${app.url}/interaction/unknown`))?.status(), 410);
  await send(page, 'main a[href="/account"]');
  t.is(await page.locator('#sign-in').count(), 1);
});

run('a set-up that lost its cookie begins again as a set-up', async (t) => {
  await using app = await startTestApp();
  await using context = await openContext();
  const page = await context.newPage();
  await page.goto(String(await createSetupLink(app.db, app.services.audit, app.url)));
  const address = page.url();
  await context.clearCookies();
  t.is((await page.goto(address))?.status(), 403);
  await send(page, 'main a.primary');
  t.is(await page.locator('#create-account').count(), 1);
});
