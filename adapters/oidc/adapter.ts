/**
 * What the engine stores, on PostgreSQL.
 *
 * Owns: hashed ids, sealed payloads, single use by one conditional statement, tombstones of ended sessions and grants.
 * Refuses: policy. It never decides who may have what; it only makes sure that a thing is stored, spent or ended exactly once.
 *
 * Every statement goes through the current unit of work, so that a protocol request is one transaction.
 */
import type { Knex } from 'knex';
import type { Adapter, AdapterPayload } from 'oidc-provider';
import type { Keyring } from '../../server/keys/keyring.ts';
import type { EngineStores } from '../../server/oidc/stores.ts';
import { answerToken } from './answered-token.ts';
import { ClientStore } from './client-store.ts';
import { GrantStore } from './grant-store.ts';
import { InteractionStore } from './interaction-store.ts';
import { MachineTokenStore } from './machine-token-store.ts';
import { type ModelName, ModelStore, modelTableOf } from './model-store.ts';
import { RefreshTokenStore } from './refresh-token-store.ts';
import { SessionStore } from './session-store.ts';

/** Ends grants and lists the revocation handles of their JWTs; declared here, given by server/grants. */
export interface GrantEnder {
  endGrant(db: Knex, grantId: string, reason: string): Promise<void>;
  endSessionGrants(db: Knex, sessionUidHash: Buffer, reason: string): Promise<void>;
}

export interface AdapterDeps {
  db: Knex;
  keyring: Keyring;
  /** Hashes user codes, which are short. */
  codeKey: Buffer;
  grants: GrantEnder;
  session: { absoluteSeconds: number };
  /** How long a retried refresh gets the same successor; 0 turns it off. */
  refreshGraceSeconds: number;
}

/** Makes the stores once, and the factory that the engine asks for an adapter of each model. */
export function createAdapter(deps: AdapterDeps): {
  stores: EngineStores;
  factory: (name: string) => Adapter;
} {
  const stores = {
    session: new SessionStore(deps),
    grant: new GrantStore(deps),
    client: new ClientStore(deps),
    clientCredentials: new MachineTokenStore(deps),
    refreshToken: new RefreshTokenStore(deps),
    interaction: new InteractionStore(deps),
    answerToken,
  };
  const special: Record<string, Adapter> = {
    Session: stores.session,
    Grant: stores.grant,
    Client: stores.client,
    ClientCredentials: stores.clientCredentials,
    RefreshToken: stores.refreshToken,
    Interaction: stores.interaction,
    // Its one operation, "unique", is a statement of its own (server/oidc/internals.ts).
    ReplayDetection: new UnusedStore('ReplayDetection'),
    PreAuthorizedCode: new UnusedStore('PreAuthorizedCode'),
  };
  return {
    stores,
    factory(name) {
      const store = special[name];
      if (store) return store;
      if (!modelTableOf[name as ModelName]) throw new Error(`no table for the engine's model ${name}`);
      return new ModelStore(deps, name as ModelName);
    },
  };
}

/** A model of a feature that is off, or that never reaches its adapter: reaching it is a mistake of ours. */
class UnusedStore implements Adapter {
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  #refuse(): never {
    throw new Error(`the engine's model ${this.#name} is not stored`);
  }

  upsert = async (): Promise<void> => this.#refuse();
  find = async (): Promise<AdapterPayload | undefined> => this.#refuse();
  findByUserCode = async (): Promise<AdapterPayload | undefined> => this.#refuse();
  findByUid = async (): Promise<AdapterPayload | undefined> => this.#refuse();
  consume = async (): Promise<void> => this.#refuse();
  destroy = async (): Promise<void> => this.#refuse();
  revokeByGrantId = async (): Promise<void> => this.#refuse();
}
