/** Expired rows leave by themselves. */
import type { Knex } from 'knex';
import type { Logger } from 'pino';
import { endExpiredSessions, removeEndedSessions, removeExpiredRows } from '../../db/expiry.ts';
import type { GrantRevocation } from '../grants/revocation.ts';
import type { Job } from './jobs.ts';

const BATCH = 1000;
/** One turn stops here, so that the lease is never outlived. */
const MAX_BATCHES = 50;

export function createExpiryJob(
  db: Knex,
  grants: GrantRevocation,
  logger: Logger,
  count: (table: string, rows: number) => void,
): Job {
  return {
    name: 'expiry',
    everySeconds: 30,
    leaseSeconds: 120,
    async run() {
      const total: Record<string, number> = {};
      for (let turn = 0; turn < MAX_BATCHES; turn += 1) {
        const removed = await runOnce(db, grants);
        for (const [table, count] of Object.entries(removed)) total[table] = (total[table] ?? 0) + count;
        if (Object.values(removed).every((count) => count < BATCH)) break;
      }
      const some = Object.entries(total).filter(([, count]) => count > 0);
      for (const [table, rows] of some) count(table, rows);
      if (some.length > 0) logger.debug({ removed: Object.fromEntries(some) }, 'expired rows removed');
    },
  };
}

/** One batch of everything; exported for the tests. */
export async function runOnce(db: Knex, grants: GrantRevocation): Promise<Record<string, number>> {
  // A session and what it granted end together; the tombstones leave later.
  const ended = await db.transaction(async (trx) => {
    const sessions = await endExpiredSessions(trx, BATCH);
    for (const uidHash of sessions) await grants.endSessionGrants(trx, uidHash, 'session_expired');
    return sessions.length;
  });
  const sessions = await removeEndedSessions(db, BATCH);
  return { ...(await removeExpiredRows(db, BATCH)), sessions: Math.max(sessions, ended) };
}
