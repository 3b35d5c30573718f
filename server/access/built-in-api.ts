/** The API of the server itself: operating it is a set of restricted scopes, held through the role "operator". */
import type { Knex } from 'knex';
import { newId } from '../keys/identifiers.ts';

/** Scopes of the built-in API. The admin of a shop is not the operator of its identity server. */
export const operatorScopes = [
  'accounts:read',
  'accounts:write',
  'apps:read',
  'apps:write',
  'apis:read',
  'apis:write',
  'audit:read',
  'keys:write',
  'roles:write',
  'sessions:write',
] as const;

/** Identifier of the built-in API of an issuer. */
export function builtInApiIdentifier(issuer: string): string {
  return `${issuer}/api`;
}

/** Registers the built-in API on an empty database; changes nothing on a later start. */
export async function ensureBuiltInApi(db: Knex, issuer: string): Promise<void> {
  const identifier = builtInApiIdentifier(issuer);
  await db.transaction(async (trx) => {
    await trx('apis')
      .insert({ id: newId('api'), identifier, title: 'Gatehouse', token_format: 'jwt', ttl_seconds: 600 })
      .onConflict('identifier')
      .ignore();
    const api = await trx('apis').where({ identifier }).first('id');
    if (!api) throw new Error('the built-in API could not be registered');
    await trx('scopes')
      .insert(
        operatorScopes.map((name) => ({ api_id: api.id, name, titles: { en: name }, restricted: true })),
      )
      .onConflict(['api_id', 'name'])
      .ignore();
    await trx('role_scopes')
      .insert(operatorScopes.map((scope) => ({ role: 'operator', api_id: api.id, scope })))
      .onConflict(['role', 'api_id', 'scope'])
      .ignore();
  });
}
