/**
 * PostgreSQL: one dialect and one driver, on a server or embedded (PGlite).
 *
 * Owns: the connection, the lock of the embedded database, the migrations, the tables and the queries.
 * Refuses: rules of the service. Nothing here imports from another folder, nothing here decides.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { createPgConfig } from '@electric-sql/pglite/node-postgres';
import knex, { type Knex } from 'knex';

export interface DatabaseOptions {
  kind: 'pglite' | 'postgres';
  /** Connection string of a server; folder of the embedded database, or `memory://`. */
  url: string;
  poolSize: number;
  /** Named prepared statements; off behind poolers that cannot keep them. */
  prepared: boolean;
  /** Embedded only: a dumped data directory to start from, which opens three times faster than an empty one. */
  dump?: Blob;
}

/** The builder would print on its own beside our log; every error reaches a caller that says what it means. */
const silent = { warn() {}, error() {}, debug() {}, deprecate() {} };

/** An open database; disposing it ends the pool, the embedded engine and its lock. */
export interface Database extends AsyncDisposable {
  knex: Knex;
  kind: 'pglite' | 'postgres';
  /** True when the embedded database was made by this call. */
  created: boolean;
  /** The embedded engine itself; the tests dump it to clone it. */
  engine?: unknown;
}

/** The database cannot be used; `message` says what to do. */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError';
}

/**
 * Opens the database.
 *
 * @throws {DatabaseError} when the folder cannot be written, is used by another process, or the server does not answer
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  return options.kind === 'pglite' ? openEmbedded(options) : openServer(options);
}

async function openServer(options: DatabaseOptions): Promise<Database> {
  const pool = knex({
    client: 'pg',
    connection: {
      connectionString: options.url,
      application_name: 'gatehouse',
      connectionTimeoutMillis: 3000,
      statement_timeout: 10_000,
      // A server that is stopped answers nothing at all, not even a timeout of its own.
      query_timeout: 12_000,
      idle_in_transaction_session_timeout: 15_000,
      keepAlive: true,
    },
    pool: { min: Math.min(2, options.poolSize), max: options.poolSize },
    acquireConnectionTimeout: 3000,
    log: silent,
  }).withUserParams({ prepared: options.prepared });
  try {
    await pool.raw('select 1');
  } catch (error) {
    await pool.destroy();
    throw new DatabaseError(
      `The PostgreSQL server does not answer: ${(error as Error).message}. Start it, or correct DATABASE_URL.`,
      { cause: error },
    );
  }
  return {
    knex: pool,
    kind: 'postgres',
    created: false,
    [Symbol.asyncDispose]: () => pool.destroy(),
  };
}

async function openEmbedded(options: DatabaseOptions): Promise<Database> {
  const inMemory = options.url.startsWith('memory://');
  const lock = inMemory ? undefined : lockFolder(options.url);
  const created = inMemory || !existsSync(join(options.url, 'PG_VERSION'));
  // Loaded here and not above: a deployment on a server never pays for the WebAssembly engine.
  const { PGlite } = await import('@electric-sql/pglite');
  const engine = await PGlite.create({
    dataDir: options.url,
    ...(options.dump && created ? { loadDataDir: options.dump } : {}),
  }).catch((error: unknown) => {
    lock?.close();
    throw new DatabaseError(
      `The embedded database in ${options.url} cannot be opened: ${(error as Error).message}. Restore the folder from a backup, or delete it to begin again.`,
      { cause: error },
    );
  });
  const pool = knex({
    client: 'pg',
    connection: createPgConfig(engine) as unknown as Knex.PgConnectionConfig,
    // PGlite has one connection. A nested acquire waits for itself, so the wait is short.
    pool: { min: 1, max: 1 },
    acquireConnectionTimeout: 10_000,
    log: silent,
  }).withUserParams({ prepared: options.prepared });
  return {
    knex: pool,
    kind: 'pglite',
    created,
    engine,
    [Symbol.asyncDispose]: async () => {
      await pool.destroy();
      await engine.close();
      lock?.close();
    },
  };
}

/**
 * Takes a lock that dies with the process: two processes on one embedded database corrupt it silently.
 * SQLite's exclusive lock is an operating-system lock, so it survives no crash (local file systems only).
 */
function lockFolder(folder: string): DatabaseSync {
  const parent = dirname(folder);
  try {
    // Only a folder made here: an existing one may be anybody's, even the root of a volume.
    mkdirSync(parent, { recursive: true, mode: 0o700 });
    const lock = new DatabaseSync(join(parent, 'lock.db'));
    try {
      lock.exec('pragma busy_timeout = 0; pragma locking_mode = exclusive; begin exclusive');
      return lock;
    } catch (error) {
      lock.close();
      throw error;
    }
  } catch (error) {
    const { message } = error as Error;
    throw new DatabaseError(
      /locked|busy/i.test(message)
        ? `Another process uses the embedded database in ${parent}. Stop it first, set DATA_DIR to another folder, or move to a PostgreSQL server with DATABASE_URL.`
        : `The folder ${parent} cannot be written (${message}). Make it writable, or set DATA_DIR to another folder.`,
      { cause: error },
    );
  }
}
