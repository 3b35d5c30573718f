/** Who signs in: accounts, the identifiers that find them, their passwords and the roles they hold. */
export const migration = {
  name: '0001-people',
  sql: `
    create table accounts (
      id         text primary key,
      -- The OIDC "sub". A column of its own: an import keeps the old value. Never reused.
      subject    text not null unique,
      status     text not null default 'active' check (status in ('active', 'suspended', 'deleting')),
      name       text not null,
      locale     text,
      zone       text,
      -- Further standard claims (OpenID Connect Core 5.1), by their names.
      profile    jsonb not null default '{}',
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    );

    create table identifiers (
      account_id  text not null references accounts (id) on delete cascade,
      kind        text not null check (kind in ('username', 'email', 'phone')),
      value       text not null,
      -- NFKC, case-folded. One space over all kinds, or an e-mail address could be taken as a username.
      normalised  text not null,
      verified_at timestamptz,
      created_at  timestamptz not null default now(),
      primary key (account_id, kind, normalised)
    );
    create unique index identifiers_resolve on identifiers (normalised)
      where kind = 'username' or verified_at is not null;

    create table passwords (
      account_id text primary key references accounts (id) on delete cascade,
      hash       text not null,
      changed_at timestamptz not null default now()
    );

    create table roles (
      name       text primary key,
      titles     jsonb not null,
      created_at timestamptz not null default now()
    );

    create table account_roles (
      account_id text not null references accounts (id) on delete cascade,
      role       text not null references roles (name) on delete cascade,
      granted_at timestamptz not null default now(),
      primary key (account_id, role)
    );

    insert into roles (name, titles) values
      ('user',     '{"en": "User", "zh-CN": "用户"}'),
      ('vip',      '{"en": "VIP", "zh-CN": "贵宾"}'),
      ('admin',    '{"en": "Administrator", "zh-CN": "管理员"}'),
      -- Operates this server; the other three are roles of the business.
      ('operator', '{"en": "Operator", "zh-CN": "运维人员"}');
  `,
};
