/**
 * Background work.
 *
 * Owns: who does a job (leases), when, and stopping cleanly. Refuses: the work itself, which belongs to the domains, and anything that
 * would need a cron or a person.
 */
import { randomUUID } from 'node:crypto';
import type { Knex } from 'knex';
import type { Logger } from 'pino';
import { releaseLeases, takeLease } from '../../db/leases.ts';

export interface Job {
  name: string;
  everySeconds: number;
  /** Longest time it may take; after that another node may start it too, so it must bear to run twice. */
  leaseSeconds: number;
  run(): Promise<void>;
}

/** Runs each job on one node at a time until disposed; a job under way is finished first. */
export function startJobs(
  db: Knex,
  logger: Logger,
  jobs: readonly Job[],
  count: (name: string, result: 'done' | 'failed' | 'not_mine') => void,
): AsyncDisposable {
  const holder = randomUUID();
  const stopping = new AbortController();
  const loops = jobs.map((job) => loop(job));

  async function loop(job: Job): Promise<void> {
    while (!stopping.signal.aborted) {
      await pause(job.everySeconds * 1000 * (0.9 + Math.random() * 0.2), stopping.signal);
      if (stopping.signal.aborted) return;
      try {
        const mine = await takeLease(db, job.name, holder, job.leaseSeconds);
        if (mine) await job.run();
        count(job.name, mine ? 'done' : 'not_mine');
      } catch (error) {
        count(job.name, 'failed');
        // The next turn tries again; a store that is away must not end the process.
        logger.warn({ err: error, job: job.name }, 'job failed');
      }
    }
  }

  return {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await Promise.all(loops);
      await releaseLeases(db, holder).catch(() => undefined);
    },
  };
}

/** Waits, or returns at once when stopping. The timer does not keep the process alive. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    timer.unref();
    signal.addEventListener('abort', done, { once: true });
    function done() {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
  });
}
