/** Hashes of ids and secrets. Plain SHA-256 fits values of 128 random bits and more; anything shorter needs a key. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** Primary key of a row that is found by a secret value; `scope` keeps equal values of two tables apart. */
export function idHash(scope: string, id: string): Buffer {
  return createHash('sha256').update(scope).update('\0').update(id).digest();
}

/** HMAC-SHA-256 of parts that cannot run into each other. */
export function keyedHash(key: Buffer, ...parts: readonly string[]): Buffer {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(`${Buffer.byteLength(part)}:${part}`);
  return mac.digest();
}

/** Equality that takes the same time wherever the difference is. */
export function sameBytes(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
