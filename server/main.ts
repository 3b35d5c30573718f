/** The process: configuration, database, application, socket, signals. No logic of its own. */
import { DatabaseError, openDatabase } from '../db/connect.ts';
import { createSetupLink } from './accounts/setup-link.ts';
import { listenAdminSocket } from './api/admin-socket.ts';
import { buildApp } from './app.ts';
import { ConfigError, parseConfig } from './config.ts';
import { KeyError, loadKeyFile } from './keys/key-encryption.ts';
import { ListenError, listen } from './listen.ts';
import { createLogger } from './logger.ts';
import { listenMetrics } from './metrics.ts';
import { announceCold, announceStart } from './start-screen.ts';

async function start(): Promise<void> {
  const config = parseConfig(process.env);
  const logger = createLogger(config.logLevel);
  await using running = new AsyncDisposableStack();
  const stopped = untilStopped();

  if (config.database.kind === 'pglite') announceCold(process.stdout);
  const database = running.use(await openDatabase(config.database));
  const encryptionKey = config.encryptionKey ?? ((isNew: boolean) => loadKeyFile(config.dataDir, isNew));
  const { koa, services, metrics, made, startBackground } = await buildApp({
    config,
    db: database.knex,
    logger,
    encryptionKey,
  });
  const setupLink = await createSetupLink(database.knex, services.audit, config.issuer);
  const demo = config.demo.enabled ? await startDemo() : undefined;
  running.use(await listenAdminSocket({ services, dataDir: config.dataDir, logger }));
  running.use(await startBackground());
  if (config.metrics) running.use(await listenMetrics(metrics, config.metrics.host, config.metrics.port));
  // Last in, first out: the socket drains before anything under it closes.
  running.use(await listen(koa.callback(), config.listen));

  announceStart(
    config,
    {
      database: database.kind,
      migrations: made.migrations,
      signingKeys: made.signingKeys,
      seconds: performance.now() / 1000,
      demoUrl: demo?.url,
      demoPerson: demo?.person,
      setupLink,
    },
    logger,
    process.stdout,
  );
  logger.info({ signal: await stopped }, 'stopping');

  /** Loaded only when it runs: a production install has neither the demo nor what it depends on. */
  async function startDemo() {
    const demo = await import('../examples/demo-app/run.ts').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
      logger.warn('the demo app is not installed here; set DEMO=false');
    });
    return demo && running.use(await demo.runDemo({ services, config, logger }));
  }
}

function untilStopped(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve);
  });
}

/** What an operator can mend is said in a sentence; anything else is a defect and keeps its stack. */
const explained = [ConfigError, DatabaseError, KeyError, ListenError];

try {
  await start();
} catch (error) {
  const known = explained.some((kind) => error instanceof kind);
  process.stderr.write(`${known ? (error as Error).message : ((error as Error).stack ?? String(error))}\n`);
  process.exitCode = 1;
}
