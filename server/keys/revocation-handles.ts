/**
 * Handles by which a JWT access token can be refused before it expires, without a row at issue.
 *
 * They are opaque: no account, session or grant id leaves the server, and no two clients can be linked by them.
 */
import { createHash } from 'node:crypto';
import { keyedHash } from './hash.ts';

const HANDLE_BYTES = 16;

/** All tokens of one generation of a grant. */
export function grantHandle(key: Buffer, grantId: string, generation: number): Buffer {
  return keyedHash(key, 'grant', grantId, String(generation)).subarray(0, HANDLE_BYTES);
}

/** All tokens of one generation of a client. */
export function clientHandle(key: Buffer, clientId: string, generation: number): Buffer {
  return keyedHash(key, 'client', clientId, String(generation)).subarray(0, HANDLE_BYTES);
}

/** One token. */
export function tokenHandle(jti: string): Buffer {
  return createHash('sha256').update('jti\0').update(jti).digest().subarray(0, HANDLE_BYTES);
}
