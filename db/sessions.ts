/** Statements of browser sessions. A session is a row under its uid, with any number of ids and of clients. */
import type { Knex } from 'knex';
import { statement } from './statement.ts';

/** What the engine calls an authorization of the session. */
export interface SessionClient {
  client_id: string;
  sid: string | null;
  grant_id: string | null;
  persists_logout: boolean;
}

export interface StoredSession {
  uid_hash: Buffer;
  payload: Buffer;
  subject: string | null;
  /** Seconds until it ends if nothing happens, by the database's clock. */
  seconds_left: number;
  clients: SessionClient[] | null;
}

const columns = `
  s.uid_hash, s.payload, s.subject,
  floor(extract(epoch from least(s.idle_expires_at, s.expires_at) - now()))::int as seconds_left,
  (select json_agg(json_build_object('client_id', c.client_id, 'sid', c.sid, 'grant_id', c.grant_id,
                                     'persists_logout', c.persists_logout))
     from session_clients c where c.uid_hash = s.uid_hash) as clients`;
const live = 's.ended_at is null and s.expires_at > now() and s.idle_expires_at > now()';

const findById = statement<StoredSession>(
  'sessions_find_by_id',
  `select ${columns} from session_ids i join sessions s on s.uid_hash = i.uid_hash
   where i.id_hash = ? and (i.retired_at is null or i.retired_at > now()) and ${live}`,
);
const findByUid = statement<StoredSession>(
  'sessions_find_by_uid',
  `select ${columns} from sessions s where s.uid_hash = ? and ${live}`,
);

export async function findSessionById(db: Knex, idHash: Buffer): Promise<StoredSession | undefined> {
  return (await findById(db, [idHash]))[0];
}

export async function findSessionByUid(db: Knex, uidHash: Buffer): Promise<StoredSession | undefined> {
  return (await findByUid(db, [uidHash]))[0];
}

export interface SessionSave {
  uidHash: Buffer;
  subject: string | null;
  /** Seconds since the epoch, or null before sign-in. */
  authTime: number | null;
  idleSeconds: number;
  absoluteSeconds: number;
  keyId: number;
  payload: Buffer;
  idHash: Buffer;
  /** Who was signed in when the session was loaded, and since when. */
  loadedAs: { subject: string | null; authTime: number | null };
  /** Somebody signs in with this save. */
  signedIn: boolean;
  retire: { idHash: Buffer; afterSeconds: number } | null;
  changedClients: readonly SessionClient[];
  removedClients: readonly string[];
}

// Another tab signed in since the load, and this save does not: what it says about the person is out of date.
const stale = `not (select signed_in from loaded) and s.auth_time is distinct from (select auth_time from loaded)`;

// One statement, so that a session is never seen half saved. An ended session takes no row and gives no row back, and neither
// does one in which another person signed in since the load: the two would share it.
const save = statement<{ uid_hash: Buffer }>(
  'sessions_save',
  `with loaded as (
     select ?::text as subject, to_timestamp(?::float8) as auth_time, ?::boolean as signed_in
   ), s as (
     insert into sessions as s (uid_hash, subject, auth_time, idle_expires_at, expires_at, key_id, payload)
     values (?, ?, to_timestamp(?::float8), now() + ?::float8 * interval '1 second',
             now() + ?::float8 * interval '1 second', ?, ?)
     on conflict (uid_hash) do update set
       subject = case when ${stale} then s.subject else excluded.subject end,
       auth_time = case when ${stale} then s.auth_time else excluded.auth_time end,
       idle_expires_at = excluded.idle_expires_at,
       -- The absolute end moves only when the person signs in again.
       expires_at = case when ${stale} or s.auth_time is not distinct from excluded.auth_time
                         then s.expires_at else excluded.expires_at end,
       key_id = case when ${stale} then s.key_id else excluded.key_id end,
       payload = case when ${stale} then s.payload else excluded.payload end
     where s.ended_at is null and (s.subject is null or excluded.subject is null
       or s.subject in (excluded.subject, (select subject from loaded)))
     returning s.uid_hash
   ), ids as (
     insert into session_ids (id_hash, uid_hash) select ?, uid_hash from s on conflict (id_hash) do nothing
   ), retired as (
     update session_ids set retired_at = least(retired_at, now() + ?::float8 * interval '1 second')
     where id_hash = ? and exists (select from s)
   ), changed as (
     select x.* from s, json_to_recordset(?::json)
       as x (client_id text, sid text, grant_id text, persists_logout boolean)
   ), upserted as (
     insert into session_clients as c (uid_hash, client_id, sid, grant_id, persists_logout)
     select s.uid_hash, x.client_id, x.sid, x.grant_id, x.persists_logout from s, changed x
     on conflict (uid_hash, client_id) do update set
       sid = excluded.sid, grant_id = excluded.grant_id,
       persists_logout = c.persists_logout or excluded.persists_logout
   ), kept as (
     update grants g set persists_logout = true from changed x
     where g.id = x.grant_id and x.persists_logout and not g.persists_logout
   ), removed as (
     delete from session_clients where uid_hash in (select uid_hash from s) and client_id = any(?::text[])
   )
   select uid_hash from s`,
);

/** Saves a session; false when it was ended or taken by another person meanwhile, and then nothing was written. */
export async function saveSession(db: Knex, input: SessionSave): Promise<boolean> {
  const rows = await save(db, [
    input.loadedAs.subject,
    input.loadedAs.authTime,
    input.signedIn,
    input.uidHash,
    input.subject,
    input.authTime,
    input.idleSeconds,
    input.absoluteSeconds,
    input.keyId,
    input.payload,
    input.idHash,
    input.retire?.afterSeconds ?? null,
    input.retire?.idHash ?? null,
    JSON.stringify(input.changedClients),
    input.removedClients as string[],
  ]);
  return rows.length === 1;
}

/** The session was ended while a request held it: neither a code nor a cookie may leave. */
export class SessionEnded extends Error {
  override readonly name = 'SessionEnded';
}

const endById = statement<{ uid_hash: Buffer }>(
  'sessions_end_by_id',
  `update sessions s set ended_at = now(), end_reason = ? from session_ids i
   where i.id_hash = ? and s.uid_hash = i.uid_hash and s.ended_at is null returning s.uid_hash`,
);

/** Ends the session that has this id, and so all its ids; returns its uid hash, or undefined when it had ended before. */
export async function endSessionById(db: Knex, idHash: Buffer, reason: string): Promise<Buffer | undefined> {
  return (await endById(db, [reason, idHash]))[0]?.uid_hash;
}

const endOfSubject = statement<never>(
  'sessions_end_of_subject',
  'update sessions set ended_at = now(), end_reason = ? where subject = ? and ended_at is null',
);

/** Ends every session of a person; the grants are ended by server/grants. */
export async function endSubjectSessions(db: Knex, subject: string, reason: string): Promise<void> {
  await endOfSubject(db, [reason, subject]);
}
