/** Notices changes that another node made: one cheap read twice a second. */
import type { Knex } from 'knex';
import type { Logger } from 'pino';
import { findConfigVersion } from '../../db/config-version.ts';
import { pause } from './jobs.ts';

const EVERY_MS = 500;

/** Calls `onChange` after each change of the configuration's version, until disposed. */
export async function watchConfig(
  db: Knex,
  logger: Logger,
  onChange: () => Promise<void>,
): Promise<AsyncDisposable> {
  const stopping = new AbortController();
  let seen = await findConfigVersion(db);
  const loop = (async () => {
    while (!stopping.signal.aborted) {
      await pause(EVERY_MS, stopping.signal);
      if (stopping.signal.aborted) return;
      try {
        const version = await findConfigVersion(db);
        if (version === seen) continue;
        await onChange();
        seen = version;
      } catch (error) {
        logger.warn({ err: error }, 'configuration could not be read');
      }
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await loop;
    },
  };
}
