/** Statements of grants. The grant row is the authority: a token of an ended grant is worth nothing. */
import type { Knex } from 'knex';
import { statement } from './statement.ts';

export interface StoredGrant {
  id: string;
  payload: Buffer;
  generation: number;
  session_uid_hash: Buffer | null;
  /** By the database's clock. */
  expired: boolean;
}

const columns = 'id, payload, generation, session_uid_hash, expires_at <= now() as expired';
const find = statement<StoredGrant>(
  'grants_find',
  `select ${columns} from grants where id = ? and ended_at is null`,
);
const findOfSession = statement<StoredGrant>(
  'grants_find_of_session',
  `select ${columns} from grants
   where session_uid_hash = ? and client_id = ? and ended_at is null and expires_at > now()`,
);

/** A grant that has not been ended; an expired one is returned until it is removed. */
export async function findGrant(db: Knex, id: string): Promise<StoredGrant | undefined> {
  return (await find(db, [id]))[0];
}

/** The one live grant of a session and client. */
export async function findSessionGrant(
  db: Knex,
  uidHash: Buffer,
  clientId: string,
): Promise<StoredGrant | undefined> {
  return (await findOfSession(db, [uidHash, clientId]))[0];
}

export interface NewGrant {
  id: string;
  subject: string;
  clientId: string;
  sessionUidHash: Buffer | null;
  keyId: number;
  payload: Buffer;
  expiresInSeconds: number;
}

const insert = statement<{ id: string }>(
  'grants_insert',
  `insert into grants (id, subject, client_id, session_uid_hash, key_id, payload, expires_at)
   values (?, ?, ?, ?, ?, ?, now() + ?::float8 * interval '1 second') on conflict do nothing returning id`,
);

/** Inserts a grant; false when the session has one for this client already (then read the winner) or the id was used. */
export async function insertGrant(db: Knex, grant: NewGrant): Promise<boolean> {
  const rows = await insert(db, [
    grant.id,
    grant.subject,
    grant.clientId,
    grant.sessionUidHash,
    grant.keyId,
    grant.payload,
    grant.expiresInSeconds,
  ]);
  return rows.length === 1;
}

const update = statement<{ id: string }>(
  'grants_update',
  `update grants set key_id = ?, payload = ?, expires_at = now() + ?::float8 * interval '1 second'
   where id = ? and ended_at is null returning id`,
);

/** Replaces what a live grant holds; false when it was ended meanwhile. */
export async function updateGrant(
  db: Knex,
  id: string,
  keyId: number,
  payload: Buffer,
  expiresInSeconds: number,
): Promise<boolean> {
  return (await update(db, [keyId, payload, expiresInSeconds, id])).length === 1;
}

export interface EndedGrant {
  id: string;
  generation: number;
}

const endOne = statement<EndedGrant>(
  'grants_end',
  `update grants set ended_at = now(), end_reason = ? where id = ? and ended_at is null returning id, generation`,
);
const endOfSession = statement<EndedGrant>(
  'grants_end_of_session',
  `update grants set ended_at = now(), end_reason = ?
   where session_uid_hash = ? and ended_at is null and not persists_logout returning id, generation`,
);

const endOfClient = statement<EndedGrant>(
  'grants_end_of_client',
  `update grants set ended_at = now(), end_reason = ? where client_id = ? and ended_at is null returning id, generation`,
);
const endOfSubject = statement<EndedGrant>(
  'grants_end_of_subject',
  `update grants set ended_at = now(), end_reason = ? where subject = ? and ended_at is null returning id, generation`,
);

export function endGrant(db: Knex, id: string, reason: string): Promise<EndedGrant[]> {
  return endOne(db, [reason, id]);
}

/** Ends what a session granted, except grants that outlive it (offline access). */
export function endSessionGrants(db: Knex, uidHash: Buffer, reason: string): Promise<EndedGrant[]> {
  return endOfSession(db, [reason, uidHash]);
}

const endExpiredOfSession = statement<never>(
  'grants_end_expired_of_session',
  `update grants set ended_at = now(), end_reason = 'expired'
   where session_uid_hash = ? and client_id = ? and ended_at is null and expires_at <= now()`,
);

/** Gives up the place of a grant whose time is over, so that its session can have another before the row is removed. */
export async function endExpiredSessionGrant(db: Knex, uidHash: Buffer, clientId: string): Promise<void> {
  await endExpiredOfSession(db, [uidHash, clientId]);
}

/** Ends every grant of a client, offline access too. */
export function endClientGrants(db: Knex, clientId: string, reason: string): Promise<EndedGrant[]> {
  return endOfClient(db, [reason, clientId]);
}

/** Ends every grant of a person, offline access too. */
export function endSubjectGrants(db: Knex, subject: string, reason: string): Promise<EndedGrant[]> {
  return endOfSubject(db, [reason, subject]);
}

const addHandles = statement<never>(
  'revoked_handles_add',
  `insert into revoked_handles (handle, expires_at)
   select handle, now() + ?::float8 * interval '1 second' from unnest(?::bytea[]) as handle
   on conflict (handle) do update set expires_at = greatest(revoked_handles.expires_at, excluded.expires_at)`,
);

/** Lists handles (or "jti" hashes) of JWT access tokens as revoked. */
export async function addRevokedHandles(
  db: Knex,
  handles: readonly Buffer[],
  seconds: number,
): Promise<void> {
  if (handles.length > 0) await addHandles(db, [seconds, handles as unknown as string[]]);
}

const anyRevoked = statement<{ handle: Buffer }>(
  'revoked_handles_any',
  'select handle from revoked_handles where handle = any(?::bytea[]) and expires_at > now() limit 1',
);

/** Whether one of the handles is in the revoked set. */
export async function isAnyRevoked(db: Knex, handles: readonly Buffer[]): Promise<boolean> {
  return (await anyRevoked(db, [handles as unknown as string[]])).length > 0;
}
