/** APIs and their scopes, cached under the version of the configuration that the request itself has read. */
import type { Knex } from 'knex';
import { findApi, type StoredApi } from '../../db/access.ts';
import { connectionOf, currentUnit } from '../../db/unit-of-work.ts';

export interface ApiDirectory {
  find(identifier: string): Promise<StoredApi | undefined>;
  /** An API as it was last read, with the version it was read at. */
  cached(identifier: string): { version: string; api: StoredApi } | undefined;
}

/** Unknown identifiers are cached too, and come from clients: the cache starts over before they fill it. */
const CACHED_APIS = 1000;

export function createApiDirectory(db: Knex): ApiDirectory {
  let version: string | undefined;
  let apis = new Map<string, StoredApi | undefined>();

  return {
    async find(identifier) {
      const current = currentUnit()?.configVersion;
      if (current === undefined) return findApi(connectionOf(db), identifier);
      if (current !== version || apis.size >= CACHED_APIS) {
        version = current;
        apis = new Map();
      }
      const cache = apis;
      if (!cache.has(identifier)) cache.set(identifier, await findApi(connectionOf(db), identifier));
      return cache.get(identifier);
    },
    cached(identifier) {
      const api = apis.get(identifier);
      return api && version !== undefined ? { version, api } : undefined;
    },
  };
}
