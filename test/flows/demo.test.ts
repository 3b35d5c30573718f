/** The demo app against the real server: what it seeds, its API by plain requests, and a visitor's whole way in a browser. */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { type Browser, chromium, type Page } from 'playwright-core';
import { startDemo } from '../../examples/demo-app/app.ts';
import { runDemo } from '../../examples/demo-app/run.ts';
import { type DemoSettings, seedDemo } from '../../examples/demo-app/seed.ts';
import { signInWithPassword } from '../../server/accounts/accounts.ts';
import { createClient } from '../../server/clients/clients.ts';
import { ListenError, listen } from '../../server/listen.ts';
import { startTestApp, type TestApp } from '../_app.ts';

const CHROMIUM = '/usr/bin/chromium';
const inBrowser = existsSync(CHROMIUM) ? test.serial : test.serial.skip;

/** A port that nobody uses now; the demo registers it before it listens. */
async function findPort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

interface DataDir extends AsyncDisposable {
  path: string;
  file: string;
}

async function makeDataDir(): Promise<DataDir> {
  const path = await mkdtemp(join(tmpdir(), 'gatehouse-demo-'));
  return {
    path,
    file: join(path, 'demo.json'),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

const canSignIn = async ({ services: { db, accounts } }: TestApp, person: DemoSettings['person']) =>
  (await signInWithPassword(db, accounts.hasher, person.identifier, person.password)).ok;

const demoClients = ({ db }: TestApp) =>
  db('clients').whereRaw("metadata ->> 'client_name' = 'Demo Shop'").orderBy('created_at').pluck('id');

const countAll = async ({ db }: TestApp) => ({
  clients: (await db('clients')).length,
  apis: (await db('apis')).length,
  accounts: (await db('accounts')).length,
});

test.serial('a second start finds everything in place and changes nothing', async (t) => {
  await using app = await startTestApp();
  await using data = await makeDataDir();
  const first = await seedDemo(app.services, data.path, { port: 3001 });
  const counts = await countAll(app);
  const before = await stat(data.file);

  t.deepEqual(await seedDemo(app.services, data.path, { port: 3001 }), first);
  t.deepEqual(await countAll(app), counts);
  t.is((await stat(data.file)).mtimeMs, before.mtimeMs);
  t.is(before.mode & 0o777, 0o600);
  t.deepEqual(await readdir(data.path), ['demo.json']);
  t.true(await canSignIn(app, first.person));
  t.is(first.person.identifier, 'alice@example.test');
  t.true(first.person.password.length >= app.config.passwords.minLength);
});

test.serial('a fresh database gets the person of demo.json again, and a client', async (t) => {
  await using data = await makeDataDir();
  let first: DemoSettings;
  {
    await using gone = await startTestApp();
    first = await seedDemo(gone.services, data.path, { port: 3001 });
  }
  await using app = await startTestApp();
  const second = await seedDemo(app.services, data.path, { port: 3001 });

  t.deepEqual(second.person, first.person);
  t.true(await canSignIn(app, second.person));
  t.not(second.client.id, first.client.id);
  t.deepEqual(await demoClients(app), [second.client.id]);
  t.deepEqual(JSON.parse(await readFile(data.file, 'utf8')), second);
});

for (const [name, damage] of [
  ['lost', (file: string) => rm(file)],
  ['damaged', (file: string) => writeFile(file, '{"port":3001,')],
] as const) {
  test.serial(
    `when demo.json is ${name}, the client is replaced and nobody’s password is touched`,
    async (t) => {
      await using app = await startTestApp();
      await using data = await makeDataDir();
      const first = await seedDemo(app.services, data.path, { port: 3001 });
      await damage(data.file);
      const second = await seedDemo(app.services, data.path, { port: 3001 });

      t.deepEqual(await demoClients(app), [second.client.id]);
      t.true(await canSignIn(app, first.person));
      t.true(await canSignIn(app, second.person));
      t.not(second.person.identifier, first.person.identifier);
      t.deepEqual(await seedDemo(app.services, data.path, { port: 3001 }), second);
      t.deepEqual(await readdir(data.path), ['demo.json']);
    },
  );
}

test.serial('an account that has the demo’s address already stays its owner’s', async (t) => {
  await using app = await startTestApp();
  await using data = await makeDataDir();
  const owner = await app.createPerson({ identifier: 'alice@example.test', name: 'Another Alice' });
  const { person } = await seedDemo(app.services, data.path, { port: 3001 });

  t.regex(person.identifier, /^alice-[0-9a-f]{8}@example\.test$/);
  t.true(await canSignIn(app, owner));
  t.false(await canSignIn(app, { ...person, identifier: owner.identifier }));
});

test.serial('a suspended person and an application of somebody else stay as they are', async (t) => {
  await using app = await startTestApp();
  await using data = await makeDataDir();
  const redirectUris = ['http://demo.localhost:3001/callback'];
  const other = await app.createClient({ kind: 'web', name: 'My first app', redirectUris });
  const first = await seedDemo(app.services, data.path, { port: 3001 });
  await app.db('accounts').update({ status: 'suspended' });
  await rm(data.file);
  await writeFile(
    data.file,
    JSON.stringify({ ...first, client: { ...first.client, secret: 'gcs_forgotten' } }),
  );
  const second = await seedDemo(app.services, data.path, { port: 3001 });

  t.deepEqual(second.person, first.person);
  t.not(second.client.id, first.client.id);
  t.truthy(await app.db('clients').where({ id: other.id }).first('id'));
});

test.serial('another port replaces the client and the API, and keeps the person', async (t) => {
  await using app = await startTestApp();
  await using data = await makeDataDir();
  const first = await seedDemo(app.services, data.path, { port: 3001 });
  const counts = await countAll(app);
  const second = await seedDemo(app.services, data.path, { port: 3002 });

  t.deepEqual(await countAll(app), counts);
  t.deepEqual(second.person, first.person);
  t.is(second.api, 'http://127.0.0.1:3002/api');
  t.deepEqual(await demoClients(app), [second.client.id]);
});

test.serial('a busy port is refused with the line to change, and production has no demo', async (t) => {
  await using app = await startTestApp({ env: { DEMO_PORT: String(await findPort()) } });
  await using data = await makeDataDir();
  const { services } = app;
  const logger = { info() {}, error() {} } as never;
  const config = { ...app.config, dataDir: data.path };
  await using demo = await runDemo({ services, config, logger });

  t.is(demo.url, `http://demo.localhost:${config.demo.port}`);
  t.is(demo.person, 'alice@example.test');
  const busy = await t.throwsAsync(runDemo({ services, config, logger }), { instanceOf: ListenError });
  t.regex(busy.message, new RegExp(`DEMO_PORT=${config.demo.port + 1}`));
  await t.throwsAsync(runDemo({ services, config: { ...config, mode: 'production' }, logger }), {
    message: /development only/,
  });
});

/** Server and demo, as one `npm start` has them. */
interface Stage extends AsyncDisposable {
  app: TestApp;
  settings: DemoSettings;
  /** For browsers. */
  url: string;
  /** For requests from Node, which does not resolve *.localhost. */
  local: string;
}

async function openStage(): Promise<Stage> {
  await using opened = new AsyncDisposableStack();
  const app = opened.use(await startTestApp());
  const data = opened.use(await makeDataDir());
  const port = await findPort();
  const settings = await seedDemo(app.services, data.path, { port });
  const complain = (entry: unknown) => console.error(entry);
  const logger = { info() {}, warn: complain, error: complain } as never;
  const demo = opened.use(await startDemo({ issuer: app.url, port, settings, logger }));
  const held = opened.move();
  return {
    app,
    settings,
    url: demo.url,
    local: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** A token of a machine for an API. */
async function machineToken({ app }: Stage, resource: string, scope?: string): Promise<string> {
  const { services } = app;
  const { client, secret } = await createClient(
    services.db,
    services.audit,
    {},
    { kind: 'machine', name: 'Robot' },
  );
  const answer = await fetch(`${app.url}/token`, {
    method: 'POST',
    headers: { Authorization: `Basic ${btoa(`${client.id}:${secret}`)}` },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      resource,
      ...(scope === undefined ? {} : { scope }),
    }),
  });
  const { access_token } = (await answer.json()) as { access_token: string };
  return access_token;
}

test.serial('the API says 401 to a stranger, 403 to one who lacks the scope, and lists orders', async (t) => {
  await using stage = await openStage();
  const ask = (token?: string, path = '/orders', method = 'GET') =>
    fetch(stage.settings.api + path, {
      method,
      headers: token === undefined ? {} : { Authorization: `Bearer ${token}` },
    });

  const stranger = await ask();
  t.is(stranger.status, 401);
  t.is(stranger.headers.get('WWW-Authenticate'), 'Bearer realm="Demo orders"');

  const without = await machineToken(stage, stage.settings.api);
  const forbidden = await ask(without);
  t.is(forbidden.status, 403);
  t.is(
    forbidden.headers.get('WWW-Authenticate'),
    'Bearer realm="Demo orders", error="insufficient_scope", scope="orders:read"',
  );

  await stage.app.createApi({
    identifier: 'https://other.example.test',
    title: 'Other',
    scopes: [{ name: 'orders:read' }],
  });
  const foreign = await machineToken(stage, 'https://other.example.test', 'orders:read');
  const [header = '', payload = '', signature = ''] = without.split('.');
  const bad = [
    'nonsense',
    foreign,
    `${header}.${payload}.${signature.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))}`,
    `${btoa('{"alg":"none","typ":"at+jwt"}').replaceAll('=', '')}.${payload}.`,
  ];
  for (const token of bad) {
    const answer = await ask(token);
    t.is(answer.status, 401, token);
    t.regex(String(answer.headers.get('WWW-Authenticate')), /error="invalid_token"/);
  }

  const allowed = await machineToken(stage, stage.settings.api, 'orders:read orders:refund');
  const list = await ask(allowed);
  t.is(list.status, 200);
  t.is(((await list.json()) as { orders: unknown[] }).orders.length, 3);
  // Restricted: asking for it does not give it.
  t.is((await ask(allowed, '/refunds', 'POST')).status, 403);
});

test.serial('forms without their token, foreign answers and other host names are refused', async (t) => {
  await using stage = await openStage();
  const host = new URL(stage.url).host;
  const send = (path: string, init: Parameters<typeof fetchAs>[2] = {}) =>
    fetchAs(host, stage.local + path, init);

  const form = await send('/refresh', { method: 'POST', body: new URLSearchParams({ csrf: 'guess' }) });
  t.is(form.status, 403);

  const answer = await send('/callback?code=stolen&state=unknown');
  t.is(answer.status, 400);
  t.regex(answer.body, /state_mismatch/);

  const missing = await send('/nothing');
  t.is(missing.status, 404);

  const home = await send('/');
  t.is(home.status, 200);
  t.regex(String(home.headers['content-security-policy']), /default-src 'none'; style-src 'self'/);
  t.is(home.headers['set-cookie'], undefined, 'no cookie before it is needed');

  const elsewhere = await fetch(`${stage.local}/sign-in`, { redirect: 'manual' });
  t.is(elsewhere.status, 303);
  t.is(elsewhere.headers.get('Location'), `${stage.url}/`);
});

test.serial('without Gatehouse the demo says so, and works as soon as it is there', async (t) => {
  const port = await findPort();
  const settings: DemoSettings = {
    port,
    api: `http://127.0.0.1:${port}/api`,
    client: { id: 'app_demo', secret: 'gcs_demo' },
    person: { name: 'Alice', identifier: 'alice', password: 'through the looking glass' },
  };
  const logger = { info() {}, error() {} } as never;
  const silent = await findPort();
  const issuer = `http://localhost:${silent}`;
  await using demo = await startDemo({ issuer, port, settings, logger });
  const { host } = new URL(demo.url);
  const open = (path: string) => fetchAs(host, `http://127.0.0.1:${port}${path}`);

  const closed = await open('/sign-in');
  t.is(closed.status, 502);
  t.regex(closed.body, /cannot be reached/);
  const call = await fetch(`${settings.api}/orders`, { headers: { Authorization: 'Bearer nonsense' } });
  t.is(call.status, 503, 'not 401: nothing is known about the token');

  await using _gatehouse = await listen(
    (_request, response) => {
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify({ issuer, authorization_endpoint: `${issuer}/auth` }));
    },
    { host: '127.0.0.1', port: silent, tls: undefined },
  );
  const opened = await open('/sign-in');
  t.is(opened.status, 303);
  t.regex(String(opened.headers['location']), /\/auth\?.*code_challenge_method=S256/);
});

/** Requests with a Host of one's own, which `fetch` does not allow. */
async function fetchAs(
  host: string,
  url: string,
  { method = 'GET', body, cookie }: Pick<RequestInit, 'method' | 'body'> & { cookie?: string } = {},
) {
  const { request } = await import('node:http');
  const text = body === undefined ? undefined : String(body);
  return new Promise<{ status: number; headers: Record<string, unknown>; body: string }>(
    (resolve, reject) => {
      const call = request(url, {
        method,
        headers: {
          Host: host,
          ...(cookie === undefined ? {} : { Cookie: cookie }),
          ...(text === undefined ? {} : { 'Content-Type': 'application/x-www-form-urlencoded' }),
        },
      });
      call.once('error', reject);
      call.once('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks).toString(),
          }),
        );
      });
      call.end(text);
    },
  );
}

async function openBrowser(): Promise<Browser & AsyncDisposable> {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
  return Object.assign(browser, { [Symbol.asyncDispose]: () => browser.close() });
}

const sessionCookie = async (page: Page, { url }: Stage) =>
  (await page.context().cookies(url)).find(({ name }) => name === 'demo_session');

/** Home, the button, and the form of Gatehouse with what the demo's page shows. */
async function signIn(page: Page, { url }: Stage): Promise<void> {
  await page.goto(url);
  const person = {
    identifier: await page.locator('#demo-identifier').innerText(),
    password: await page.locator('#demo-password').innerText(),
  };
  await page.click('#sign-in-with-gatehouse');
  await page.fill('[name=identifier]', person.identifier);
  await page.fill('[name=password]', person.password);
  await page.click('#sign-in');
}

inBrowser('a visitor signs in, reads the tokens, calls the API, asks for more and signs out', async (t) => {
  await using stage = await openStage();
  await using browser = await openBrowser();
  const page = await browser.newPage();
  page.setDefaultTimeout(15_000);
  const complaints: string[] = [];
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));

  await signIn(page, stage);
  const early = await sessionCookie(page, stage);
  t.is(await page.locator('#return-host').innerText(), new URL(stage.url).host);
  await page.click('#consent-allow');
  await page.waitForURL(`${stage.url}/`);
  t.is(await page.locator('h1').innerText(), 'Hello, Alice Liddell');
  t.is(await page.locator('#claim-email').innerText(), stage.settings.person.identifier);
  t.true((await page.locator('#claim-sub').innerText()).length > 10);
  t.regex(await page.locator('#refresh-kind').innerText(), /ends with your session/);
  const cookie = await sessionCookie(page, stage);
  t.like(cookie, { httpOnly: true, sameSite: 'Lax' });
  t.not(cookie?.value, early?.value, 'a session id from before the sign-in is worth nothing');

  const before = await page.locator('#access-expires time').getAttribute('datetime');
  await page.waitForTimeout(1100);
  await page.click('#refresh');
  t.regex(await page.locator('.notice').innerText(), /Refreshed/);
  t.true(String(await page.locator('#access-expires time').getAttribute('datetime')) > String(before));

  await page.click('#call-orders');
  t.is(await page.locator('#api-status').innerText(), '200');
  t.is(await page.locator('tbody tr').count(), 3);
  // orders:refund was asked for too, and not given: nobody holds a role with it.
  t.is(await page.locator('#api-scope').innerText(), 'orders:read');
  await page.locator('#api-answer summary').click();
  t.regex(await page.locator('#api-answer details').innerText(), /"typ": "at\+jwt"/);
  await page.click('#call-refund');
  t.is(await page.locator('#api-status').innerText(), '403');
  t.regex(await page.locator('#api-answer').innerText(), /insufficient_scope/);

  await page.click('#offline-access');
  await page.click('#consent-allow');
  t.regex(await page.locator('#refresh-kind').innerText(), /outlives your session/);
  await page.click('#refresh');
  t.regex(await page.locator('.notice').innerText(), /Refreshed/);

  await page.click('#sign-out');
  await page.waitForURL(`${stage.url}/`);
  t.regex(await page.locator('.notice').innerText(), /signed out/);
  t.is((await stage.app.db('grants').whereNull('ended_at')).length, 0, 'nothing stays good behind it');

  await signIn(page, stage);
  // Straight back: the consent is remembered, the session is not.
  await page.waitForURL(`${stage.url}/`);
  t.is(await page.locator('h1').innerText(), 'Hello, Alice Liddell');
  t.deepEqual(complaints, []);
});

inBrowser('who refuses at consent comes back to a friendly page and can try again', async (t) => {
  await using stage = await openStage();
  await using browser = await openBrowser();
  const page = await browser.newPage({ javaScriptEnabled: false });
  page.setDefaultTimeout(15_000);

  await signIn(page, stage);
  await page.click('#consent-deny');
  t.is(await page.locator('h1').innerText(), 'You said no');
  t.is(await page.locator('#problem-code').innerText(), 'access_denied');
  await page.click('#try-again');
  await page.click('#consent-allow');
  t.is(await page.locator('h1').innerText(), 'Hello, Alice Liddell');

  // Access that Gatehouse has ended: the demo finds out at the next use, and says so.
  await stage.app.db('grants').update({ ended_at: stage.app.db.fn.now(), end_reason: 'access_removed' });
  await page.click('#call-orders');
  t.is(await page.locator('h1').innerText(), 'Your access has ended');
  await page.click('text=Back to the start');
  t.true(await page.locator('#sign-in-with-gatehouse').isVisible());
});

inBrowser('what was refused at consent is missing, and the pages say so', async (t) => {
  await using stage = await openStage();
  await using browser = await openBrowser();
  const page = await browser.newPage();
  page.setDefaultTimeout(15_000);

  await signIn(page, stage);
  t.regex(String(await page.locator('.client-mark').getAttribute('src')), /^\/logos\//);
  await page.uncheck('[name=scope][value=email]');
  await page.uncheck(`[name=scope][value="${stage.settings.api} orders:read"]`);
  await page.click('#consent-allow');
  t.is(await page.locator('#claim-email').innerText(), 'not shared');
  await page.click('#call-orders');
  t.is(await page.locator('#api-status').innerText(), '403');
  t.regex(await page.locator('#api-answer').innerText(), /which you did not allow/);

  // The session of a visitor does not help a form that was not made for it.
  const { value } = (await sessionCookie(page, stage)) ?? { value: '' };
  for (const path of ['/refresh', '/orders', '/refund', '/sign-out']) {
    const forged = await fetchAs(new URL(stage.url).host, stage.local + path, {
      method: 'POST',
      cookie: `demo_session=${value}`,
      body: new URLSearchParams({ csrf: 'guess' }),
    });
    t.is(forged.status, 403, path);
  }
  await page.reload();
  t.true(await page.locator('#sign-out').isVisible());
});

inBrowser(
  'offline access goes on when the session at Gatehouse has ended, the other kind does not',
  async (t) => {
    await using stage = await openStage();
    await using browser = await openBrowser();
    const page = await browser.newPage();
    page.setDefaultTimeout(15_000);
    const leaveGatehouse = async () => {
      await page.goto(`${stage.app.url}/account`);
      await page.click('#sign-out');
      await page.waitForURL('**/session/end/success');
      await page.goto(stage.url);
      await page.click('#refresh');
    };

    await signIn(page, stage);
    await page.click('#consent-allow');
    await page.waitForURL(`${stage.url}/`);
    await leaveGatehouse();
    t.is(await page.locator('h1').innerText(), 'Your access has ended');

    await signIn(page, stage);
    await page.click('#offline-access');
    await page.click('#consent-allow');
    await page.waitForSelector('#refresh-kind');
    await leaveGatehouse();
    t.regex(await page.locator('.notice').innerText(), /Refreshed/);
    await page.click('#sign-out');
    await page.waitForURL(`${stage.url}/`);
    t.regex(await page.locator('.notice').innerText(), /signed out/);
    t.is((await stage.app.db('grants').whereNull('ended_at')).length, 0);
  },
);
