/** The first operator, by the link that the server prints. */
import test from 'ava';
import { createSetupLink } from '../../server/accounts/setup-link.ts';
import { startTestApp, type TestApp } from '../_app.ts';
import { leadsTo, run, send, signIn, useBrowser } from '../_chromium.ts';
import { newJar, request } from '../_walk.ts';

const openContext = useBrowser();

const link = async ({ services, url }: TestApp) =>
  String(await createSetupLink(services.db, services.audit, url));

async function openForm(app: TestApp) {
  const jar = newJar();
  let url = `${app.url}/setup`;
  for (let step = 0; step < 3; step += 1) {
    const reply = await request(jar, url);
    const location = reply.headers.get('location');
    if (!location) {
      const csrf = String(/name="csrf" value="([^"]+)"/.exec(reply.text)?.[1]);
      const submit = (fields: Record<string, string>) =>
        request(jar, `${url}/setup`, { method: 'POST', body: new URLSearchParams({ csrf, ...fields }) });
      return { jar, submit };
    }
    url = new URL(location, url).href;
  }
  throw new Error('the setup page does not open');
}

const good = { name: 'Olivia', identifier: 'olivia@example.test', password: 'a long enough password' };

test.serial('without the key, with a wrong or a replaced one, nobody becomes an operator', async (t) => {
  await using app = await startTestApp();
  const first = new URL(await link(app)).hash.slice(3);
  const second = new URL(await link(app)).hash.slice(3);
  const { submit } = await openForm(app);
  t.is((await submit({ ...good, key: '' })).status, 422);
  t.is((await submit({ ...good, key: 'gsk_wrong' })).status, 410);
  t.is((await submit({ ...good, key: first })).status, 410, 'a newer link voids it');
  t.is((await app.db('accounts').select('id')).length, 0);
  t.is((await submit({ ...good, key: second })).status, 303);
});

test.serial('a mistake keeps the key; the key works once; then there is no setup any more', async (t) => {
  await using app = await startTestApp();
  const key = new URL(await link(app)).hash.slice(3);
  const taken = await app.createPerson();
  const { submit } = await openForm(app);
  const other = await openForm(app);
  t.is((await submit({ ...good, key, password: 'short' })).status, 422);
  t.is((await submit({ ...good, key, identifier: taken.identifier })).status, 409);
  const parallel = await Promise.all([
    submit({ ...good, key }),
    other.submit({ ...good, identifier: 'second', key }),
  ]);
  t.deepEqual(
    parallel.map(({ status }) => status).toSorted((a, b) => a - b),
    [303, 410],
  );
  t.is((await app.db('account_roles').where({ role: 'operator' })).length, 1);
  t.is((await request(newJar(), `${app.url}/setup`)).status, 410);
  t.is(await createSetupLink(app.db, app.services.audit, app.url), undefined);
});

test.serial('another application cannot put the setup page in front of people', async (t) => {
  await using app = await startTestApp();
  const client = await app.createClient({
    kind: 'web',
    name: 'Shop',
    redirectUris: ['https://shop.test/cb'],
  });
  const jar = newJar();
  const query = new URLSearchParams({
    client_id: client.id,
    response_type: 'code',
    scope: 'openid',
    redirect_uri: 'https://shop.test/cb',
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    code_challenge_method: 'S256',
    setup: '1',
  });
  const reply = await request(jar, `${app.url}/auth?${query}`);
  const page = await request(jar, `${app.url}${reply.headers.get('location')}`);
  t.false(page.text.includes('name="key"'));
  t.true(page.text.includes('id="sign-in"'));
});

run('the link fills in the key, hides it from the address bar, and lands on the account page', async (t) => {
  await using app = await startTestApp();
  const page = await (await openContext()).newPage();
  await page.goto(await link(app));
  await page.waitForFunction(() => (document.querySelector('[name=key]') as HTMLInputElement).value !== '');
  t.false(page.url().includes('#k='));
  await page.fill('[name=name]', good.name);
  await page.fill('[name=identifier]', good.identifier);
  await page.fill('[name=password]', good.password);
  await page.click('#create-account');
  await page.waitForURL(`${app.url}/account`);
  t.true((await page.textContent('main'))?.includes(good.name));
  await page.click('#sign-out');
  await page.waitForURL('**/session/end/success');
  await page.goto(`${app.url}/account`);
  t.truthy(await page.$('#sign-in'));
});

run('without JavaScript the key is pasted', async (t) => {
  await using app = await startTestApp();
  const page = await (await openContext({ javaScriptEnabled: false })).newPage();
  const setup = await link(app);
  await page.goto(setup);
  await page.fill('[name=key]', new URL(setup).hash.slice(3));
  await page.fill('[name=name]', good.name);
  await page.fill('[name=identifier]', good.identifier);
  await page.fill('[name=password]', good.password);
  await page.click('#create-account');
  await page.waitForURL(`${app.url}/account`);
  t.true((await page.textContent('main'))?.includes(good.name));
});

run('a mistake and a change of language cost neither the key nor what was typed', async (t) => {
  await using app = await startTestApp();
  const taken = await app.createPerson();
  await using context = await openContext();
  const page = await context.newPage();
  const setup = await link(app);
  const key = new URL(setup).hash.slice(3);
  await page.goto(setup);
  await page.waitForFunction(() => document.activeElement?.getAttribute('name') === 'name');
  await leadsTo(page, () => page.click('a[hreflang="zh-CN"]'));
  await page.waitForFunction(() => document.activeElement?.getAttribute('name') === 'name');
  t.is(await page.getAttribute('html', 'lang'), 'zh-CN');
  t.is(await page.inputValue('[name=key]'), key);

  await page.fill('[name=name]', good.name);
  await page.fill('[name=identifier]', taken.identifier);
  await page.fill('[name=password]', good.password);
  t.is((await send(page, '#create-account')).status(), 409);
  t.is(await page.locator(':focus').getAttribute('role'), 'alert');
  t.is(await page.getAttribute('[name=identifier]', 'aria-invalid'), 'true');
  t.is(await page.inputValue('[name=key]'), key);
  t.is(await page.inputValue('[name=name]'), good.name);
  t.is(await page.inputValue('[name=password]'), '');
  await page.fill('[name=identifier]', good.identifier);
  await page.fill('[name=password]', good.password);
  await send(page, '#create-account');
  t.is(page.url(), `${app.url}/account`);

  const refused = await page.goto(setup);
  t.is(refused?.status(), 410);
  t.is(await page.locator('[name=key]').count(), 0);
  await page.click('main a[href="/account"]');
  t.true((await page.textContent('main'))?.includes(good.name));
});

run('a wrong key is told as such, and the right one can be pasted over it', async (t) => {
  await using app = await startTestApp();
  await using context = await openContext();
  const page = await context.newPage();
  const setup = await link(app);
  await page.goto(`${app.url}/setup#k=gsk_wrong`);
  await page.waitForFunction(() => document.activeElement?.getAttribute('name') === 'name');
  await page.fill('[name=name]', good.name);
  await page.fill('[name=identifier]', good.identifier);
  await page.fill('[name=password]', good.password);
  t.is((await send(page, '#create-account')).status(), 410);
  t.is(await page.getAttribute('[name=key]', 'aria-invalid'), 'true');
  t.is((await app.db('accounts').select('id')).length, 0);
  await page.fill('[name=key]', `  ${new URL(setup).hash.slice(3)} `);
  await page.fill('[name=password]', good.password);
  await send(page, '#create-account');
  t.is(page.url(), `${app.url}/account`);
});

run('somebody who is signed in already becomes the operator under the new name', async (t) => {
  await using app = await startTestApp();
  const person = await app.createPerson();
  await using context = await openContext();
  const page = await context.newPage();
  await page.goto(`${app.url}/account`);
  await signIn(page, person);
  await page.goto(await link(app));
  await page.waitForFunction(() => document.activeElement?.getAttribute('name') === 'name');
  await page.fill('[name=name]', good.name);
  await page.fill('[name=identifier]', good.identifier);
  await page.fill('[name=password]', good.password);
  await page.click('#create-account');
  await page.waitForURL(`${app.url}/account`);
  t.true((await page.textContent('main'))?.includes(good.identifier));
  t.false((await page.textContent('main'))?.includes(person.identifier));
  const operators = await app.db('account_roles').where({ role: 'operator' }).pluck('account_id');
  t.is(operators.length, 1);
  t.not(operators[0], person.id as never);
});
