/**
 * What people consented to, the grants made from it, and their end.
 *
 * Owns: consents, the end of grants, the revoked set. Refuses: rendering, and the engine's view of a grant (server/oidc).
 *
 * This file: a grant ends together with the JWTs that carry its handle, in the transaction of the change that ends it.
 */
import type { Knex } from 'knex';
import {
  addRevokedHandles,
  type EndedGrant,
  endClientGrants,
  endGrant,
  endSessionGrants,
  endSubjectGrants,
} from '../../db/grants.ts';
import { MAX_JWT_SECONDS } from '../config.ts';
import { clientHandle, grantHandle } from '../keys/revocation-handles.ts';

/** The longest life of a JWT and the clock tolerance of those who verify it. */
const KEEP_SECONDS = MAX_JWT_SECONDS + 300;

export interface GrantRevocation {
  endGrant(db: Knex, grantId: string, reason: string): Promise<void>;
  endSessionGrants(db: Knex, sessionUidHash: Buffer, reason: string): Promise<void>;
  /** Ends every token of a client: those that people gave it, and its own. */
  endClient(db: Knex, client: { id: string; generation: number }, reason: string): Promise<void>;
  /** Ends what a person gave to any client. */
  endSubjectGrants(db: Knex, subject: string, reason: string): Promise<void>;
}

/** @param key the server's revocation key */
export function createGrantRevocation(key: Buffer): GrantRevocation {
  const listHandles = (db: Knex, ended: readonly EndedGrant[]) =>
    addRevokedHandles(
      db,
      ended.map(({ id, generation }) => grantHandle(key, id, generation)),
      KEEP_SECONDS,
    );
  return {
    async endGrant(db, grantId, reason) {
      await listHandles(db, await endGrant(db, grantId, reason));
    },
    async endSessionGrants(db, sessionUidHash, reason) {
      await listHandles(db, await endSessionGrants(db, sessionUidHash, reason));
    },
    async endClient(db, { id, generation }, reason) {
      await listHandles(db, await endClientGrants(db, id, reason));
      await addRevokedHandles(db, [clientHandle(key, id, generation)], KEEP_SECONDS);
    },
    async endSubjectGrants(db, subject, reason) {
      await listHandles(db, await endSubjectGrants(db, subject, reason));
    },
  };
}
