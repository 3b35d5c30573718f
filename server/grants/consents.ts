/** What a person decided on a consent page. */
import type { Knex } from 'knex';
import type { StoredApi } from '../../db/access.ts';
import { recordConsent } from '../../db/consents.ts';

/** What a consent page is about. */
export interface Asked {
  /** OpenID scopes. */
  scopes: string[];
  claims: string[];
  apis: { api: StoredApi; scopes: string[] }[];
}

/** Scopes without which the request makes no sense, or that are one with the decision itself. */
export const requiredScopes: ReadonlySet<string> = new Set(['openid', 'offline_access']);

/**
 * Records the decision about everything that was shown; what was not shown keeps its earlier decision.
 *
 * @param chosen ticked scopes: the name, after the API's identifier and a space for a scope of an API
 */
export async function recordDecisions(
  db: Knex,
  accountId: string,
  clientId: string,
  asked: Asked,
  chosen: ReadonlySet<string>,
): Promise<void> {
  const isGranted = (scope: string) => requiredScopes.has(scope) || chosen.has(scope);
  if (asked.scopes.length > 0 || asked.claims.length > 0) {
    await recordConsent(db, accountId, clientId, {
      apiId: '',
      grantedScopes: asked.scopes.filter(isGranted),
      refusedScopes: asked.scopes.filter((scope) => !isGranted(scope)),
      grantedClaims: asked.claims,
      refusedClaims: [],
    });
  }
  for (const { api, scopes } of asked.apis) {
    const isChosen = (scope: string) => chosen.has(`${api.identifier} ${scope}`);
    await recordConsent(db, accountId, clientId, {
      apiId: api.id,
      grantedScopes: scopes.filter(isChosen),
      refusedScopes: scopes.filter((scope) => !isChosen(scope)),
      grantedClaims: [],
      refusedClaims: [],
    });
  }
}
