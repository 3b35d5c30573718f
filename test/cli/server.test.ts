/** Commands against a running server, over its socket; one process at a time, or they would wait for one another. */
import test from 'ava';
import { startTestServer, type TestServer } from './_cli.ts';

let server: TestServer;
test.before(async () => {
  server = await startTestServer();
});
test.after.always(() => server[Symbol.asyncDispose]());

for (const [title, args, said] of [
  ['a missing command', [], /Usage: gatehouse/],
  ['an unknown command', ['apps', 'paint'], /unknown command 'paint'/],
  ['an unknown flag', ['apps', 'list', '--colour'], /unknown option '--colour'/],
  ['a missing flag', ['apps', 'add', '--redirect-uri', 'https://a.test/'], /required option '--name/],
  [
    'a value that is none of the choices',
    ['apps', 'add', '--name', 'x', '--kind', 'toaster'],
    /Allowed choices are web/,
  ],
  [
    'a life that is no number',
    ['apis', 'add', '--identifier', 'https://a.test', '--title', 'A', '--ttl', '1h'],
    /whole number/,
  ],
  [
    'a value that the server refuses',
    ['apps', 'add', '--name', 'Shop', '--kind', 'web'],
    /^--redirect-uri: at least one is required$/m,
  ],
  [
    'an unknown role',
    ['users', 'add', '--name', 'K', '--identifier', 'king', '--role', 'king'],
    /^--role: there is no role king; there are /m,
  ],
  [
    'a browser that cannot type a password',
    ['try', 'login', '--browser', 'chromium', '--identifier', 'x'],
    /--password/,
  ],
] as const) {
  test.serial(`${title} is wrong usage: exit code 2`, async (t) => {
    const { code, stdout, stderr } = await server.cli(args);
    t.is(code, 2);
    t.is(stdout, '');
    t.regex(stderr, said);
  });
}

test.serial('a variable that is wrong is wrong usage, with all that is wrong', async (t) => {
  const { code, stderr } = await server.cli(['apps', 'list'], {
    env: { ISSUER: 'nowhere', SESSION_IDLE: 'soon' },
  });
  t.is(code, 2);
  t.regex(stderr, /ISSUER/);
  t.regex(stderr, /SESSION_IDLE/);
});

test.serial('an identifier that is taken is refused with what to do: exit code 1', async (t) => {
  const { identifier } = await server.app.createPerson();
  const args = ['users', 'add', '--name', 'Other', '--identifier', identifier];
  const { code, stderr } = await server.cli(args);
  t.is(code, 1);
  t.is(stderr, `Somebody signs in as ${identifier} already. Choose another identifier.\n`);

  const asJson = await server.cli([...args, '--json']);
  t.is(asJson.code, 1);
  const { code: problem, status } = JSON.parse(asJson.stderr) as { code: string; status: number };
  t.deepEqual([problem, status], ['identifier_taken', 409]);
});

test.serial('a machine may not do without a credential', async (t) => {
  const { code, stderr } = await server.cli([
    'apps',
    'add',
    '--kind',
    'machine',
    '--name',
    'M',
    '--auth-method',
    'none',
  ]);
  t.is(code, 2);
  t.regex(stderr, /^--auth-method: none is not for kind machine/m);
});

test.serial('what is part of the server cannot be deleted', async (t) => {
  const { code, stderr } = await server.cli(['apps', 'delete', 'portal']);
  t.is(code, 1);
  t.regex(stderr, /part of the server/);
  t.is((await server.cli(['apis', 'delete', `${server.app.url}/api`])).code, 1);
});

test.serial('an app is added with its secret shown once, and is listed without it', async (t) => {
  const flags = ['--kind', 'web', '--name', 'Shop', '--no-pkce', '--first-party', '--id-token-alg', 'ES256'];
  const uris = ['--redirect-uri', 'https://shop.test/a', '--redirect-uri', 'https://shop.test/b'];
  const { code, stdout } = await server.cli(['apps', 'add', ...flags, ...uris]);
  t.is(code, 0);
  t.regex(stdout, /^client secret +gcs_/m);
  t.regex(stdout, /kept only as a hash/);
  const id = /^client id +(\S+)$/m.exec(stdout)?.[1];
  const secret = /^client secret +(\S+)$/m.exec(stdout)?.[1] ?? '';

  const { apps } = (await server.json(['apps', 'list'])) as { apps: { id: string }[] };
  const app = apps.find((one) => one.id === id) as unknown as Record<string, unknown>;
  t.like(app, { kind: 'web', firstParty: true, requirePkce: false, status: 'active' });
  t.deepEqual(app['redirectUris'], ['https://shop.test/a', 'https://shop.test/b']);
  const listed = await server.cli(['apps', 'list']);
  t.regex(listed.stdout, /^CLIENT ID /);
  for (const text of [JSON.stringify(apps), listed.stdout])
    t.false(text.includes(secret) || /hash|gcs_/.test(text));
});

test.serial('a person is added with a password that works, and listed without it', async (t) => {
  const added = (await server.json([
    'users',
    'add',
    '--name',
    'Bob',
    '--identifier',
    'bob',
    '--role',
    'vip',
  ])) as {
    id: string;
    password: string;
  };
  t.true(added.password.length >= 20);
  const { stdout } = await server.cli(['users', 'list']);
  t.regex(stdout, new RegExp(`^${added.id} +Bob +bob +vip +active`, 'm'));
  t.false(stdout.includes(added.password) || stdout.includes('argon2'));

  const chosen = await server.cli(
    ['--json', 'users', 'add', '--name', 'Eve', '--identifier', 'eve', '--password', '-'],
    { input: 'from standard input\n' },
  );
  t.is(chosen.code, 0);
  t.false('password' in JSON.parse(chosen.stdout));
});

test.serial('a long list says that there is more', async (t) => {
  await server.app.createPerson();
  await server.app.createPerson();
  t.true(((await server.json(['users', 'list', '--limit', '1'])) as { more: boolean }).more);
  t.regex((await server.cli(['users', 'list', '--limit', '1'])).stdout, /There are more/);
});

test.serial('a name cannot write to the terminal', async (t) => {
  await server.app.createPerson({ name: 'Mallory\u001b[2J\u202e' });
  const { stdout } = await server.cli(['users', 'list']);
  for (const character of ['\u001b', '\u202e']) t.false(stdout.includes(character));
});

test.serial('an API is added with restricted scopes, and goes only when no app needs it', async (t) => {
  const identifier = 'https://api.orders.test';
  const added = await server.cli([
    'apis',
    'add',
    '--identifier',
    identifier,
    '--title',
    'Orders',
    '--scope',
    'read',
    '--scope',
    'write!',
  ]);
  t.is(added.code, 0);
  t.regex(added.stdout, /^scopes +read write!$/m);
  t.regex(
    (await server.cli(['apis', 'list'])).stdout,
    /^https:\/\/api\.orders\.test +Orders +jwt +3600 +read write!$/m,
  );

  const { id } = (await server.json([
    'apps',
    'add',
    '--kind',
    'api',
    '--name',
    'Orders',
    '--api',
    identifier,
  ])) as { id: string };
  const refused = await server.cli(['apis', 'delete', identifier]);
  t.is(refused.code, 1);
  t.true(refused.stderr.includes(id));
  t.is((await server.cli(['apps', 'delete', id])).code, 0);
  t.is((await server.cli(['apis', 'delete', identifier])).code, 0);
});

test.serial('the setup link opens until there is an operator, and then says so', async (t) => {
  const { stdout } = await server.cli(['admin', 'link']);
  t.true(stdout.startsWith(`Open  ${server.app.url}/setup#k=gsk_`));
  const { id } = await server.app.createPerson({ roles: ['operator'] });
  const refused = await server.cli(['admin', 'link']);
  t.is(refused.code, 1);
  t.regex(refused.stderr, /has an operator already/);
  t.regex((await server.cli(['users', 'delete', id])).stderr, /only operator/);
});

test.serial('healthcheck asks the configured port: exit code 0, or 1 and nothing else', async (t) => {
  t.is((await server.cli(['healthcheck'])).code, 0);
  t.is((await server.cli(['healthcheck'], { env: { PORT: '1' } })).code, 1);
  t.is((await server.cli(['healthcheck'], { env: { PORT: 'none' } })).code, 1);
});

test.serial('nothing secret is in the log', async (t) => {
  const password = 'a password to look for';
  await server.json(['users', 'add', '--name', 'Log', '--identifier', 'log', '--password', password]);
  await server.cli(['users', 'add', '--name', 'Log', '--identifier', 'log', '--password', password]);
  const { secret } = (await server.json(['apps', 'add', '--kind', 'machine', '--name', 'Log'])) as {
    secret: string;
  };
  const log = [...server.log, ...server.app.log].join('');
  t.regex(log, /"command":"users.add"/);
  for (const value of [password, secret, 'gcs_', 'gsk_', 'argon2']) t.false(log.includes(value), value);
});
