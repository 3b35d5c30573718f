/** The real service on a clean database and a port of its own, in this process. */
import { randomBytes } from 'node:crypto';
import { Writable } from 'node:stream';
import type { Knex } from 'knex';
import { type Config, parseConfig } from '../server/config.ts';
import { type App, buildApp, type Services } from '../server/app.ts';
import { createAccount } from '../server/accounts/accounts.ts';
import { createApi, type NewApi } from '../server/access/apis.ts';
import { createClient, type NewClient } from '../server/clients/clients.ts';
import { listen } from '../server/listen.ts';
import { createLogger } from '../server/logger.ts';
import { openTestDatabase, type TestDatabase } from './_database.ts';

export interface TestApp extends AsyncDisposable {
  /** The issuer, http://localhost:PORT. */
  url: string;
  /** Where it listens, on 127.0.0.1; part of the issuer unless the environment names another one. */
  port: number;
  config: Config;
  app: App;
  services: Services;
  db: Knex;
  database: TestDatabase;
  /** Every line that was logged. */
  log: string[];
  createPerson(
    person?: Partial<Person> & { roles?: string[] },
  ): Promise<Person & { id: string; subject: string }>;
  createClient(client: NewClient): Promise<{ id: string; secret: string | undefined }>;
  createApi(api: NewApi): Promise<void>;
}

export interface Person {
  name: string;
  identifier: string;
  password: string;
}

export interface TestAppOptions {
  /** Environment variables beside the defaults of the tests. */
  env?: Record<string, string>;
  /** A second node on the database of another test app; it is left open. */
  database?: TestDatabase;
}

/** Hashes are as cheap as the configuration allows, and client URLs on loopback may be fetched. */
const testEnvironment = { LOG_LEVEL: 'debug', ALLOW_PRIVATE_NETWORK_FETCH: 'true', DEMO: 'false' };
const encryptionKey = Buffer.alloc(32, 1);

export async function startTestApp({ env = {}, database: shared }: TestAppOptions = {}): Promise<TestApp> {
  // Given back on a failure to start, or a test of a refusal would never end.
  await using started = new AsyncDisposableStack();
  const database = shared ?? started.use(await openTestDatabase());
  // The issuer must be known before the app is built, so the socket comes first.
  const answer: { by?: ReturnType<App['koa']['callback']> } = {};
  const socket = started.use(
    await listen((request, response) => void answer.by?.(request, response), {
      host: '127.0.0.1',
      port: 0,
      tls: undefined,
    }),
  );
  const config = parseConfig({ ISSUER: `http://localhost:${socket.port}`, ...testEnvironment, ...env });
  const log: string[] = [];
  const logger = createLogger(
    config.logLevel,
    new Writable({
      write(chunk, _encoding, done) {
        log.push(String(chunk));
        done();
      },
    }),
  );
  const app = await buildApp({ config, db: database.knex, logger, encryptionKey });
  answer.by = app.koa.callback();
  const { services } = app;
  const { db, audit, accounts } = services;
  const running = started.move();
  return {
    url: config.issuer,
    port: socket.port,
    config,
    app,
    services,
    db,
    database,
    log,
    async createPerson({ roles = ['user'], ...given } = {}) {
      const person = {
        name: 'Alice Liddell',
        identifier: `alice-${randomBytes(4).toString('hex')}@example.test`,
        password: 'down the rabbit hole',
        ...given,
      };
      const created = await createAccount(db, accounts, { ...person, roles });
      if (!created.ok) throw new Error(created.reason);
      return { ...person, id: created.id, subject: created.subject };
    },
    async createClient(client) {
      const { client: row, secret } = await createClient(db, audit, {}, client);
      return { id: row.id, secret };
    },
    async createApi(api) {
      await createApi(db, audit, {}, api);
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
