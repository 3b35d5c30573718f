/** `kill -9` between any two steps of a sign-in, and a restart: the flow goes on. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { connectServer } from '../../cli/admin.ts';
import { parseConfig } from '../../server/config.ts';
import type { TestApp } from '../_app.ts';
import { onServer, openTestDatabase } from '../_database.ts';
import { authorizeUrl, newJar, redeem, refresh, request, type TestClient, userinfo } from '../_walk.ts';

const callback = 'https://shop.test/callback';

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/** The real process over a data folder, and a way to kill it and start another one. */
async function startProcess(env: Record<string, string>) {
  let child: ChildProcess;
  const start = async () => {
    child = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, '../../server/main.ts')],
      { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await new Promise<void>((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
      child.stdout?.on('data', (chunk) => String(chunk).includes('"msg":"ready"') && resolve());
    });
  };
  const kill = () =>
    new Promise<void>((resolve) => {
      child.removeAllListeners('exit');
      child.once('exit', () => resolve());
      child.kill('SIGKILL');
    });
  await start();
  return {
    async crash() {
      await kill();
      await start();
    },
    [Symbol.asyncDispose]: kill,
  };
}

test('a sign-in goes on over a crash between any two of its steps', async (t) => {
  t.timeout(180_000);
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-crash-'));
  const port = await freePort();
  const database = onServer ? await openTestDatabase() : undefined;
  const env = {
    ISSUER: `http://localhost:${port}`,
    DATA_DIR: folder,
    DEMO: 'false',
    LOG_LEVEL: 'info',
    ...(database?.url ? { DATABASE_URL: database.url } : { DATABASE_URL: '' }),
  };
  await using server = await startProcess(env);
  const admin = await connectServer(parseConfig(env));
  const shop = await admin.run('apps.add', { kind: 'web', name: 'Shop', redirectUris: [callback] });
  const person = { name: 'Alice', identifier: 'alice', password: 'down the rabbit hole' };
  await admin.run('users.add', person);
  const app = { url: env.ISSUER } as TestApp;
  const client: TestClient = { id: shop.id, secret: shop.secret ?? undefined, redirectUri: callback };

  const jar = newJar();
  const begun = await request(jar, authorizeUrl(app, client));
  const url = new URL(String(begun.headers.get('location')), app.url).href;
  await server.crash();
  const csrf = (page: string) => String(/name="csrf" value="([^"]+)"/.exec(page)?.[1]);
  const form = await request(jar, url);
  t.is(form.status, 200);
  await server.crash();
  const signedIn = await request(jar, `${url}/sign-in`, {
    method: 'POST',
    body: new URLSearchParams({ csrf: csrf(form.text), identifier: 'alice', password: person.password }),
  });
  t.is(signedIn.status, 303);
  await server.crash();
  const resumed = await request(jar, String(signedIn.headers.get('location')));
  const consentUrl = new URL(String(resumed.headers.get('location')), app.url).href;
  await server.crash();
  const consent = await request(jar, consentUrl);
  t.true(consent.text.includes('consent-allow'));
  await server.crash();
  const allowed = await request(jar, `${consentUrl}/consent`, {
    method: 'POST',
    body: new URLSearchParams([
      ['csrf', csrf(consent.text)],
      ['scope', 'profile'],
      ['decision', 'allow'],
    ]),
  });
  await server.crash();
  const answered = await request(jar, String(allowed.headers.get('location')));
  const code = new URL(String(answered.headers.get('location'))).searchParams.get('code');
  t.truthy(code);
  await server.crash();
  const tokens = await redeem(app, client, code);
  t.is(tokens.status, 200);
  await server.crash();
  t.is((await redeem(app, client, code)).json['error'], 'invalid_grant', 'a used code stays used');
  const again = await request(jar, authorizeUrl(app, client, { prompt: 'none', scope: 'openid profile' }));
  const second = await redeem(
    app,
    client,
    new URL(String(again.headers.get('location'))).searchParams.get('code'),
  );
  await server.crash();
  t.is((await userinfo(app, second.json['access_token'])).status, 200);
  const refreshed = await refresh(app, client, second.json['refresh_token']);
  await server.crash();
  t.is((await userinfo(app, refreshed.json['access_token'])).status, 200);
  await database?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});
