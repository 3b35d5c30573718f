/** `try`: whole flows against the running server, and what is left behind. */
import test from 'ava';
import { startTestServer, type TestServer } from './_cli.ts';

let server: TestServer;
test.before(async () => {
  server = await startTestServer();
});
test.after.always(() => server[Symbol.asyncDispose]());

const secrets = /\b(gat|grt|gac|gcs)_[\w-]{10}|\beyJ[\w-]{10}/;

/** Apps and APIs of tries must be gone, and their people. */
async function leftBehind(): Promise<unknown[]> {
  const { db } = server.app;
  const apps = await db('clients').whereRaw(`metadata ->> 'client_name' like 'Gatehouse try%'`).pluck('id');
  const people = await db('accounts').where({ name: 'Try Login' }).pluck('id');
  const apis = await db('apis').where('identifier', 'like', 'https://try-%').pluck('id');
  return [...apps, ...people, ...apis];
}

test.serial('the first surprise ends a try: exit code 1, with what was expected and what came', async (t) => {
  const { code, stderr } = await server.cli([
    'try',
    'm2m',
    '--issuer',
    server.app.url.replace('localhost', '127.0.0.1'),
  ]);
  t.is(code, 1);
  t.regex(stderr, /expected {2}200/);
  t.regex(stderr, /got {7}421/);
  t.deepEqual(await leftBehind(), []);
});

test.serial('a server that does not answer is not a surprise: exit code 3', async (t) => {
  const { code, stderr } = await server.cli(['try', 'm2m', '--issuer', 'http://localhost:1']);
  t.is(code, 3);
  t.regex(stderr, /http:\/\/localhost:1 does not answer/);
});

test.serial('try login: a wrong password is a surprise that says what the page says', async (t) => {
  const { identifier } = await server.app.createPerson();
  const flags = ['--browser', 'chromium', '--identifier', identifier, '--password', 'not the password'];
  const { code, stdout } = await server.cli(['try', 'login', '--json', ...flags]);
  t.is(code, 1);
  const { ok, surprise } = JSON.parse(stdout) as { ok: boolean; surprise: { expected: string; got: string } };
  t.false(ok);
  t.is(surprise.expected, 'a consent form');
  t.regex(surprise.got, /name and password/);
  t.false(stdout.includes('not the password'));
  t.deepEqual(await leftBehind(), []);
});

test.serial('try login without a browser prints the address; an interruption cleans up', async (t) => {
  const { code, stderr } = await server.cli(['try', 'login'], { interruptAt: 'Password   ' });
  t.regex(stderr, /Open {7}http:\/\/localhost:\d+\/auth\?response_type=code/);
  t.regex(stderr, /an interruption/);
  t.is(code, 1);
  t.deepEqual(await leftBehind(), []);
});

test.serial('try m2m goes through, shows no secret, and leaves nothing behind', async (t) => {
  const { code, stdout, stderr } = await server.cli(['try', 'm2m']);
  t.is(code, 0, stderr);
  t.regex(stdout, /Everything went as expected/);
  t.notRegex(stdout, secrets);
  t.deepEqual(await leftBehind(), []);
});

test.serial('try login goes through in Chromium, shows no secret, and leaves nothing behind', async (t) => {
  const { code, stdout, stderr } = await server.cli(['try', 'login', '--browser', 'chromium']);
  t.is(code, 0, stderr);
  t.regex(stdout, /the refresh token was rotated/);
  t.regex(stdout, /Everything went as expected/);
  t.notRegex(stdout, secrets);
  t.deepEqual(await leftBehind(), []);
});

test.serial('try login takes a person who is there already and leaves them alone', async (t) => {
  const { identifier, password } = await server.app.createPerson();
  const flags = ['--browser', 'chromium', '--identifier', identifier, '--password', '-'];
  const { code, stderr } = await server.cli(['try', 'login', ...flags], { input: password });
  t.is(code, 0, stderr);
  t.true((await server.app.db('identifiers').where({ value: identifier })).length === 1);
  t.deepEqual(await leftBehind(), []);
});
