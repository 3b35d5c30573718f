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
  const missing = await findMissing(db, 'active');
  // The partial unique index decides when two nodes start at once; the loser's key is never used.
  for (const alg of missing) await insertKey(db, await newSigningKey(alg, keyring), 'active');
  return missing;
}

/** How long keys live in each state, in seconds. */
export interface KeyPlan {
  /** Others may cache the JWKS this long, so a next key is not used sooner after it was published. */
  cacheSeconds: number;
  rotateAfterSeconds: number;
  /** A retiring key stays published this long: the longest life of a token or session that needs it. */
  keepSeconds: number;
}

/**
 * Brings the keys where the plan wants them: next -> active -> retiring -> gone, one next key always published.
 *
 * @returns whether anything changed; then every node loads the keys anew
 */
export async function tendSigningKeys(db: Knex, keyring: Keyring, plan: KeyPlan): Promise<boolean> {
  const published = await publishNextKeys(db, keyring);
  const due = await rotateDueKeys(db, keyring, plan, plan.rotateAfterSeconds);
  const removed = await db('signing_keys')
    .where({ state: 'retiring' })
    .andWhereRaw(`retired_at < now() - ?::float8 * interval '1 second'`, [plan.keepSeconds])
    .delete();
  if (removed > 0) await db('config_version').increment('version', 1);
  return published || due.length > 0 || removed > 0;
}

/**
 * Makes every next key active now, as far as it has been published long enough.
 *
 * @returns the algorithms that were rotated; for the others, try again after the cache time
 */
export async function rotateSigningKeys(
  db: Knex,
  keyring: Keyring,
  plan: KeyPlan,
): Promise<SigningAlgorithm[]> {
  await publishNextKeys(db, keyring);
  return rotateDueKeys(db, keyring, plan, 0);
}

async function publishNextKeys(db: Knex, keyring: Keyring): Promise<boolean> {
  const missing = await findMissing(db, 'next');
  if (missing.length === 0) return false;
  const rows = await Promise.all(missing.map((alg) => newSigningKey(alg, keyring)));
  await db.transaction(async (trx) => {
    for (const row of rows) await insertKey(trx, row, 'next');
    await trx('config_version').increment('version', 1);
  });
  return true;
}

async function rotateDueKeys(
  db: Knex,
  keyring: Keyring,
  { cacheSeconds }: KeyPlan,
  olderThanSeconds: number,
): Promise<SigningAlgorithm[]> {
  const rotated: SigningAlgorithm[] = [];
  for (const alg of signingAlgorithms) {
    if (!(await isDue(db, alg, cacheSeconds, olderThanSeconds))) continue;
    // Made before the transaction: an RSA key takes a tenth of a second.
    const successor = await newSigningKey(alg, keyring);
    if (await promote(db, alg, cacheSeconds, successor)) rotated.push(alg);
  }
  return rotated;
}

async function isDue(
  db: Knex,
  alg: string,
  cacheSeconds: number,
  olderThanSeconds: number,
): Promise<boolean> {
  const { rows } = await db.raw<{ rows: unknown[] }>(
    `select 1 from signing_keys a join signing_keys n on n.alg = a.alg and n.state = 'next'
     where a.alg = ? and a.state = 'active'
       and a.activated_at <= now() - ?::float8 * interval '1 second'
       and n.created_at <= now() - ?::float8 * interval '1 second'`,
    [alg, olderThanSeconds, cacheSeconds],
  );
  return rows.length > 0;
}

/** One transaction; of two nodes that rotate at once, the second finds a next key that is too young. */
function promote(db: Knex, alg: string, cacheSeconds: number, successor: NewKey): Promise<boolean> {
  return db.transaction(async (trx) => {
    const retired = await trx.raw(
      `update signing_keys a set state = 'retiring', retired_at = now()
       where a.alg = ? and a.state = 'active' and exists (
         select 1 from signing_keys n
         where n.alg = a.alg and n.state = 'next' and n.created_at <= now() - ?::float8 * interval '1 second')
       returning a.kid`,
      [alg, cacheSeconds],
    );
    if (retired.rows.length === 0) return false;
    await trx.raw(
      `update signing_keys set state = 'active', activated_at = now() where alg = ? and state = 'next'`,
      [alg],
    );
    await insertKey(trx, successor, 'next');
    await trx('config_version').increment('version', 1);
    return true;
  });
}

async function findMissing(db: Knex, state: 'active' | 'next'): Promise<SigningAlgorithm[]> {
  const present = new Set(await db('signing_keys').where({ state }).pluck('alg'));
  return signingAlgorithms.filter((alg) => !present.has(alg));
}

interface NewKey {
  kid: string;
  alg: string;
  public_jwk: JWK;
  sealed: Buffer;
}

async function insertKey(db: Knex, key: NewKey, state: 'active' | 'next'): Promise<void> {
  await db.raw(
    `insert into signing_keys (kid, alg, state, public_jwk, sealed, activated_at)
     values (?, ?, ?, ?, ?, case when ? = 'active' then now() end) on conflict do nothing`,
    [key.kid, key.alg, state, JSON.stringify(key.public_jwk), key.sealed, state],
  );
}

async function newSigningKey(alg: SigningAlgorithm, keyring: Keyring): Promise<NewKey> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true, modulusLength: 2048 });
  const jwk = await exportJWK(privateKey);
  const kid = (await calculateJwkThumbprint(jwk)).slice(0, 16);
  const { d, p, q, dp, dq, qi, ...open } = jwk;
  const secret = { d, p, q, dp, dq, qi };
  return {
    kid,
    alg,
    public_jwk: { ...open, kid, alg, use: 'sig' },
    sealed: keyring.seal('signing-key', place(kid), JSON.stringify(secret)),
  };
}

function place(kid: string): string {
  return `signing_keys.sealed|${kid}`;
}
