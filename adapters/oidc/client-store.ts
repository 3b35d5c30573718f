/**
 * Registered clients. Metadata is cached under its version; status, generation and secrets are read each time, because a client
 * that was disabled or whose secret was retired must fail at once on every node.
 */
import { createHash } from 'node:crypto';
import type { Adapter, AdapterPayload } from 'oidc-provider';
import { findClient, readClientMetadata, type StoredClient } from '../../db/clients.ts';
import { connectionOf, currentUnit, type UnitOfWork } from '../../db/unit-of-work.ts';
import { sameBytes } from '../../server/keys/hash.ts';
import { isWellFormed } from '../../server/keys/identifiers.ts';
import type { ClientFacts } from '../../server/oidc/stores.ts';
import type { AdapterDeps } from './adapter.ts';

const FACTS = Symbol('clients of this request');
const CACHED_CLIENTS = 1000;

export class ClientStore implements Adapter {
  readonly #deps: AdapterDeps;
  readonly #metadata = new Map<string, { version: number; metadata: AdapterPayload }>();

  constructor(deps: AdapterDeps) {
    this.#deps = deps;
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    const facts = await this.#read(id);
    if (facts?.status !== 'active') return undefined;
    return this.#metadataOf(facts);
  }

  /** Metadata as it was last read, without a look: whoever uses it must have its version checked with what they write. */
  cached(id: string): { version: number; metadata: AdapterPayload } | undefined {
    return this.#metadata.get(id);
  }

  /** The facts of a client, read at most once a request. */
  async factsOf(id: string): Promise<ClientFacts | undefined> {
    return this.#readOnce(id);
  }

  /** Whether `secret` is one of the client's live secrets; every one is compared, in constant time. */
  async isSecret(clientId: string, secret: string): Promise<boolean> {
    const facts = await this.#readOnce(clientId);
    if (!facts?.secrets || !isWellFormed('clientSecret', secret)) return false;
    const given = createHash('sha256').update(secret).digest();
    return facts.secrets.filter(({ hash }) => sameBytes(Buffer.from(hash, 'hex'), given)).length > 0;
  }

  async upsert(): Promise<void> {
    throw new Error('clients are changed by server/clients');
  }

  async destroy(): Promise<void> {
    throw new Error('clients are changed by server/clients');
  }

  async findByUserCode(): Promise<undefined> {}

  async findByUid(): Promise<undefined> {}

  async consume(): Promise<void> {}

  async revokeByGrantId(): Promise<void> {}

  async #readOnce(id: string): Promise<StoredClient | undefined> {
    const unit = currentUnit();
    return (unit && clientsOf(unit).get(id)) ?? this.#read(id);
  }

  async #read(id: string): Promise<StoredClient | undefined> {
    // A client sends its own id (RFC 6749 section 2.3.1), and a text column refuses the NUL character with an error.
    if (id.includes('\0')) return undefined;
    const facts = await findClient(connectionOf(this.#deps.db), id);
    const unit = currentUnit();
    if (facts && unit) {
      unit.configVersion = facts.config_version;
      clientsOf(unit).set(id, facts);
    }
    return facts;
  }

  async #metadataOf(facts: StoredClient): Promise<AdapterPayload | undefined> {
    const cached = this.#metadata.get(facts.id);
    if (cached?.version === facts.metadata_version) return cached.metadata;
    const metadata = (await readClientMetadata(connectionOf(this.#deps.db), facts.id)) as
      | AdapterPayload
      | undefined;
    if (!metadata) return undefined;
    if (this.#metadata.size >= CACHED_CLIENTS) this.#metadata.clear();
    const complete = { ...metadata, client_id: facts.id, ...placeholderSecret(metadata) };
    this.#metadata.set(facts.id, { version: facts.metadata_version, metadata: complete });
    return complete;
  }
}

/** The engine wants a secret to be there; the real ones are hashes that it never sees (server/oidc/internals.ts compares them). */
function placeholderSecret(metadata: AdapterPayload): { client_secret?: string } {
  const method = String(metadata['token_endpoint_auth_method']);
  return method.startsWith('client_secret') ? { client_secret: 'kept-as-a-hash' } : {};
}

function clientsOf(unit: UnitOfWork): Map<string, StoredClient> {
  const known = unit.notes.get(FACTS) as Map<string, StoredClient> | undefined;
  if (known) return known;
  const created = new Map<string, StoredClient>();
  unit.notes.set(FACTS, created);
  return created;
}
