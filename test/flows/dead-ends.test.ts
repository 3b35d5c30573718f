/** Back button, old tab, lost cookie, expired page: each one ends on a page with a way on that works. */
import test from 'ava';
import type { Page } from 'playwright-core';
import { startTestApp } from '../_app.ts';
import { run, useBrowser } from '../_chromium.ts';
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
