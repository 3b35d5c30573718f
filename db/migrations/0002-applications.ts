/** Registered applications and their credentials; protected APIs, their scopes, and who may have which. */
export const migration = {
  name: '0002-applications',
  sql: `
    create table clients (
      id               text primary key,
      kind             text not null check (kind in ('web', 'spa', 'native', 'device', 'machine', 'api')),
      owner_id         text references accounts (id),
      first_party      boolean not null default false,
      -- RFC 7591 names, byte-stable (no dates in it): the engine caches compiled clients by its hash.
      metadata         jsonb not null,
      metadata_version integer not null default 1,
      -- Raised to end every token of the client at once.
      generation       integer not null default 1,
      status           text not null default 'active' check (status in ('active', 'disabled')),
      -- Kept and served here: pages load images from nowhere else.
      logo             bytea,
      logo_type        text,
      logo_hash        text,
      created_at       timestamptz not null default now()
    );

    create table client_members (
      client_id  text not null references clients (id) on delete cascade,
      account_id text not null references accounts (id) on delete cascade,
      added_at   timestamptz not null default now(),
      primary key (client_id, account_id)
    );

    create table client_secrets (
      id           text primary key,
      client_id    text not null references clients (id) on delete cascade,
      name         text not null,
      -- SHA-256 of a 256-bit random secret; slow hashes would make /token a lever for denial of service.
      secret_hash  bytea not null,
      created_at   timestamptz not null default now(),
      last_used_at timestamptz,
      expires_at   timestamptz
    );
    create index client_secrets_client on client_secrets (client_id);

    create table apis (
      id           text primary key,
      -- The resource indicator (RFC 8707) and the "aud" of its tokens.
      identifier   text not null unique,
      title        text not null,
      token_format text not null default 'jwt' check (token_format in ('jwt', 'opaque')),
      ttl_seconds  integer not null check (ttl_seconds between 10 and 86400),
      created_at   timestamptz not null default now()
    );

    create table scopes (
      api_id     text not null references apis (id) on delete cascade,
      name       text not null,
      titles     jsonb not null,
      -- Only carried by tokens of those who hold it through a role.
      restricted boolean not null default false,
      primary key (api_id, name)
    );

    create table role_scopes (
      role   text not null references roles (name) on delete cascade,
      api_id text not null,
      scope  text not null,
      primary key (role, api_id, scope),
      foreign key (api_id, scope) references scopes (api_id, name) on delete cascade
    );

    create table client_roles (
      client_id text not null references clients (id) on delete cascade,
      role      text not null references roles (name) on delete cascade,
      primary key (client_id, role)
    );

    -- An API's own credential (a client of kind "api") introspects the tokens of that API and nothing else.
    create table api_clients (
      client_id text primary key references clients (id) on delete cascade,
      api_id    text not null references apis (id) on delete cascade
    );
  `,
};
