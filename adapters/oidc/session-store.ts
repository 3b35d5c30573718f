/**
 * Browser sessions. The engine loads one whole and saves it whole; here it is merged, client by client, into rows, and a session
 * that was ended meanwhile refuses the save.
 */
import type { Adapter, AdapterPayload } from 'oidc-provider';
import {
  endSessionById,
  findSessionById,
  findSessionByUid,
  type SessionClient,
  SessionEnded,
  type StoredSession,
  saveSession,
} from '../../db/sessions.ts';
import { connectionOf, writeConnectionOf } from '../../db/unit-of-work.ts';
import { idHash } from '../../server/keys/hash.ts';
import type { Authorizations, SessionWrite } from '../../server/oidc/stores.ts';
import type { AdapterDeps } from './adapter.ts';

/** Another tab may still be sending the old id of a session whose person did not change. */
const ID_OVERLAP_SECONDS = 10;

export class SessionStore implements Adapter {
  readonly #deps: AdapterDeps;

  constructor(deps: AdapterDeps) {
    this.#deps = deps;
  }

  /** @throws {SessionEnded} when it was ended, or another person signed in, since it was loaded */
  async save({ id, oldId, signedIn, payload, ttlSeconds, loaded }: SessionWrite): Promise<void> {
    const { uid, accountId, loginTs, authorizations, jti, exp, ...rest } = payload;
    if (!uid) throw new Error('a session without a uid cannot be saved');
    const uidHash = sessionUidHash(uid);
    const current = (authorizations ?? {}) as Authorizations;
    const saved = await saveSession(await writeConnectionOf(this.#deps.db), {
      uidHash,
      subject: accountId ?? null,
      authTime: loginTs ?? null,
      idleSeconds: ttlSeconds,
      absoluteSeconds: this.#deps.session.absoluteSeconds,
      keyId: this.#deps.keyring.activeKeyId,
      payload: this.#deps.keyring.seal('payload', place(uidHash), JSON.stringify({ ...rest, uid, loginTs })),
      idHash: sessionIdHash(id),
      loadedAs: { subject: loaded.accountId ?? null, authTime: loaded.loginTs ?? null },
      signedIn,
      retire: oldId
        ? { idHash: sessionIdHash(oldId), afterSeconds: signedIn ? 0 : ID_OVERLAP_SECONDS }
        : null,
      changedClients: changedClients(loaded.authorizations, current),
      removedClients: Object.keys(loaded.authorizations).filter((clientId) => !current[clientId]),
    });
    if (!saved) throw new SessionEnded('the session was ended while a request was using it');
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    const row = await findSessionById(connectionOf(this.#deps.db), sessionIdHash(id));
    return row && { ...this.#open(row), jti: id };
  }

  async findByUid(uid: string): Promise<AdapterPayload | undefined> {
    const row = await findSessionByUid(connectionOf(this.#deps.db), sessionUidHash(uid));
    return row && this.#open(row);
  }

  async destroy(id: string): Promise<void> {
    const db = await writeConnectionOf(this.#deps.db);
    const uidHash = await endSessionById(db, sessionIdHash(id), 'signed_out');
    if (uidHash) await this.#deps.grants.endSessionGrants(db, uidHash, 'signed_out');
  }

  async upsert(): Promise<void> {
    throw new Error('sessions are saved through save(), which knows what changed');
  }

  async findByUserCode(): Promise<undefined> {}

  async consume(): Promise<void> {}

  async revokeByGrantId(): Promise<void> {}

  #open(row: StoredSession): AdapterPayload {
    const sealed = this.#deps.keyring.open('payload', place(row.uid_hash), row.payload);
    const payload = JSON.parse(sealed.toString()) as AdapterPayload;
    if (row.subject) payload.accountId = row.subject;
    // The engine compares it with the node's clock; how much time is left is for the database's to say.
    payload.exp = Math.floor(Date.now() / 1000) + row.seconds_left;
    if (row.clients) payload.authorizations = authorizationsOf(row.clients);
    return payload;
  }
}

export function sessionIdHash(id: string): Buffer {
  return idHash('session-id', id);
}

export function sessionUidHash(uid: string): Buffer {
  return idHash('session', uid);
}

function place(uidHash: Buffer): string {
  return `sessions.payload|${uidHash.toString('hex')}`;
}

function authorizationsOf(clients: readonly SessionClient[]): Authorizations {
  return Object.fromEntries(
    clients.map(({ client_id, sid, grant_id, persists_logout }) => [
      client_id,
      {
        ...(sid === null ? {} : { sid }),
        ...(grant_id === null ? {} : { grantId: grant_id }),
        ...(persists_logout ? { persistsLogout: true } : {}),
      },
    ]),
  );
}

function changedClients(loaded: Authorizations, current: Authorizations): SessionClient[] {
  return Object.entries(current)
    .filter(([clientId, now]) => {
      const before = loaded[clientId];
      return (
        !before ||
        before.sid !== now.sid ||
        before.grantId !== now.grantId ||
        before.persistsLogout !== now.persistsLogout
      );
    })
    .map(([clientId, { sid, grantId, persistsLogout }]) => ({
      client_id: clientId,
      sid: sid ?? null,
      grant_id: grantId ?? null,
      persists_logout: persistsLogout ?? false,
    }));
}
