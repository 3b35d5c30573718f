/**
 * Ids and secrets that say what they are: a prefix, random characters and, for secrets, a checksum, so that scanners find leaked
 * ones and a damaged one is refused before any look-up.
 */
import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** Prefixes of the secrets that leave the server. */
export const secretPrefixes = {
  accessToken: 'gat_',
  clientCredentials: 'gct_',
  refreshToken: 'grt_',
  authorizationCode: 'gac_',
  clientSecret: 'gcs_',
  setupKey: 'gsk_',
} as const;

export type SecretKind = keyof typeof secretPrefixes;

const CHECKSUM_CHARACTERS = 6;

/** A readable prefix and 128 random bits; never reused, never time-ordered. */
export function newId<Prefix extends string>(prefix: Prefix): `${Prefix}_${string}` {
  return `${prefix}_${randomBytes(16).toString('base64url')}`;
}

/** A secret of 256 random bits, with prefix and checksum. */
export function newSecret(kind: SecretKind): string {
  const body = `${secretPrefixes[kind]}${randomBytes(32).toString('base64url')}`;
  return body + checksum(body);
}

/** Whether a value has the form of a secret of this kind: says nothing about its validity. */
export function isWellFormed(kind: SecretKind, value: string): boolean {
  if (!value.startsWith(secretPrefixes[kind])) return false;
  const body = value.slice(0, -CHECKSUM_CHARACTERS);
  return checksum(body) === value.slice(-CHECKSUM_CHARACTERS);
}

function checksum(body: string): string {
  return crc32(body).toString(36).padStart(7, '0').slice(-CHECKSUM_CHARACTERS);
}
