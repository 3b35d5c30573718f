/** Statements of registered clients. Status, generation and secrets are read at every use; only metadata may be cached. */
import type { Knex } from 'knex';
import { statement } from './statement.ts';

export interface StoredClient {
  id: string;
  kind: string;
  first_party: boolean;
  status: 'active' | 'disabled';
  generation: number;
  metadata_version: number;
  created_at: Date;
  secrets: { id: string; hash: string }[] | null;
}

const find = statement<StoredClient>(
  'clients_find',
  `select id, kind, first_party, status, generation, metadata_version, created_at,
          (select json_agg(json_build_object('id', s.id, 'hash', encode(s.secret_hash, 'hex')))
             from client_secrets s
            where s.client_id = c.id and (s.expires_at is null or s.expires_at > now())) as secrets
   from clients c where id = ?`,
);

export async function findClient(db: Knex, id: string): Promise<StoredClient | undefined> {
  return (await find(db, [id]))[0];
}

export async function readClientMetadata(db: Knex, id: string): Promise<Record<string, unknown> | undefined> {
  return (await db('clients').where({ id }).first('metadata'))?.metadata;
}
