/**
 * Refresh tokens, with idempotent rotation: consuming the predecessor and writing the successor are one commit, and a retry of
 * the same request within the grace gets the same successor again, never a fork (RFC 9700 section 4.14.2).
 */
import { createHmac } from 'node:crypto';
import type { AdapterPayload } from 'oidc-provider';
import { errors } from 'oidc-provider';
import { consumeModel, findRefreshToken, linkSuccessor, type StoredRefreshToken } from '../../db/models.ts';
import { connectionOf, currentUnit, writeConnectionOf } from '../../db/unit-of-work.ts';
import { isWellFormed, newSecret } from '../../server/keys/identifiers.ts';
import { decrypt, encrypt } from '../../server/keys/key-encryption.ts';
import type { AdapterDeps } from './adapter.ts';
import { ModelStore } from './model-store.ts';

const ROTATION = Symbol('rotation of this request');

interface Rotation {
  predecessor: string;
  successor: string;
  /** The successor is there already: this request is a retry. */
  replayed: boolean;
}

export class RefreshTokenStore extends ModelStore {
  constructor(deps: AdapterDeps) {
    super(deps, 'RefreshToken');
  }

  override async find(id: string): Promise<AdapterPayload | undefined> {
    if (!isWellFormed('refreshToken', id)) return undefined;
    const hash = this.hash(id);
    const row = await findRefreshToken(connectionOf(this.deps.db), hash, this.deps.refreshGraceSeconds);
    if (!row) return undefined;
    const replay = this.#replayOf(id, row);
    // The successor was used, so the first answer arrived: this is a late retry. Refused, and nothing is ended.
    if (replay === 'late') return undefined;
    if (replay) setRotation(replay);
    return this.open(hash, id, replay ? { ...row, consumed_at: null } : row);
  }

  override async consume(id: string): Promise<void> {
    if (rotationOfRequest()?.replayed) return;
    const hash = this.hash(id);
    const db = await writeConnectionOf(this.deps.db);
    if (await consumeModel(db, this.table, hash)) {
      setRotation({ predecessor: id, successor: newSecret('refreshToken'), replayed: false });
      return;
    }
    // Lost a race against the same request on another connection: its commit is visible now.
    const row = await findRefreshToken(db, hash, this.deps.refreshGraceSeconds);
    const replay = row && this.#replayOf(id, row);
    if (!replay || replay === 'late') throw new errors.InvalidGrant('refresh token already used');
    setRotation(replay);
  }

  override async upsert(id: string, payload: AdapterPayload, expiresIn: number): Promise<void> {
    const rotation = rotationOfRequest();
    if (rotation?.successor !== id) return super.upsert(id, payload, expiresIn);
    if (rotation.replayed) return;
    await super.upsert(id, payload, expiresIn);
    const { predecessor } = rotation;
    const sealed = encrypt(successorKey(predecessor), 'refresh_tokens.successor', Buffer.from(id));
    const db = await writeConnectionOf(this.deps.db);
    await linkSuccessor(db, this.hash(predecessor), this.hash(id), sealed);
  }

  /** The value that the next refresh token of this request must have, when it is a successor. */
  successorOfRequest(): string | undefined {
    return rotationOfRequest()?.successor;
  }

  #replayOf(id: string, row: StoredRefreshToken): Rotation | 'late' | undefined {
    if (!row.consumed_at || !row.in_grace || row.expired || !row.successor) return undefined;
    if (row.successor_consumed) return 'late';
    const successor = decrypt(successorKey(id), 'refresh_tokens.successor', row.successor).toString();
    return { predecessor: id, successor, replayed: true };
  }
}

function rotationOfRequest(): Rotation | undefined {
  return currentUnit()?.notes.get(ROTATION) as Rotation | undefined;
}

function setRotation(rotation: Rotation): void {
  currentUnit()?.notes.set(ROTATION, rotation);
}

/** Only who presents the predecessor can make this key; the row holds no more than its hash. */
function successorKey(predecessor: string): Buffer {
  return createHmac('sha256', predecessor).update('gatehouse/refresh-successor').digest();
}
