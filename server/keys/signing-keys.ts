/** Keys that sign tokens. Their private halves are sealed; the first key of an algorithm is made on the first start. */
import type { Knex } from 'knex';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose';
import type { Keyring } from './keyring.ts';

/** Access tokens are signed with ES256, ID tokens with RS256 unless the client asks for ES256. */
export const signingAlgorithms = ['ES256', 'RS256'] as const;
export type SigningAlgorithm = (typeof signingAlgorithms)[number];

export interface SigningKey {
  kid: string;
  alg: string;
  state: 'next' | 'active' | 'retiring';
  /** With its private part. */
  jwk: JWK;
}

const stateOrder = { active: 0, next: 1, retiring: 2 };

/** All published keys in the order in which the engine selects: active, next, retiring. */
export async function loadSigningKeys(db: Knex, keyring: Keyring): Promise<SigningKey[]> {
  const rows = await db('signing_keys').select('kid', 'alg', 'state', 'public_jwk', 'sealed');
  return rows
    .map(({ kid, alg, state, public_jwk, sealed }) => {
      const secret = JSON.parse(keyring.open('signing-key', place(kid), sealed).toString()) as JWK;
      return { kid, alg, state, jwk: { ...(public_jwk as JWK), ...secret } };
    })
    .sort((a, b) => stateOrder[a.state] - stateOrder[b.state]);
}

/** Makes the first active key of each algorithm; returns the algorithms that were missing. */
export async function createMissingSigningKeys(db: Knex, keyring: Keyring): Promise<SigningAlgorithm[]> {
  const present = new Set(await db('signing_keys').where({ state: 'active' }).pluck('alg'));
  const missing = signingAlgorithms.filter((alg) => !present.has(alg));
  for (const alg of missing) {
    const row = await newSigningKey(alg, keyring);
    // The partial unique index decides when two nodes start at once; the loser's key is never used.
    await db.raw(
      `insert into signing_keys (kid, alg, state, public_jwk, sealed, activated_at)
       values (?, ?, 'active', ?, ?, now()) on conflict do nothing`,
      [row.kid, alg, JSON.stringify(row.public_jwk), row.sealed],
    );
  }
  return missing;
}

async function newSigningKey(alg: SigningAlgorithm, keyring: Keyring) {
  const { privateKey } = await generateKeyPair(alg, { extractable: true, modulusLength: 2048 });
  const jwk = await exportJWK(privateKey);
  const kid = (await calculateJwkThumbprint(jwk)).slice(0, 16);
  const { d, p, q, dp, dq, qi, ...open } = jwk;
  const secret = { d, p, q, dp, dq, qi };
  return {
    kid,
    public_jwk: { ...open, kid, alg, use: 'sig' },
    sealed: keyring.seal('signing-key', place(kid), JSON.stringify(secret)),
  };
}

function place(kid: string): string {
  return `signing_keys.sealed|${kid}`;
}
