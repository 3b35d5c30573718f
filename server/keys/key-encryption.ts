/**
 * Keys: what seals data at rest and what signs tokens.
 *
 * Owns: the key-encryption key, the data keys under it, sealing, hashing of ids and secrets, the server's own secrets and the
 * signing keys. Refuses: passwords (server/credentials) and any key material in a log or an error.
 *
 * This file: the key-encryption key. It comes from the operator or from a file made on the first start; it is never in the
 * database, so a dump alone opens nothing.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { chmodSync, existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The keys do not fit the database, or cannot be read. The server refuses to start; it never makes a new key silently. */
export class KeyError extends Error {
  override readonly name = 'KeyError';
}

/**
 * Reads the key file of a data folder, making it (0600) when there is none.
 *
 * @param mayCreate false when the database has data already: a new key would not open it, and would hide that the old one is lost
 * @throws {KeyError} when the file is missing and may not be made, cannot be written, or holds no key
 */
export function loadKeyFile(dataDir: string, mayCreate = true): Buffer {
  const path = join(dataDir, 'encryption.key');
  if (!existsSync(path)) {
    if (!mayCreate) {
      throw new KeyError(
        `The key file ${path} is missing, and the database was made with one. Restore it from your backup, or give ENCRYPTION_KEY.`,
      );
    }
    createKeyFile(dataDir, path);
  }
  chmodSync(path, 0o600);
  const key = Buffer.from(readFileSync(path, 'utf8').trim(), 'base64url');
  if (key.length !== 32) {
    throw new KeyError(
      `The key file ${path} does not hold 32 bytes in base64url. Restore it from your backup.`,
    );
  }
  return key;
}

/** Written whole and then linked under its name: two processes that start at once end on the same key, and none reads half of one. */
function createKeyFile(dataDir: string, path: string): void {
  const draft = `${path}.${randomBytes(4).toString('hex')}`;
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    writeFileSync(draft, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600, flush: true });
    try {
      linkSync(draft, path);
    } finally {
      rmSync(draft);
    }
  } catch (error) {
    // Another process was first: its key is the one.
    if ((error as NodeJS.ErrnoException).code === 'EEXIST' && existsSync(path)) return;
    throw new KeyError(`The key file ${path} cannot be written: ${(error as Error).message}.`, {
      cause: error,
    });
  }
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** AES-256-GCM: nonce, tag, ciphertext. `aad` binds the result to where it is stored. */
export function encrypt(key: Buffer, aad: string, plaintext: Buffer): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(aad));
  const body = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), body]);
}

/** The inverse of {@link encrypt}; throws when the key, the place or a bit differs. */
export function decrypt(key: Buffer, aad: string, sealed: Buffer): Buffer {
  const nonce = sealed.subarray(0, NONCE_BYTES);
  const tag = sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
    .setAAD(Buffer.from(aad))
    .setAuthTag(tag);
  return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
}
