/** Commands when no server runs: on the embedded database itself. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import test from 'ava';
import { makeFolder, runCli } from './_cli.ts';

test.serial('a database that another process has open is left alone: exit code 3', async (t) => {
  await using folder = await makeFolder();
  const lock = new DatabaseSync(join(folder.path, 'lock.db'));
  lock.exec('pragma locking_mode = exclusive; begin exclusive');
  const { code, stderr } = await runCli(['users', 'list'], { env: { DATA_DIR: folder.path } });
  lock.close();
  t.is(code, 3);
  t.regex(stderr, /Another process uses the embedded database .* but no server answers on .*admin\.sock/);
});

test.serial('a database server that does not answer is said so: exit code 3', async (t) => {
  await using folder = await makeFolder();
  const env = { DATA_DIR: folder.path, DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' };
  const { code, stderr } = await runCli(['users', 'list'], { env });
  t.is(code, 3);
  t.regex(stderr, /PostgreSQL server does not answer/);
});

test.serial('a try needs a running server: exit code 3', async (t) => {
  await using folder = await makeFolder();
  for (const flow of ['m2m', 'login']) {
    const { code, stderr } = await runCli(['try', flow], { env: { DATA_DIR: folder.path } });
    t.is(code, 3);
    t.regex(stderr, /No server answers on .*npm start/);
  }
});

test.serial('without a server a command makes and uses the embedded database', async (t) => {
  await using folder = await makeFolder();
  const env = { DATA_DIR: join(folder.path, 'data') };
  const added = await runCli(['users', 'add', '--name', 'Alice', '--identifier', 'alice'], { env });
  t.is(added.code, 0, added.stderr);
  t.regex(added.stderr, /^No server is running; working on the newly made embedded database in /);
  t.regex(added.stdout, /^password +\S+$/m);

  const listed = await runCli(['users', 'list', '--json'], { env });
  t.is(listed.code, 0);
  t.is(listed.stderr, '');
  const { users } = JSON.parse(listed.stdout) as { users: { name: string }[] };
  t.deepEqual(
    users.map(({ name }) => name),
    ['Alice'],
  );

  const refused = await runCli(['users', 'add', '--name', 'Alice', '--identifier', 'alice'], { env });
  t.is(refused.code, 1);
  const key = await stat(join(env.DATA_DIR, 'encryption.key'));
  t.is(key.mode & 0o777, 0o600);
});
