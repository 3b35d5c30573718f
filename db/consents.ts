/** Statements of consents: what a person decided for one client, per API ('' for OpenID scopes). */
import type { Knex } from 'knex';
import { statement } from './statement.ts';
import type { ConsentRow } from './tables.ts';

export type StoredConsent = Pick<
  ConsentRow,
  'granted_scopes' | 'refused_scopes' | 'granted_claims' | 'refused_claims'
> & {
  /** The API's identifier, or null for OpenID scopes. */
  identifier: string | null;
};

const list = statement<StoredConsent>(
  'consents_list',
  `select a.identifier, c.granted_scopes, c.refused_scopes, c.granted_claims, c.refused_claims
   from consents c left join apis a on a.id = c.api_id
   where c.account_id = ? and c.client_id = ? and (c.api_id = '' or a.id is not null)
   order by c.api_id`,
);

export function listConsents(db: Knex, accountId: string, clientId: string): Promise<StoredConsent[]> {
  return list(db, [accountId, clientId]);
}

export interface Decision {
  apiId: string;
  grantedScopes: readonly string[];
  refusedScopes: readonly string[];
  grantedClaims: readonly string[];
  refusedClaims: readonly string[];
}

// What was shown is decided anew; what was not shown keeps its earlier decision.
const merge = (column: string, same: string, other: string) =>
  `${column} = (select coalesce(array_agg(distinct x order by x), '{}') from unnest(c.${column} || excluded.${same}) x
                 where x <> all (excluded.${other}))`;
const record = statement<never>(
  'consents_record',
  `insert into consents as c
     (account_id, client_id, api_id, granted_scopes, refused_scopes, granted_claims, refused_claims)
   values (?, ?, ?, ?::text[], ?::text[], ?::text[], ?::text[])
   on conflict (account_id, client_id, api_id) do update set
     ${merge('granted_scopes', 'granted_scopes', 'refused_scopes')},
     ${merge('refused_scopes', 'refused_scopes', 'granted_scopes')},
     ${merge('granted_claims', 'granted_claims', 'refused_claims')},
     ${merge('refused_claims', 'refused_claims', 'granted_claims')},
     decided_at = now()`,
);

export async function recordConsent(
  db: Knex,
  accountId: string,
  clientId: string,
  decision: Decision,
): Promise<void> {
  await record(db, [
    accountId,
    clientId,
    decision.apiId,
    decision.grantedScopes,
    decision.refusedScopes,
    decision.grantedClaims,
    decision.refusedClaims,
  ]);
}
