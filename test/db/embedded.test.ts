/** The embedded database on disk. It is the same whatever database the other tests run on. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import test from 'ava';
import { DatabaseError, openDatabase } from '../../db/connect.ts';
import { newFolder } from './_empty.ts';

const open = (url: string) => openDatabase({ kind: 'pglite', url, poolSize: 1, prepared: true });

function startWorker(folder: string, task: 'hold' | 'write') {
  const worker: ChildProcessByStdio<Writable, Readable, null> = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, '_embedded-worker.ts'), folder, task],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const lines = createInterface(worker.stdout)[Symbol.asyncIterator]();
  return {
    async line(): Promise<string | undefined> {
      const { value, done } = (await lines.next()) as IteratorResult<string, undefined>;
      return done ? undefined : value;
    },
    async kill(signal: NodeJS.Signals): Promise<void> {
      if (worker.exitCode !== null || worker.signalCode !== null) return;
      const gone = once(worker, 'exit');
      worker.kill(signal);
      await gone;
    },
  };
}

test.serial('a second process on the same folder is refused, with what to do', async (t) => {
  await using folder = await newFolder();
  const url = join(folder.path, 'data', 'db');
  const database = await open(url);
  t.true(database.created);
  t.is((await stat(join(folder.path, 'data'))).mode & 0o777, 0o700);
  const second = startWorker(url, 'hold');
  t.teardown(() => second.kill('SIGKILL'));
  const answer = await second.line();
  t.regex(answer ?? '', /^refused: Another process uses the embedded database/);
  t.regex(answer ?? '', /DATA_DIR/);
  t.regex(answer ?? '', /DATABASE_URL/);
  t.true(answer?.includes(join(folder.path, 'data')));
  await database.knex.raw('create table kept (id integer)');
  await database[Symbol.asyncDispose]();

  await using again = await open(url);
  t.false(again.created);
  t.deepEqual(await again.knex('kept'), [], 'the refused process changed nothing');
});

test.serial('the lock of a process that was killed is gone with it', async (t) => {
  await using folder = await newFolder();
  const url = join(folder.path, 'data', 'db');
  const first = startWorker(url, 'hold');
  t.teardown(() => first.kill('SIGKILL'));
  t.is(await first.line(), 'open');
  await t.throwsAsync(() => open(url), { instanceOf: DatabaseError, message: /Another process/ });
  await first.kill('SIGKILL');
  const database = await open(url);
  t.false(database.created);
  await database[Symbol.asyncDispose]();
});

test.serial('a folder that cannot be written is named, with what to do', async (t) => {
  await using folder = await newFolder();
  const taken = join(folder.path, 'data');
  // A file in its place: permissions would not stop the superuser, as whom containers often test.
  await writeFile(taken, '');
  const refused = await t.throwsAsync(() => open(join(taken, 'db')), { instanceOf: DatabaseError });
  t.true(refused.message.includes(taken));
  t.regex(refused.message, /cannot be written/);
  t.regex(refused.message, /DATA_DIR/);
});

test.serial('a server that does not answer is reported with what to do, and soon', async (t) => {
  const start = performance.now();
  const refused = await t.throwsAsync(
    () =>
      openDatabase({
        kind: 'postgres',
        url: 'postgres://nobody:hunter2-secret@127.0.0.1:9/none',
        poolSize: 2,
        prepared: true,
      }),
    { instanceOf: DatabaseError },
  );
  t.regex(refused.message, /DATABASE_URL/);
  t.false(refused.message.includes('hunter2-secret'));
  t.true(performance.now() - start < 8000);
});

test.serial('kill -9 in mid-write loses no row that was acknowledged, three times over', async (t) => {
  t.timeout(110_000);
  await using folder = await newFolder();
  const url = join(folder.path, 'data', 'db');
  let acknowledged = 0;
  for (let kill = 1; kill <= 3; kill += 1) {
    const worker = startWorker(url, 'write');
    t.teardown(() => worker.kill('SIGKILL'));
    t.is(await worker.line(), 'open');
    const target = acknowledged + 50 * kill;
    while (acknowledged < target) {
      const line = await worker.line();
      if (line === undefined) return t.fail('the writing process ended by itself');
      t.is(Number(line), acknowledged + 1);
      acknowledged = Number(line);
    }
    await worker.kill('SIGKILL');
    // What it had said when it died, but we had not read.
    for (let line = await worker.line(); line !== undefined; line = await worker.line())
      acknowledged = Number(line);

    const database = await open(url);
    const { rows } = await database.knex.raw<{ rows: [{ count: string; last: string; whole: string }] }>(
      `select count(*) as count, max(id) as last, count(*) filter (where length(filler) = 2001) as whole from kept`,
    );
    const [{ count, last, whole }] = rows;
    t.true(Number(last) >= acknowledged, `${acknowledged} rows were acknowledged, the last is ${last}`);
    // At most the one that was under way is there without having been acknowledged.
    t.true(Number(last) <= acknowledged + 1);
    t.is(count, last, 'no row is missing');
    t.is(whole, count, 'no transaction is there by half');
    acknowledged = Number(last);
    await database[Symbol.asyncDispose]();
  }
});
