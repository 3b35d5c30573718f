/** Statements of registered clients. Status, generation and secrets are read at every use; only metadata may be cached. */
import type { Knex } from 'knex';
import { modelTables } from './migrations/0004-engine-models.ts';
import { statement } from './statement.ts';
import type { ClientRow } from './tables.ts';

export interface StoredClient {
  id: string;
  kind: string;
  first_party: boolean;
  status: 'active' | 'disabled';
  generation: number;
  metadata_version: number;
  logo_hash: string | null;
  created_at: Date;
  secrets: { id: string; hash: string }[] | null;
  /** Read along with the client, so that what is cached under it is never stale. */
  config_version: string;
}

const find = statement<StoredClient>(
  'clients_find',
  `select id, kind, first_party, status, generation, metadata_version, logo_hash, created_at,
          (select version from config_version) as config_version,
          (select json_agg(json_build_object('id', s.id, 'hash', encode(s.secret_hash, 'hex')))
             from client_secrets s
            where s.client_id = c.id and (s.expires_at is null or s.expires_at > now())) as secrets
   from clients c where id = ?`,
);

export async function findClient(db: Knex, id: string): Promise<StoredClient | undefined> {
  return (await find(db, [id]))[0];
}

export interface MachineTokenRow {
  idHash: Buffer;
  payload: Buffer;
  keyId: number;
  expiresInSeconds: number;
  clientId: string;
  secretHash: Buffer;
  /** What the caller's cached knowledge was read at; another one makes this a no-op. */
  metadataVersion: number;
  configVersion: string;
}

const insertMachineToken = statement<{ client_id: string }>(
  'client_credentials_issue',
  `insert into client_credentials (id_hash, payload, key_id, client_id, expires_at)
   select ?, ?, ?, c.id, now() + ?::float8 * interval '1 second' from clients c
   where c.id = ? and c.status = 'active' and c.metadata_version = ?
     and exists (select from client_secrets s where s.client_id = c.id and s.secret_hash = ?
                   and (s.expires_at is null or s.expires_at > now()))
     and (select version from config_version) = ?
   returning client_id`,
);

/** Authenticates a client and stores its token in one statement; false when anything is not as the caller believed. */
export async function issueMachineToken(db: Knex, row: MachineTokenRow): Promise<boolean> {
  const rows = await insertMachineToken(db, [
    row.idHash,
    row.payload,
    row.keyId,
    row.expiresInSeconds,
    row.clientId,
    row.metadataVersion,
    row.secretHash,
    row.configVersion,
  ]);
  return rows.length === 1;
}

export type ClientLogo = Pick<ClientRow, 'logo' | 'logo_type' | 'logo_hash'>;

export function findClientLogo(db: Knex, id: string): Promise<ClientLogo | undefined> {
  return db('clients').where({ id }).first('logo', 'logo_type', 'logo_hash');
}

export async function readClientMetadata(db: Knex, id: string): Promise<Record<string, unknown> | undefined> {
  return (await db('clients').where({ id }).first('metadata'))?.metadata;
}

export type ListedClient = Pick<
  ClientRow,
  'id' | 'kind' | 'first_party' | 'status' | 'metadata' | 'created_at'
> & {
  /** The API whose tokens a client of kind "api" introspects. */
  api: string | null;
  roles: string[];
};

const list = statement<ListedClient>(
  'clients_list',
  `select c.id, c.kind, c.first_party, c.status, c.metadata, c.created_at, a.identifier as api,
          coalesce((select json_agg(r.role order by r.role) from client_roles r where r.client_id = c.id), '[]') as roles
   from clients c
   left join api_clients ac on ac.client_id = c.id left join apis a on a.id = ac.api_id
   order by c.created_at, c.id`,
);

/** Every client, oldest first; never a secret or its hash. */
export function listClients(db: Knex): Promise<ListedClient[]> {
  return list(db, []);
}

/** Removes a client with all that names it. Tables of the hot path have no foreign keys, so each is cleaned here. */
export async function deleteClientRows(db: Knex, id: string): Promise<void> {
  for (const table of modelTables) await db.raw(`delete from ${table} where client_id = ?`, [id]);
  await db.raw('delete from session_clients where client_id = ?', [id]);
  await db('clients').where({ id }).delete();
}
