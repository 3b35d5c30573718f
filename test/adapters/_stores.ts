/** The engine's stores and a provider over them, on a clean database: no HTTP, no pages. */
import { randomBytes } from 'node:crypto';
import type { Knex } from 'knex';
import type { Adapter, AdapterPayload } from 'oidc-provider';
import type Provider from 'oidc-provider';
import { errors } from 'oidc-provider';
import { createAdapter } from '../../adapters/oidc/adapter.ts';
import { runInUnit, UnitOfWork } from '../../db/unit-of-work.ts';
import { createApiDirectory } from '../../server/access/api-directory.ts';
import { parseConfig } from '../../server/config.ts';
import { createGrantRevocation, type GrantRevocation } from '../../server/grants/revocation.ts';
import { type Keyring, openKeyring } from '../../server/keys/keyring.ts';
import { loadServerSecrets, type ServerSecrets } from '../../server/keys/server-secrets.ts';
import { createMissingSigningKeys, loadSigningKeys } from '../../server/keys/signing-keys.ts';
import { createProvider } from '../../server/oidc/create.ts';
import { LocalSigningKey } from '../../server/oidc/signing-key.ts';
import type { EngineStores } from '../../server/oidc/stores.ts';
import { createClientHandles } from '../../server/oidc/token-claims.ts';

export const encryptionKey = Buffer.alloc(32, 7);

export interface TestStores {
  db: Knex;
  keyring: Keyring;
  secrets: ServerSecrets;
  grants: GrantRevocation;
  stores: EngineStores;
  factory: (model: string) => Adapter;
  provider: Provider;
}

export interface StoreOptions {
  graceSeconds?: number;
  absoluteSeconds?: number;
}

export async function openStores(
  db: Knex,
  { graceSeconds = 10, absoluteSeconds = 86_400 }: StoreOptions = {},
): Promise<TestStores> {
  const config = parseConfig({ ISSUER: 'http://localhost:3999', DEMO: 'false' });
  const keyring = await openKeyring(db, encryptionKey);
  const secrets = await loadServerSecrets(db, keyring);
  const grants = createGrantRevocation(secrets.revocationKey);
  const { stores, factory } = createAdapter({
    db,
    keyring,
    codeKey: secrets.codeKey,
    grants,
    session: { absoluteSeconds },
    refreshGraceSeconds: graceSeconds,
  });
  await createMissingSigningKeys(db, keyring);
  const provider = createProvider({
    config,
    db,
    adapter: factory,
    stores,
    grants,
    secrets,
    signingKeys: (await loadSigningKeys(db, keyring)).map((key) => new LocalSigningKey(key)),
    apis: createApiDirectory(db),
    handles: createClientHandles(secrets.revocationKey),
    pages: { signOut() {}, signedOut() {}, problem() {} },
  });
  return { db, keyring, secrets, grants, stores, factory, provider };
}

/** Runs `work` as one protocol request does: an OAuth error is an outcome whose effects count, anything else takes all back. */
export async function asRequest<T>(db: Knex, work: () => Promise<T>): Promise<T> {
  const unit = new UnitOfWork(db, true);
  return runInUnit(unit, async () => {
    try {
      const result = await work();
      await unit.settle('commit');
      return result;
    } catch (error) {
      await unit.settle(error instanceof errors.OIDCProviderError ? 'commit' : 'rollback');
      throw error;
    }
  });
}

export function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}

export function randomText(): string {
  return randomBytes(24).toString('base64url');
}

/** What came of several attempts at once. */
export async function race<T>(
  count: number,
  attempt: (index: number) => Promise<T>,
): Promise<{ won: T[]; lost: Error[] }> {
  const results = await Promise.allSettled(Array.from({ length: count }, (_, index) => attempt(index)));
  const won: T[] = [];
  const lost: Error[] = [];
  for (const result of results) {
    if (result.status === 'fulfilled') won.push(result.value);
    else lost.push(result.reason as Error);
  }
  return { won, lost };
}

export type Payload = AdapterPayload;
