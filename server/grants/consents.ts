/** What a person decided on a consent page. */
import type { Knex } from 'knex';
import type { StoredApi } from '../../db/access.ts';
import { recordConsent } from '../../db/consents.ts';
import { claimsOfScope } from '../oidc/account.ts';

/** What a consent page is about. */
export interface Asked {
  /** OpenID scopes. */
  scopes: string[];
  /** Claims that none of these scopes gives. */
  claims: string[];
  apis: { api: StoredApi; scopes: string[] }[];
}

/** Scopes without which the request makes no sense, or that are one with the decision itself. */
export const requiredScopes: ReadonlySet<string> = new Set(['openid', 'offline_access']);

/** The claims that come with these scopes. */
export const claimsOf = (scopes: readonly string[]): string[] =>
  Object.entries(claimsOfScope).flatMap(([scope, claims]) => (scopes.includes(scope) ? claims : []));

/**
 * Records the decision about everything that was shown; what was not shown keeps its earlier decision. A decision about a scope is
 * one about its claims, or the claims parameter would fetch what was refused.
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
    const granted = asked.scopes.filter(isGranted);
    const refused = asked.scopes.filter((scope) => !isGranted(scope));
    await recordConsent(db, accountId, clientId, {
      apiId: '',
      grantedScopes: granted,
      refusedScopes: refused,
      grantedClaims: [...asked.claims, ...claimsOf(granted)],
      refusedClaims: claimsOf(refused),
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
