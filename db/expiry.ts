/** Statements that remove what is over, in bounded batches that never wait for a row in use. */
import type { Knex } from 'knex';
import { modelTables } from './migrations/0004-engine-models.ts';

/** Tables whose rows leave a while after `expires_at`: late enough that reuse is still seen and no request still holds them. */
const plainTables = [
  ...modelTables,
  'replay_detections',
  'revoked_handles',
  'one_time_secrets',
  'grants',
] as const;
const keyOf: Record<string, string> = { revoked_handles: 'handle', grants: 'id' };

/** Extra life of a row after it expired, in seconds. */
const MARGIN_SECONDS: Record<string, number> = {
  // Kept a day for the Back button.
  interactions: 86_400,
  // A code that is used again after it expired still ends its grant.
  authorization_codes: 3600,
  replay_detections: 0,
  revoked_handles: 0,
};
const DEFAULT_MARGIN_SECONDS = 300;

/** Removes one batch of every table; the result says how many rows each lost. */
export async function removeExpiredRows(db: Knex, batch: number): Promise<Record<string, number>> {
  const removed: Record<string, number> = {};
  for (const table of plainTables) {
    const key = keyOf[table] ?? 'id_hash';
    const { rowCount } = await db.raw<{ rowCount: number }>(
      `delete from ${table} where ${key} in (
         select ${key} from ${table} where expires_at < now() - ?::float8 * interval '1 second'
         order by expires_at limit ? for update skip locked)`,
      [MARGIN_SECONDS[table] ?? DEFAULT_MARGIN_SECONDS, batch],
    );
    removed[table] = rowCount;
  }
  return removed;
}

/** Ends sessions whose time is over; they stay as tombstones. Returns their uid hashes. */
export async function endExpiredSessions(db: Knex, batch: number): Promise<Buffer[]> {
  const { rows } = await db.raw<{ rows: { uid_hash: Buffer }[] }>(
    `update sessions set ended_at = now(), end_reason = 'expired' where uid_hash in (
       select uid_hash from sessions
       where ended_at is null and least(expires_at, idle_expires_at) < now()
       order by least(expires_at, idle_expires_at) limit ? for update skip locked)
     returning uid_hash`,
    [batch],
  );
  return rows.map(({ uid_hash }) => uid_hash);
}

/** Removes tombstones of sessions that no request can hold any more, with their ids and clients. */
export async function removeEndedSessions(db: Knex, batch: number): Promise<number> {
  const { rows } = await db.raw<{ rows: unknown[] }>(
    `with gone as (
       delete from sessions where uid_hash in (
         select uid_hash from sessions
         where ended_at is not null and least(expires_at, idle_expires_at) < now() - interval '1 hour'
         limit ? for update skip locked)
       returning uid_hash
     ), ids as (
       delete from session_ids where uid_hash in (select uid_hash from gone)
     ), clients as (
       delete from session_clients where uid_hash in (select uid_hash from gone)
     )
     select 1 from gone`,
    [batch],
  );
  return rows.length;
}
