/** The first operator, by the link that the server prints. */
import test from 'ava';
import { createSetupLink } from '../../server/accounts/setup-link.ts';
import { startTestApp, type TestApp } from '../_app.ts';
import { run, useBrowser } from '../_chromium.ts';
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
  t.deepEqual(parallel.map(({ status }) => status).sort(), [303, 410]);
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
