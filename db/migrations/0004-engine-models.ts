/**
 * One table for each of the engine's other models, all with the same columns: real columns and real uniqueness, never a
 * look-up inside JSON. The id is a SHA-256, the payload is sealed and bound to its row.
 */
export const modelTables = [
  'access_tokens',
  'authorization_codes',
  'refresh_tokens',
  'client_credentials',
  'device_codes',
  'interactions',
  'pushed_authorization_requests',
  'backchannel_authentication_requests',
  'initial_access_tokens',
  'registration_access_tokens',
] as const;

function modelTable(name: string): string {
  return `
    create table ${name} (
      id_hash        bytea primary key,
      payload        bytea not null,
      key_id         integer not null,
      grant_id       text,
      subject        text,
      client_id      text,
      uid_hash       bytea,
      user_code_hash bytea,
      consumed_at    timestamptz,
      expires_at     timestamptz,
      created_at     timestamptz not null default now()
    );
    create index ${name}_expiry on ${name} (expires_at);
  `;
}

export const migration = {
  name: '0004-engine-models',
  sql: `
    ${modelTables.map(modelTable).join('')}

    create unique index device_codes_user_code on device_codes (user_code_hash);

    -- A retry of a rotating refresh token gets the same successor again. The successor's value is sealed under a key that only the
    -- predecessor's plaintext gives, so nothing at rest opens it.
    alter table refresh_tokens
      add column successor_hash bytea,
      add column successor      bytea;

    -- "jti" of client assertions and DPoP proofs, used once (RFC 7523 section 3, RFC 9449 section 11.1).
    create table replay_detections (
      id_hash    bytea primary key,
      expires_at timestamptz not null
    );
    create index replay_detections_expiry on replay_detections (expires_at);
  `,
};
