/** The data keys: random, wrapped by the key-encryption key, one of them active. Everything sealed names the key it needs. */
import { hkdfSync, randomBytes } from 'node:crypto';
import type { Knex } from 'knex';
import { decrypt, encrypt, KeyError } from './key-encryption.ts';

/** What is sealed; each has a key of its own, so that a value cannot be moved from one use to another. */
export type SealPurpose = 'payload' | 'server-secret' | 'signing-key' | 'credential';

export interface Keyring {
  /** Id of the key that {@link seal} uses now. */
  readonly activeKeyId: number;
  /** Seals for one row; `place` names table, column and row, and must be given again to open. */
  seal(purpose: SealPurpose, place: string, plaintext: Buffer | string): Buffer;
  /** @throws {Error} when the value was changed, moved to another row or sealed under a key that is gone */
  open(purpose: SealPurpose, place: string, sealed: Buffer): Buffer;
}

/** Gives the key-encryption key; `isNew` says whether the database holds nothing that another key has sealed. */
export type KeySource = (isNew: boolean) => Buffer;

const FORMAT = 1;
const HEADER_BYTES = 5;

/**
 * Opens the keyring of a database, making the first data key on an empty one.
 *
 * @throws {KeyError} when the key-encryption key is not the one that this database was made with
 */
export async function openKeyring(db: Knex, key: Buffer | KeySource): Promise<Keyring> {
  const isNew = (await db('data_keys').first('id')) === undefined;
  const keyEncryptionKey = typeof key === 'function' ? key(isNew) : key;
  await db('data_keys')
    .insert({ id: 1, wrapped: wrap(keyEncryptionKey, 1, randomBytes(32)), state: 'active' })
    .onConflict('id')
    .ignore();
  const rows = await db('data_keys').select('id', 'wrapped', 'state').orderBy('id');
  const keys = new Map(rows.map((row) => [row.id, unwrap(keyEncryptionKey, row.id, row.wrapped)]));
  const active = rows.findLast((row) => row.state === 'active');
  if (!active) throw new KeyError('The database has no active data key. Restore it from a backup.');
  return createKeyring(keys, active.id);
}

/** A keyring over unwrapped keys; tests build one without a database. */
export function createKeyring(keys: ReadonlyMap<number, Buffer>, activeKeyId: number): Keyring {
  const derived = new Map<string, Buffer>();

  function keyFor(keyId: number, purpose: SealPurpose): Buffer {
    const name = `${keyId}:${purpose}`;
    const known = derived.get(name);
    if (known) return known;
    const master = keys.get(keyId);
    if (!master) throw new KeyError(`Data key ${keyId} is not in this database.`);
    const key = Buffer.from(hkdfSync('sha256', master, '', `gatehouse/${purpose}`, 32));
    derived.set(name, key);
    return key;
  }

  return {
    activeKeyId,
    seal(purpose, place, plaintext) {
      const header = Buffer.alloc(HEADER_BYTES);
      header.writeUInt8(FORMAT, 0);
      header.writeUInt32BE(activeKeyId, 1);
      const body = encrypt(
        keyFor(activeKeyId, purpose),
        `${place}|${activeKeyId}`,
        typeof plaintext === 'string' ? Buffer.from(plaintext) : plaintext,
      );
      return Buffer.concat([header, body]);
    },
    open(purpose, place, sealed) {
      if (sealed.length < HEADER_BYTES || sealed.readUInt8(0) !== FORMAT) {
        throw new KeyError('A sealed value has an unknown format.');
      }
      const keyId = sealed.readUInt32BE(1);
      return decrypt(keyFor(keyId, purpose), `${place}|${keyId}`, sealed.subarray(HEADER_BYTES));
    },
  };
}

function wrap(keyEncryptionKey: Buffer, id: number, key: Buffer): Buffer {
  return encrypt(keyEncryptionKey, `data_keys.wrapped|${id}`, key);
}

function unwrap(keyEncryptionKey: Buffer, id: number, wrapped: Buffer): Buffer {
  try {
    return decrypt(keyEncryptionKey, `data_keys.wrapped|${id}`, wrapped);
  } catch (error) {
    throw new KeyError(
      'The encryption key is not the one that this database was made with. Give the right ENCRYPTION_KEY (or restore encryption.key from your backup); without it the data cannot be opened.',
      { cause: error },
    );
  }
}
