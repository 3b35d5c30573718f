/** Databases without any table, and processes that tests of the embedded one start and kill. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { type Database, openDatabase } from '../../db/connect.ts';

const serverUrl = process.env['DATABASE_URL'];

/** A database as a first start finds it: on the server that the tests run on, or in memory. */
export async function openEmptyDatabase(): Promise<Database> {
  if (!serverUrl) return openDatabase({ kind: 'pglite', url: 'memory://', poolSize: 1, prepared: true });
  const name = `gatehouse_test_${randomBytes(6).toString('hex')}`;
  const maintain = async (sql: string) => {
    const client = new pg.Client({ connectionString: serverUrl });
    await client.connect();
    await client.query(sql);
    await client.end();
  };
  await maintain(`create database ${name} template template0`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const database = await openDatabase({ kind: 'postgres', url: url.href, poolSize: 10, prepared: true });
  const close = database[Symbol.asyncDispose].bind(database);
  return Object.assign(database, {
    [Symbol.asyncDispose]: async () => {
      await close();
      await maintain(`drop database if exists ${name} with (force)`);
    },
  });
}

export interface TemporaryFolder extends AsyncDisposable {
  path: string;
}

export async function newFolder(): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), 'gatehouse-db-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
