/**
 * Browser sessions, what people consented to, and the grants made from it.
 *
 * Ended sessions and grants stay as tombstones until they would have expired: a request that loaded one before it ended
 * must find it ended when it saves. Tables of the hot path are keyed by a hash and have no foreign keys between them.
 */
export const migration = {
  name: '0003-sessions-and-grants',
  sql: `
    create table sessions (
      uid_hash        bytea primary key,
      -- The engine's account id is the subject (accounts.subject).
      subject         text,
      auth_time       timestamptz,
      idle_expires_at timestamptz not null,
      -- Absolute end, counted from the sign-in.
      expires_at      timestamptz not null,
      ended_at        timestamptz,
      end_reason      text,
      key_id          integer not null,
      payload         bytea not null,
      created_at      timestamptz not null default now()
    );
    create index sessions_subject on sessions (subject) where ended_at is null and subject is not null;
    create index sessions_expiry on sessions (least(expires_at, idle_expires_at));

    create table session_ids (
      id_hash    bytea primary key,
      uid_hash   bytea not null,
      -- From this moment the id is no longer accepted.
      retired_at timestamptz,
      created_at timestamptz not null default now()
    );
    create index session_ids_uid on session_ids (uid_hash);

    create table session_clients (
      uid_hash        bytea not null,
      client_id       text not null,
      sid             text,
      grant_id        text,
      persists_logout boolean not null default false,
      primary key (uid_hash, client_id)
    );

    create table consents (
      account_id     text not null references accounts (id) on delete cascade,
      client_id      text not null references clients (id) on delete cascade,
      -- '' stands for OpenID scopes, which belong to no API.
      api_id         text not null default '',
      granted_scopes text[] not null default '{}',
      refused_scopes text[] not null default '{}',
      granted_claims text[] not null default '{}',
      refused_claims text[] not null default '{}',
      decided_at     timestamptz not null default now(),
      primary key (account_id, client_id, api_id)
    );

    create table grants (
      id               text primary key,
      subject          text not null,
      client_id        text not null,
      session_uid_hash bytea,
      -- A grant with offline_access lives on without its session.
      persists_logout  boolean not null default false,
      -- Raised when a role is lost: the old handle is revoked, a refresh gives a good token at once.
      generation       integer not null default 1,
      expires_at       timestamptz not null,
      ended_at         timestamptz,
      end_reason       text,
      key_id           integer not null,
      payload          bytea not null,
      created_at       timestamptz not null default now()
    );
    -- Two tabs of one client end on the same grant.
    create unique index grants_live on grants (session_uid_hash, client_id) where ended_at is null;
    create index grants_subject on grants (subject, client_id) where ended_at is null;
    create index grants_client on grants (client_id) where ended_at is null;
    create index grants_expiry on grants (expires_at);

    -- "jti" values and handles of JWT access tokens that are refused before they expire.
    create table revoked_handles (
      handle     bytea primary key,
      expires_at timestamptz not null
    );
    create index revoked_handles_expiry on revoked_handles (expires_at);
  `,
};
