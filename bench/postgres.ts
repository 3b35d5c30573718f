/** A PostgreSQL server of the bench's own, durable as in production, pinned to the core that the servers under test do not use. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';

export interface BenchDatabase extends AsyncDisposable {
  url: string;
}

const PORT = 54341;

export async function startPostgres(core: number): Promise<BenchDatabase> {
  const given = process.env['DATABASE_URL'];
  if (given) return { url: given, [Symbol.asyncDispose]: async () => {} };
  const bin = findBinaries();
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'));
  const data = join(folder, 'data');
  const asUser = process.getuid?.() === 0 ? ['runuser', '-u', 'postgres', '--'] : [];
  if (asUser.length > 0) execFileSync('chown', ['postgres', folder]);
  run([...asUser, join(bin, 'initdb'), '-D', data, '-U', 'bench', '--auth=trust', '-E', 'UTF8']);
  const [command, ...args] = [
    'taskset',
    '-c',
    String(core),
    ...asUser,
    join(bin, 'postgres'),
    '-D',
    data,
    '-k',
    folder,
    '-c',
    `port=${PORT}`,
    '-c',
    'listen_addresses=127.0.0.1',
    '-c',
    'max_connections=200',
    '-c',
    'shared_buffers=256MB',
  ];
  const server = spawn(command, args, { stdio: 'ignore' });
  const url = `postgres://bench@127.0.0.1:${PORT}/postgres`;
  await untilReady(url);
  return {
    url,
    async [Symbol.asyncDispose]() {
      const exited = new Promise((resolve) => server.once('exit', resolve));
      run([...asUser, join(bin, 'pg_ctl'), '-D', data, 'stop', '-m', 'fast']);
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** What was really in force, as the server says it. */
export async function describeDurability(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query(
    `select current_setting('server_version') as version, current_setting('fsync') as fsync,
            current_setting('synchronous_commit') as synchronous_commit,
            (select relpersistence from pg_class where relname = 'access_tokens') as relpersistence`,
  );
  await client.end();
  return Object.entries(rows[0])
    .map(([name, value]) => `${name} ${String(value)}`)
    .join(', ');
}

function findBinaries(): string {
  const root = '/usr/lib/postgresql';
  const version = existsSync(root) ? readdirSync(root).sort().at(-1) : undefined;
  if (!version)
    throw new Error('PostgreSQL is not installed (Debian: apt-get install postgresql), or set DATABASE_URL');
  return join(root, version, 'bin');
}

function run([command = '', ...args]: string[]): void {
  execFileSync(command, args, { stdio: 'ignore', cwd: tmpdir() });
}

async function untilReady(url: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const client = new pg.Client({ connectionString: url });
    try {
      await client.connect();
      await client.end();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  throw new Error('PostgreSQL did not start');
}
