/** Statements of APIs, their scopes, and who holds a restricted one. */
import type { Knex } from 'knex';
import { statement } from './statement.ts';
import type { ApiRow, ScopeRow } from './tables.ts';

export type StoredApi = Pick<ApiRow, 'id' | 'identifier' | 'title' | 'token_format' | 'ttl_seconds'> & {
  scopes: Pick<ScopeRow, 'name' | 'titles' | 'restricted'>[];
};

const find = statement<StoredApi>(
  'apis_find',
  `select a.id, a.identifier, a.title, a.token_format, a.ttl_seconds,
          coalesce((select json_agg(json_build_object('name', s.name, 'titles', s.titles, 'restricted', s.restricted)
                                    order by s.name)
                      from scopes s where s.api_id = a.id), '[]') as scopes
   from apis a where a.identifier = ?`,
);

export async function findApi(db: Knex, identifier: string): Promise<StoredApi | undefined> {
  return (await find(db, [identifier]))[0];
}

const accountScopes = statement<{ scope: string }>(
  'role_scopes_of_account',
  `select distinct rs.scope from account_roles ar join role_scopes rs on rs.role = ar.role
   where ar.account_id = ? and rs.api_id = ?`,
);
const clientScopes = statement<{ scope: string }>(
  'role_scopes_of_client',
  `select distinct rs.scope from client_roles cr join role_scopes rs on rs.role = cr.role
   where cr.client_id = ? and rs.api_id = ?`,
);

/** Restricted scopes of an API that an account holds through its roles. */
export async function listAccountScopes(db: Knex, accountId: string, apiId: string): Promise<string[]> {
  return (await accountScopes(db, [accountId, apiId])).map(({ scope }) => scope);
}

/** Restricted scopes of an API that a client holds through its roles. */
export async function listClientScopes(db: Knex, clientId: string, apiId: string): Promise<string[]> {
  return (await clientScopes(db, [clientId, apiId])).map(({ scope }) => scope);
}

const audience = statement<{ identifier: string }>(
  'api_clients_audience',
  'select a.identifier from api_clients ac join apis a on a.id = ac.api_id where ac.client_id = ?',
);

/** The audience that an API's own credential may introspect. */
export async function findAudienceOf(db: Knex, clientId: string): Promise<string | undefined> {
  return (await audience(db, [clientId]))[0]?.identifier;
}

const list = statement<StoredApi>(
  'apis_list',
  `select a.id, a.identifier, a.title, a.token_format, a.ttl_seconds,
          coalesce((select json_agg(json_build_object('name', s.name, 'titles', s.titles, 'restricted', s.restricted)
                                    order by s.name)
                      from scopes s where s.api_id = a.id), '[]') as scopes
   from apis a order by a.created_at, a.identifier`,
);

/** Every API with its scopes, oldest first. */
export function listApis(db: Knex): Promise<StoredApi[]> {
  return list(db, []);
}

const clientsOfApi = statement<{ id: string }>(
  'apis_list_clients',
  `select c.id from clients c left join api_clients ac on ac.client_id = c.id
   where ac.api_id = ? or c.metadata ->> 'default_resource' = ? order by c.id`,
);

/** Clients that could not do their work without this API: its own credentials, and those that name it as their default. */
export async function listClientsOfApi(db: Knex, api: { id: string; identifier: string }): Promise<string[]> {
  return (await clientsOfApi(db, [api.id, api.identifier])).map(({ id }) => id);
}
