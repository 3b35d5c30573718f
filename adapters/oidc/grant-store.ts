/** The engine's Grant: one per session and client. An ended grant is never found and never revived. */
import type { Adapter, AdapterPayload } from 'oidc-provider';
import { errors } from 'oidc-provider';
import {
  endExpiredSessionGrant,
  findGrant,
  findSessionGrant,
  insertGrant,
  type StoredGrant,
  updateGrant,
} from '../../db/grants.ts';
import { connectionOf, currentUnit, writeConnectionOf } from '../../db/unit-of-work.ts';
import type { AdapterDeps } from './adapter.ts';
import { sessionUidHash } from './session-store.ts';

const LONG_AGO = 1;
const GENERATIONS = Symbol('generations of the grants of this request');

export class GrantStore implements Adapter {
  readonly #deps: AdapterDeps;

  constructor(deps: AdapterDeps) {
    this.#deps = deps;
  }

  async upsert(id: string, payload: AdapterPayload, expiresIn: number): Promise<void> {
    const db = await writeConnectionOf(this.#deps.db);
    const sealed = this.#seal(id, payload);
    if (await updateGrant(db, id, this.#deps.keyring.activeKeyId, sealed, expiresIn)) return;
    if (await this.#insert(id, payload, sealed, undefined, expiresIn)) return;
    throw new errors.InvalidGrant('the grant was ended');
  }

  /**
   * Opens the grant of a session and client, unless another tab was first.
   *
   * @returns the id of the grant that the session has now
   */
  async open(id: string, payload: AdapterPayload, sessionUid: string, expiresIn: number): Promise<string> {
    const sealed = this.#seal(id, payload);
    if (await this.#insert(id, payload, sealed, sessionUid, expiresIn)) return id;
    const clientId = String(payload.clientId);
    const winner = await this.findOfSession(sessionUid, clientId);
    if (winner?.jti) return winner.jti;
    await endExpiredSessionGrant(
      await writeConnectionOf(this.#deps.db),
      sessionUidHash(sessionUid),
      clientId,
    );
    if (await this.#insert(id, payload, sealed, sessionUid, expiresIn)) return id;
    throw new errors.InvalidGrant('the grant was ended');
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    // A text column refuses the NUL character with an error; no id of ours has one.
    if (id.includes('\0')) return undefined;
    const row = await findGrant(connectionOf(this.#deps.db), id);
    return row && this.#open(row);
  }

  /** The live grant of a session and client. */
  async findOfSession(sessionUid: string, clientId: string): Promise<AdapterPayload | undefined> {
    const row = await findSessionGrant(connectionOf(this.#deps.db), sessionUidHash(sessionUid), clientId);
    return row && this.#open(row);
  }

  async destroy(id: string): Promise<void> {
    if (id.includes('\0')) return;
    await this.#deps.grants.endGrant(await writeConnectionOf(this.#deps.db), id, 'revoked');
  }

  /** Generation of a grant that this request has read; part of the revocation handle of its JWTs. */
  generationOf(grantId: string): number {
    return generations()?.get(grantId) ?? 1;
  }

  async findByUserCode(): Promise<undefined> {}

  async findByUid(): Promise<undefined> {}

  async consume(): Promise<void> {}

  async revokeByGrantId(): Promise<void> {}

  async #insert(
    id: string,
    payload: AdapterPayload,
    sealed: Buffer,
    sessionUid: string | undefined,
    expiresInSeconds: number,
  ): Promise<boolean> {
    return insertGrant(await writeConnectionOf(this.#deps.db), {
      id,
      subject: String(payload.accountId),
      clientId: String(payload.clientId),
      sessionUidHash: sessionUid === undefined ? null : sessionUidHash(sessionUid),
      keyId: this.#deps.keyring.activeKeyId,
      payload: sealed,
      expiresInSeconds,
    });
  }

  #seal(id: string, payload: AdapterPayload): Buffer {
    return this.#deps.keyring.seal('payload', `grants.payload|${id}`, JSON.stringify(payload));
  }

  #open(row: StoredGrant): AdapterPayload {
    const sealed = this.#deps.keyring.open('payload', `grants.payload|${row.id}`, row.payload);
    const payload = JSON.parse(sealed.toString()) as AdapterPayload;
    payload.jti = row.id;
    if (row.expired) payload.exp = LONG_AGO;
    generations()?.set(row.id, row.generation);
    return payload;
  }
}

function generations(): Map<string, number> | undefined {
  const notes = currentUnit()?.notes;
  if (!notes) return undefined;
  const known = notes.get(GENERATIONS) as Map<string, number> | undefined;
  if (known) return known;
  const created = new Map<string, number>();
  notes.set(GENERATIONS, created);
  return created;
}
