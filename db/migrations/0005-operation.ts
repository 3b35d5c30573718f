/** What the server needs to run: keys and secrets (sealed), one-time links, the audit trail and the configuration's version. */
export const migration = {
  name: '0005-operation',
  sql: `
    -- Keys that seal data, wrapped by the key-encryption key, which is never in the database.
    create table data_keys (
      id         integer primary key,
      wrapped    bytea not null,
      state      text not null check (state in ('active', 'decrypt_only')),
      created_at timestamptz not null default now()
    );

    -- Cookie keys, DPoP nonce secret, pairwise salt, rate key and the like, made once and shared by all nodes.
    create table server_secrets (
      name       text primary key,
      sealed     bytea not null,
      created_at timestamptz not null default now()
    );

    create table signing_keys (
      kid          text primary key,
      alg          text not null,
      state        text not null check (state in ('next', 'active', 'retiring')),
      public_jwk   jsonb not null,
      sealed       bytea not null,
      created_at   timestamptz not null default now(),
      activated_at timestamptz,
      retired_at   timestamptz
    );
    create unique index signing_keys_active on signing_keys (alg) where state = 'active';
    create unique index signing_keys_next on signing_keys (alg) where state = 'next';

    -- Our own one-time links and codes.
    create table one_time_secrets (
      id_hash     bytea primary key,
      purpose     text not null,
      account_id  text,
      consumed_at timestamptz,
      expires_at  timestamptz not null,
      created_at  timestamptz not null default now()
    );
    create index one_time_secrets_expiry on one_time_secrets (expires_at);

    create table audit_events (
      id          bigint generated always as identity primary key,
      occurred_at timestamptz not null default clock_timestamp(),
      kind        text not null,
      actor_id    text,
      account_id  text,
      client_id   text,
      ip          text,
      request_id  text,
      detail      jsonb not null default '{}'
    );
    create index audit_events_account on audit_events (account_id, id);

    -- Raised by every change of client metadata, APIs, scopes and settings, so that every node drops what it cached.
    create table config_version (
      only_row boolean primary key default true check (only_row),
      version  bigint not null default 1
    );
    insert into config_version default values;

    -- Who does a background job now. No advisory locks: poolers and some PostgreSQL-compatible engines lack them.
    create table leases (
      name       text primary key,
      holder     text not null,
      expires_at timestamptz not null
    );
  `,
};
