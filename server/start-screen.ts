/** What a start says: a screen for a person at a terminal, one JSON line each for everybody else. */
import type { Logger } from 'pino';
import packageJson from '../package.json' with { type: 'json' };
import type { Config } from './config.ts';

/** One fact about the start; `line` is for people, the rest for the log. */
export interface StartFacts {
  database: 'pglite' | 'postgres';
  migrations: readonly string[];
  signingKeys: readonly string[];
  /** Seconds from start to listening. */
  seconds: number;
  demoUrl: string | undefined;
  demoPerson: string | undefined;
  setupLink: string | undefined;
}

export function announceStart(
  config: Config,
  facts: StartFacts,
  logger: Logger,
  terminal: NodeJS.WriteStream,
): void {
  if (terminal.isTTY) terminal.write(screen(config, facts));
  else logLines(config, facts, logger);
}

/** Opening an empty embedded database takes seconds; silence would look like a hang. */
export function announceCold(terminal: NodeJS.WriteStream): void {
  if (terminal.isTTY) terminal.write('\n  Making the embedded database, this takes a few seconds...\n');
}

function screen(config: Config, facts: StartFacts): string {
  const place = facts.database === 'pglite' ? `embedded database in ${config.dataDir}` : 'PostgreSQL';
  const lines = [
    '',
    `  Gatehouse ${packageJson.version}   ${config.mode}, ${place}`,
    '',
    `  ✓ database   ${facts.migrations.length > 0 ? `${facts.migrations.length} migrations applied` : 'up to date'}`,
    `  ✓ keys       ${facts.signingKeys.length > 0 ? `${facts.signingKeys.join(' + ')} created` : 'loaded'}`,
    ...(facts.demoUrl ? [`  ✓ demo app   ${facts.demoUrl}`] : []),
    '',
    `  Ready in ${facts.seconds.toFixed(1)} s at ${config.issuer}`,
    '',
    ...(facts.setupLink
      ? [
          `  Open      ${facts.setupLink}`,
          '            (one use, 30 minutes; `npm run cli -- admin link` prints a new one)',
        ]
      : [`  Open      ${config.issuer}/account`]),
    ...(facts.demoUrl
      ? [
          `  Try       ${facts.demoUrl}   "Sign in with Gatehouse" as ${facts.demoPerson}; the password is on that page`,
        ]
      : []),
    ...(facts.database === 'pglite'
      ? [
          '',
          '  The embedded database survives a crash, not a power cut. Set DATABASE_URL to a PostgreSQL server before you rely on it.',
        ]
      : []),
    '',
  ];
  return `${lines.join('\n')}\n`;
}

function logLines(config: Config, facts: StartFacts, logger: Logger): void {
  logger.info({ database: facts.database, migrations: facts.migrations }, 'database ready');
  logger.info({ created: facts.signingKeys }, 'keys ready');
  if (facts.demoUrl) logger.info({ url: facts.demoUrl }, 'demo app ready');
  // The only secret that is ever written: it works once, ends in half an hour, and can be issued anew.
  if (facts.setupLink) logger.info({ open: facts.setupLink }, 'open this link to make the first operator');
  if (facts.database === 'pglite') {
    logger.info(
      'the embedded database survives a crash, not a power cut; set DATABASE_URL before you rely on it',
    );
  }
  logger.info({ issuer: config.issuer, seconds: Number(facts.seconds.toFixed(2)) }, 'ready');
}
