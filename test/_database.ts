/**
 * A clean database for each test file: a clone of a migrated template, on PGlite or, with DATABASE_URL, on a PostgreSQL server.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PGlite } from '@electric-sql/pglite';
import pg from 'pg';
import { type Database, openDatabase } from '../db/connect.ts';
import { migrate, migrations } from '../db/migrate.ts';

const serverUrl = process.env['DATABASE_URL'];
const version = createHash('sha256').update(JSON.stringify(migrations)).digest('hex').slice(0, 16);
const cacheFolder = join(import.meta.dirname, '../node_modules/.cache/gatehouse');

/** Whether the tests run on a PostgreSQL server; some need two processes, which the embedded database refuses. */
export const onServer = serverUrl !== undefined;

export interface TestDatabase extends Database {
  /** DATABASE_URL of this database, for processes that a test starts; undefined on PGlite. */
  url: string | undefined;
}

export async function openTestDatabase(): Promise<TestDatabase> {
  return serverUrl ? openClone(serverUrl) : openEmbedded();
}

async function openEmbedded(): Promise<TestDatabase> {
  const database = await openDatabase({
    kind: 'pglite',
    url: 'memory://',
    poolSize: 1,
    prepared: true,
    dump: new Blob([await templateDump()]),
  });
  return Object.assign(database, { url: undefined });
}

/** Loading a dumped data folder takes a third of the time of initialising one. */
async function templateDump(): Promise<Buffer<ArrayBuffer>> {
  const path = join(cacheFolder, `pglite-${version}.tar`);
  const cached = await readFile(path).catch(() => undefined);
  if (cached) return cached;
  const database = await openDatabase({ kind: 'pglite', url: 'memory://', poolSize: 1, prepared: true });
  await migrate(database.knex);
  const engine = database.engine as PGlite;
  const dump = Buffer.from(await (await engine.dumpDataDir('none')).arrayBuffer());
  await database[Symbol.asyncDispose]();
  await mkdir(cacheFolder, { recursive: true });
  // Test files run side by side: each writes its own and the rename decides.
  const draft = `${path}.${randomBytes(4).toString('hex')}`;
  await writeFile(draft, dump);
  await rename(draft, path);
  return dump;
}

async function openClone(server: string): Promise<TestDatabase> {
  const template = `gatehouse_template_${version}`;
  const name = `gatehouse_test_${randomBytes(6).toString('hex')}`;
  await onMaintenance(server, async (client) => {
    await ensureTemplate(client, server, template);
    await client.query(`create database ${name} template ${template}`);
  });
  const url = withDatabase(server, name);
  const database = await openDatabase({ kind: 'postgres', url, poolSize: 10, prepared: true });
  const close = database[Symbol.asyncDispose].bind(database);
  return Object.assign(database, {
    url,
    [Symbol.asyncDispose]: async () => {
      await close();
      await onMaintenance(server, (client) => client.query(`drop database if exists ${name} with (force)`));
    },
  });
}

async function ensureTemplate(client: pg.Client, server: string, template: string): Promise<void> {
  // Only the tests use this lock; the product has none.
  await client.query('select pg_advisory_lock(1481264)');
  try {
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [template]);
    if (rowCount) return;
    const draft = `${template}_draft`;
    await client.query(`drop database if exists ${draft} with (force)`);
    await client.query(`create database ${draft}`);
    const database = await openDatabase({
      kind: 'postgres',
      url: withDatabase(server, draft),
      poolSize: 2,
      prepared: true,
    });
    await migrate(database.knex);
    await database[Symbol.asyncDispose]();
    await client.query(`alter database ${draft} rename to ${template}`);
  } finally {
    await client.query('select pg_advisory_unlock(1481264)');
  }
}

async function onMaintenance<T>(server: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: withDatabase(server, 'postgres') });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function withDatabase(server: string, name: string): string {
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.href;
}
