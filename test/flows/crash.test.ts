/**
 * `kill -9` between any two steps of a journey, and a restart on the same data: the journey goes on, and what was answered before
 * still holds.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { connectServer } from '../../cli/admin.ts';
import { parseConfig } from '../../server/config.ts';
import type { TestApp } from '../_app.ts';
import { openStep, type Step, submit } from '../_browserless.ts';
import { run, useBrowser } from '../_chromium.ts';
import { onServer, openTestDatabase } from '../_database.ts';
import {
  authorizeUrl,
  type Jar,
  newJar,
  redeem,
  refresh,
  request,
  type TestClient,
  userinfo,
} from '../_walk.ts';

const openContext = useBrowser();
const callback = 'https://shop.test/callback';
const person = { name: 'Alice', identifier: 'alice', password: 'down the rabbit hole' };

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

interface Crashing extends AsyncDisposable {
  app: TestApp;
  shop: TestClient;
  spa: TestClient;
  /** Kills the process, without a word to it, and starts it again. */
  crash(): Promise<void>;
  /** Starts again a process that `kill` has ended. */
  start(): Promise<void>;
  kill(): Promise<void>;
}

/** The real process over a data folder or a database of its own, with two clients and a person. */
async function startCrashing(): Promise<Crashing> {
  const open = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-crash-'));
  open.defer(() => rm(folder, { recursive: true, force: true }));
  const database = onServer ? open.use(await openTestDatabase()) : undefined;
  const env = {
    ISSUER: `http://localhost:${await freePort()}`,
    DATA_DIR: folder,
    DATABASE_URL: database?.url ?? '',
    DEMO: 'false',
    LOG_LEVEL: 'info',
  };
  let child: ChildProcess | undefined;
  const start = async () => {
    const started = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, '../../server/main.ts')],
      { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] },
    );
    child = started;
    const ended = once(started, 'exit').then(([code]) => Promise.reject(new Error(`it ended with ${code}`)));
    const ready = new Promise<void>((resolve) => {
      started.stdout.on('data', (chunk) => String(chunk).includes('"msg":"ready"') && resolve());
    });
    // It will be killed later, which is no failure then.
    ended.catch(() => undefined);
    await Promise.race([ready, ended]);
  };
  const kill = async () => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  };
  open.defer(kill);
  await start();
  const admin = await connectServer(parseConfig(env));
  const addClient = async (kind: 'web' | 'spa'): Promise<TestClient> => {
    const { id, secret } = await admin.run('apps.add', { kind, name: kind, redirectUris: [callback] });
    return { id, secret: secret ?? undefined, redirectUri: callback };
  };
  const [shop, spa] = [await addClient('web'), await addClient('spa')];
  await admin.run('users.add', person);
  return {
    app: { url: env.ISSUER } as TestApp,
    shop,
    spa,
    start,
    kill,
    async crash() {
      await kill();
      await start();
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

/** Sends what comes next, one request and no more, so that there is a crash after each. */
async function followOnce(jar: Jar, app: TestApp, location: string | null): Promise<string | null> {
  const reply = await request(jar, new URL(String(location), app.url).href);
  return reply.headers.get('location');
}

const codeIn = (location: string | null) => URL.parse(String(location))?.searchParams.get('code') ?? null;

test.serial('a sign-in goes on over a crash between any two of its steps', async (t) => {
  t.timeout(180_000);
  await using server = await startCrashing();
  const { app, shop, crash } = server;
  const jar = newJar();

  const begun = await request(jar, authorizeUrl(app, shop));
  await crash();
  const form = await openStep(jar, new URL(String(begun.headers.get('location')), app.url).href);
  t.true(form.text.includes('id="sign-in"'));
  await crash();
  const signedIn = await submit(jar, form, 'sign-in', person);
  t.is(signedIn.status, 303);
  await crash();
  const consentAt = await followOnce(jar, app, signedIn.headers.get('location'));
  await crash();
  const consent: Step = await openStep(jar, new URL(String(consentAt), app.url).href);
  t.true(consent.text.includes('id="consent-allow"'));
  await crash();
  const allowed = await submit(jar, consent, 'consent', [
    ['scope', 'profile'],
    ['decision', 'allow'],
  ]);
  t.is(allowed.status, 303);
  await crash();
  const code = codeIn(await followOnce(jar, app, allowed.headers.get('location')));
  t.truthy(code);
  await crash();
  const tokens = await redeem(app, shop, code);
  t.is(tokens.status, 200);
  t.is(tokens.json['scope'], 'openid profile');
  await crash();
  t.is((await userinfo(app, tokens.json['access_token'])).status, 200);
  const refreshed = await refresh(app, shop, tokens.json['refresh_token']);
  t.is(refreshed.status, 200);
  await crash();
  t.is((await userinfo(app, refreshed.json['access_token'])).status, 200);
  t.is((await refresh(app, shop, tokens.json['refresh_token'])).status, 200);

  // The session is there, and what was decided is remembered.
  const silent = await request(jar, authorizeUrl(app, shop, { prompt: 'none', scope: 'openid profile' }));
  t.truthy(codeIn(silent.headers.get('location')));
  t.is((await redeem(app, shop, code)).json['error'], 'invalid_grant', 'a used code stays used');
});

test.serial(
  'a crash in the middle of requests loses none that was answered and lets none happen twice',
  async (t) => {
    t.timeout(180_000);
    await using server = await startCrashing();
    const { app, shop, spa, kill, start } = server;
    const jar = newJar();
    const form = await openStep(jar, authorizeUrl(app, shop));
    const signedIn = await submit(jar, form, 'sign-in', person);
    const allow = async (location: string | null) => {
      const step = await openStep(jar, new URL(String(location), app.url).href);
      const reply = await submit(jar, step, 'consent', [
        ['scope', 'profile'],
        ['decision', 'allow'],
      ]);
      return codeIn(await followOnce(jar, app, reply.headers.get('location')));
    };
    const first = await allow(signedIn.headers.get('location'));
    const codes = [first];
    for (let count = 0; count < 5; count += 1) {
      const silent = await request(jar, authorizeUrl(app, shop, { prompt: 'none', scope: 'openid profile' }));
      codes.push(codeIn(silent.headers.get('location')));
    }
    const spaCode = await allow(authorizeUrl(app, spa));
    const rotating = (await redeem(app, spa, spaCode)).json['refresh_token'];

    const sent = codes.map((code) => redeem(app, shop, code).catch(() => undefined));
    const rotated = refresh(app, spa, rotating).catch(() => undefined);
    await Promise.race([...sent, rotated]);
    await kill();
    const answers = await Promise.all(sent);
    const successor = (await rotated)?.json['refresh_token'];
    await start();

    // A retry of the same refresh gets the same successor, whether or not its answer was seen.
    const retried = await refresh(app, spa, rotating);
    t.is(retried.status, 200);
    if (successor) t.is(retried.json['refresh_token'], successor);
    t.is((await refresh(app, spa, retried.json['refresh_token'])).status, 200);
    for (const answer of answers) {
      if (answer?.status === 200) t.is((await userinfo(app, answer.json['access_token'])).status, 200);
    }
    const unanswered = codes.filter((_code, index) => !answers[index]);
    const again = await Promise.all(unanswered.map((code) => redeem(app, shop, code)));
    // Its answer was lost after it counted, or it never counted.
    for (const { status, json } of again) t.true(status === 200 || json['error'] === 'invalid_grant');
    t.log(
      `${unanswered.length} of ${codes.length} were not answered, ${again.filter(({ status }) => status === 200).length} of them had not counted`,
    );
  },
);

run('a page that was open over a restart of the server leads on', async (t) => {
  await using crashing = await startCrashing();
  const { app, shop } = crashing;
  const page = await (await openContext()).newPage();
  // The client is not there; where the browser is sent is all that counts.
  await page.route(`${callback}**`, (route) => route.fulfill({ body: 'arrived' }));
  await page.goto(authorizeUrl(app, shop));
  await crashing.crash();
  await page.fill('[name=identifier]', person.identifier);
  await page.fill('[name=password]', person.password);
  await page.click('#sign-in');
  await page.waitForSelector('#consent-allow');
  await crashing.crash();
  await page.click('#consent-allow');
  await page.waitForURL(`${callback}**`);
  const tokens = await redeem(app, shop, new URL(page.url()).searchParams.get('code'));
  t.is(tokens.status, 200);
});
