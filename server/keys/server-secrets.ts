/** The server's own secrets, made once as sealed rows and shared by all nodes. */
import { randomBytes } from 'node:crypto';
import type { Knex } from 'knex';
import type { Keyring } from './keyring.ts';

export interface ServerSecrets {
  /** Sign cookies; the first signs, all verify. */
  cookieKeys: readonly string[];
  /** 32 bytes behind DPoP nonces (RFC 9449 section 8). */
  dpopNonceSecret: Buffer;
  /** Makes pairwise subject identifiers (OpenID Connect Core 8.1). Changing it would give every person a new "sub". */
  pairwiseSalt: Buffer;
  /** Keys of throttling counters. */
  rateKey: Buffer;
  csrfKey: Buffer;
  /** Makes the opaque revocation handles that JWT access tokens carry. */
  revocationKey: Buffer;
  /** Hashes low-entropy codes, such as the user code of a device. */
  codeKey: Buffer;
}

const names = {
  cookieKeys: 'cookie_key',
  dpopNonceSecret: 'dpop_nonce_secret',
  pairwiseSalt: 'pairwise_salt',
  rateKey: 'rate_key',
  csrfKey: 'csrf_key',
  revocationKey: 'revocation_key',
  codeKey: 'code_key',
} as const satisfies Record<keyof ServerSecrets, string>;

/** Reads the secrets, making those that are missing; nodes that start at once end on the same ones. */
export async function loadServerSecrets(db: Knex, keyring: Keyring): Promise<ServerSecrets> {
  const place = (name: string) => `server_secrets.sealed|${name}`;
  const candidates = Object.values(names).map((name) => ({
    name,
    sealed: keyring.seal('server-secret', place(name), randomBytes(32)),
  }));
  await db('server_secrets').insert(candidates).onConflict('name').ignore();
  const rows = await db('server_secrets').select('name', 'sealed');
  const opened = new Map(
    rows.map(({ name, sealed }) => [name, keyring.open('server-secret', place(name), sealed)]),
  );
  const get = (name: string): Buffer => {
    const value = opened.get(name);
    if (!value) throw new Error(`server secret ${name} is missing`);
    return value;
  };
  return {
    cookieKeys: [get(names.cookieKeys).toString('base64url')],
    dpopNonceSecret: get(names.dpopNonceSecret),
    pairwiseSalt: get(names.pairwiseSalt),
    rateKey: get(names.rateKey),
    csrfKey: get(names.csrfKey),
    revocationKey: get(names.revocationKey),
    codeKey: get(names.codeKey),
  };
}
