/** Row types of every table, known to the query builder. */
import type { Knex } from 'knex';

export type AccountId = `acc_${string}`;
export type ClientId = string;
export type Locale = 'en' | 'zh-CN';
/** A title in the languages of the pages; English is always there. */
export type Titles = { en: string } & Partial<Record<Locale, string>>;

export interface AccountRow {
  id: AccountId;
  subject: string;
  status: 'active' | 'suspended' | 'deleting';
  name: string;
  locale: string | null;
  zone: string | null;
  profile: Record<string, unknown>;
  created_at: Date;
  updated_at: Date;
}

export interface IdentifierRow {
  account_id: AccountId;
  kind: 'username' | 'email' | 'phone';
  value: string;
  normalised: string;
  verified_at: Date | null;
  created_at: Date;
}

export interface PasswordRow {
  account_id: AccountId;
  hash: string;
  changed_at: Date;
}

export interface RoleRow {
  name: string;
  titles: Titles;
  created_at: Date;
}

export type ClientKind = 'web' | 'spa' | 'native' | 'device' | 'machine' | 'api';

export interface ClientRow {
  id: ClientId;
  kind: ClientKind;
  owner_id: AccountId | null;
  first_party: boolean;
  metadata: Record<string, unknown>;
  metadata_version: number;
  generation: number;
  status: 'active' | 'disabled';
  logo: Buffer | null;
  logo_type: string | null;
  logo_hash: string | null;
  created_at: Date;
}

export interface ClientSecretRow {
  id: string;
  client_id: ClientId;
  name: string;
  secret_hash: Buffer;
  created_at: Date;
  last_used_at: Date | null;
  expires_at: Date | null;
}

export interface ApiRow {
  id: string;
  identifier: string;
  title: string;
  token_format: 'jwt' | 'opaque';
  ttl_seconds: number;
  created_at: Date;
}

export interface ScopeRow {
  api_id: string;
  name: string;
  titles: Titles;
  restricted: boolean;
}

export interface SessionRow {
  uid_hash: Buffer;
  subject: string | null;
  auth_time: Date | null;
  idle_expires_at: Date;
  expires_at: Date;
  ended_at: Date | null;
  end_reason: string | null;
  key_id: number;
  payload: Buffer;
  created_at: Date;
}

export interface ConsentRow {
  account_id: AccountId;
  client_id: ClientId;
  api_id: string;
  granted_scopes: string[];
  refused_scopes: string[];
  granted_claims: string[];
  refused_claims: string[];
  decided_at: Date;
}

export interface GrantRow {
  id: string;
  subject: string;
  client_id: ClientId;
  session_uid_hash: Buffer | null;
  persists_logout: boolean;
  generation: number;
  expires_at: Date;
  ended_at: Date | null;
  end_reason: string | null;
  key_id: number;
  payload: Buffer;
  created_at: Date;
}

export interface DataKeyRow {
  id: number;
  wrapped: Buffer;
  state: 'active' | 'decrypt_only';
  created_at: Date;
}

export interface ServerSecretRow {
  name: string;
  sealed: Buffer;
  created_at: Date;
}

export interface SigningKeyRow {
  kid: string;
  alg: string;
  state: 'next' | 'active' | 'retiring';
  public_jwk: Record<string, unknown>;
  sealed: Buffer;
  created_at: Date;
  activated_at: Date | null;
  retired_at: Date | null;
}

export interface OneTimeSecretRow {
  id_hash: Buffer;
  purpose: string;
  account_id: AccountId | null;
  consumed_at: Date | null;
  expires_at: Date;
  created_at: Date;
}

export interface AuditEventRow {
  id: string;
  occurred_at: Date;
  kind: string;
  actor_id: string | null;
  account_id: string | null;
  client_id: string | null;
  ip: string | null;
  request_id: string | null;
  detail: Record<string, unknown>;
}

/** Columns that have a default may be left out on insert. */
type Table<Row, Optional extends keyof Row> = Knex.CompositeTableType<
  Row,
  Omit<Row, Optional> & Partial<Pick<Row, Optional>>,
  Partial<Row>
>;

declare module 'knex/types/tables.js' {
  interface Tables {
    migrations: { name: string; applied_at?: Date };
    accounts: Table<AccountRow, 'status' | 'locale' | 'zone' | 'profile' | 'created_at' | 'updated_at'>;
    identifiers: Table<IdentifierRow, 'verified_at' | 'created_at'>;
    passwords: Table<PasswordRow, 'changed_at'>;
    roles: Table<RoleRow, 'created_at'>;
    account_roles: { account_id: AccountId; role: string; granted_at?: Date };
    clients: Table<
      ClientRow,
      | 'owner_id'
      | 'first_party'
      | 'metadata_version'
      | 'generation'
      | 'status'
      | 'logo'
      | 'logo_type'
      | 'logo_hash'
      | 'created_at'
    >;
    client_members: { client_id: ClientId; account_id: AccountId; added_at?: Date };
    client_secrets: Table<ClientSecretRow, 'created_at' | 'last_used_at' | 'expires_at'>;
    apis: Table<ApiRow, 'created_at'>;
    scopes: ScopeRow;
    role_scopes: { role: string; api_id: string; scope: string };
    client_roles: { client_id: ClientId; role: string };
    api_clients: { client_id: ClientId; api_id: string };
    sessions: SessionRow;
    session_ids: { id_hash: Buffer; uid_hash: Buffer; retired_at: Date | null; created_at: Date };
    session_clients: {
      uid_hash: Buffer;
      client_id: ClientId;
      sid: string | null;
      grant_id: string | null;
      persists_logout: boolean;
    };
    consents: ConsentRow;
    grants: GrantRow;
    revoked_handles: { handle: Buffer; expires_at: Date };
    data_keys: Table<DataKeyRow, 'created_at'>;
    server_secrets: Table<ServerSecretRow, 'created_at'>;
    signing_keys: Table<SigningKeyRow, 'created_at' | 'activated_at' | 'retired_at'>;
    one_time_secrets: Table<OneTimeSecretRow, 'account_id' | 'consumed_at' | 'created_at'>;
    audit_events: Table<
      AuditEventRow,
      'id' | 'occurred_at' | 'actor_id' | 'account_id' | 'client_id' | 'ip' | 'request_id' | 'detail'
    >;
    config_version: { only_row: boolean; version: string };
    leases: { name: string; holder: string; expires_at: Date };
  }
}
