/** Statements of the engine's plain models: one table each, the same columns, prepared by name. */
import type { Knex } from 'knex';
import { modelTables } from './migrations/0004-engine-models.ts';
import { statement } from './statement.ts';

export type ModelTable = (typeof modelTables)[number];

export interface StoredModel {
  payload: Buffer;
  consumed_at: Date | null;
  /** By the database's clock. */
  expired: boolean;
}

export interface NewModel {
  idHash: Buffer;
  payload: Buffer;
  keyId: number;
  grantId: string | null;
  subject: string | null;
  clientId: string | null;
  uidHash: Buffer | null;
  userCodeHash: Buffer | null;
  /** Undefined: never expires. */
  expiresInSeconds: number | undefined;
}

function statementsOf(table: ModelTable) {
  return {
    // consumed_at is left alone: saving a consumed token again must not make it usable.
    upsert: statement<never>(
      `${table}_upsert`,
      `insert into ${table}
         (id_hash, payload, key_id, grant_id, subject, client_id, uid_hash, user_code_hash, expires_at)
       values (?, ?, ?, ?, ?, ?, ?, ?, now() + ?::float8 * interval '1 second')
       on conflict (id_hash) do update set
         payload = excluded.payload, key_id = excluded.key_id, grant_id = excluded.grant_id,
         subject = excluded.subject, client_id = excluded.client_id, uid_hash = excluded.uid_hash,
         user_code_hash = excluded.user_code_hash, expires_at = excluded.expires_at`,
    ),
    find: statement<StoredModel>(
      `${table}_find`,
      `select payload, consumed_at, coalesce(expires_at <= now(), false) as expired from ${table} where id_hash = ?`,
    ),
    // The only place where a one-time model is spent: one conditional statement.
    consume: statement<{ consumed_at: Date }>(
      `${table}_consume`,
      `update ${table} set consumed_at = now()
       where id_hash = ? and consumed_at is null and expires_at > now() returning consumed_at`,
    ),
    destroy: statement<never>(`${table}_destroy`, `delete from ${table} where id_hash = ?`),
  };
}

const statements = Object.fromEntries(modelTables.map((table) => [table, statementsOf(table)])) as Record<
  ModelTable,
  ReturnType<typeof statementsOf>
>;

export async function upsertModel(db: Knex, table: ModelTable, row: NewModel): Promise<void> {
  await statements[table].upsert(db, [
    row.idHash,
    row.payload,
    row.keyId,
    row.grantId,
    row.subject,
    row.clientId,
    row.uidHash,
    row.userCodeHash,
    row.expiresInSeconds ?? null,
  ]);
}

export async function findModel(db: Knex, table: ModelTable, hash: Buffer): Promise<StoredModel | undefined> {
  return (await statements[table].find(db, [hash]))[0];
}

/** Spends a one-time model; false when it was spent before or has expired. */
export async function consumeModel(db: Knex, table: ModelTable, hash: Buffer): Promise<boolean> {
  return (await statements[table].consume(db, [hash])).length === 1;
}

export async function destroyModel(db: Knex, table: ModelTable, hash: Buffer): Promise<void> {
  await statements[table].destroy(db, [hash]);
}

const findByUserCode = statement<StoredModel & { id_hash: Buffer }>(
  'device_codes_find_by_user_code',
  `select id_hash, payload, consumed_at, coalesce(expires_at <= now(), false) as expired
   from device_codes where user_code_hash = ?`,
);

export async function findDeviceCode(db: Knex, userCodeHash: Buffer) {
  return (await findByUserCode(db, [userCodeHash]))[0];
}

const markFinished = statement<never>(
  'interactions_finish',
  `update interactions set consumed_at = now(), expires_at = now() + interval '24 hours' where id_hash = ?`,
);

/** A finished interaction stays a day, so that the Back button can be answered with a way on. */
export async function finishInteraction(db: Knex, hash: Buffer): Promise<void> {
  await markFinished(db, [hash]);
}

const remember = statement<{ id_hash: Buffer }>(
  'replay_detections_remember',
  `insert into replay_detections as r (id_hash, expires_at) values (?, now() + ?::float8 * interval '1 second')
   on conflict (id_hash) do update set expires_at = excluded.expires_at where r.expires_at <= now()
   returning id_hash`,
);

/** Remembers a one-time id; false when it is known already and has not expired. */
export async function rememberOnce(db: Knex, hash: Buffer, expiresInSeconds: number): Promise<boolean> {
  return (await remember(db, [hash, expiresInSeconds])).length === 1;
}

export interface StoredRefreshToken extends StoredModel {
  successor: Buffer | null;
  /** Consumed so recently that a retry may get the same successor. */
  in_grace: boolean;
  successor_consumed: boolean;
}

const findRefresh = statement<StoredRefreshToken>(
  'refresh_tokens_find_with_successor',
  `select t.payload, t.consumed_at, t.expires_at <= now() as expired, t.successor,
          coalesce(t.consumed_at > clock_timestamp() - ?::float8 * interval '1 second', false) as in_grace,
          s.consumed_at is not null as successor_consumed
   from refresh_tokens t left join refresh_tokens s on s.id_hash = t.successor_hash
   where t.id_hash = ?`,
);

export async function findRefreshToken(db: Knex, hash: Buffer, graceSeconds: number) {
  return (await findRefresh(db, [graceSeconds, hash]))[0];
}

const setSuccessor = statement<never>(
  'refresh_tokens_set_successor',
  'update refresh_tokens set successor_hash = ?, successor = ? where id_hash = ?',
);

export async function linkSuccessor(
  db: Knex,
  predecessor: Buffer,
  successorHash: Buffer,
  sealed: Buffer,
): Promise<void> {
  await setSuccessor(db, [successorHash, sealed, predecessor]);
}
