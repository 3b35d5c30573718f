/**
 * What a token may carry.
 *
 * Owns: protected APIs, their scopes, and the rule: requested ∩ consented ∩ (unrestricted ∪ held through roles), computed at every
 * issue and every refresh. Refuses: consent (server/grants) and token formats (the engine).
 */
import type { Knex } from 'knex';
import { listAccountScopes, listClientScopes, listClientsOfApi, type StoredApi } from '../../db/access.ts';
import type { Titles } from '../../db/tables.ts';
import type { Actor, Audit } from '../audit/audit.ts';
import { MAX_JWT_SECONDS } from '../config.ts';
import { conflict, type FieldProblem, invalidInput, notFound } from '../errors.ts';
import { newId } from '../keys/identifiers.ts';
import { builtInApiIdentifier } from './built-in-api.ts';

/** Who a token is for: a person, a client by itself, or nobody yet (before sign-in). */
export type Holder = { accountId: string } | { clientId: string } | undefined;

/** Scopes of an API that this holder may have: the unrestricted ones, and the restricted ones held through roles. */
export async function listAllowedScopes(db: Knex, api: StoredApi, holder: Holder): Promise<string[]> {
  const restricted = api.scopes.filter((scope) => scope.restricted);
  const open = api.scopes.filter((scope) => !scope.restricted).map(({ name }) => name);
  if (restricted.length === 0) return open;
  // Before sign-in nobody's roles are known: the scopes are kept in the request and decided when the person is.
  if (!holder) return api.scopes.map(({ name }) => name);
  const held = new Set(
    'accountId' in holder
      ? await listAccountScopes(db, holder.accountId, api.id)
      : await listClientScopes(db, holder.clientId, api.id),
  );
  return [...open, ...restricted.filter(({ name }) => held.has(name)).map(({ name }) => name)];
}

export interface NewApi {
  /** Absolute URI without a fragment (RFC 8707 section 2). */
  identifier: string;
  title: string;
  scopes: readonly { name: string; titles?: Titles; restricted?: boolean }[];
  tokenFormat?: 'jwt' | 'opaque';
  ttlSeconds?: number;
}

/**
 * Registers a protected API.
 *
 * @throws {AppError} invalid_input (422), or api_exists (409)
 */
export async function createApi(
  db: Knex,
  audit: Audit,
  actor: Actor,
  input: NewApi,
): Promise<{ id: string }> {
  const problems = checkInput(input);
  if (problems.length > 0) throw invalidInput(problems);
  const id = newId('api');
  await db.transaction(async (trx) => {
    const inserted = await trx('apis')
      .insert({
        id,
        identifier: input.identifier,
        title: input.title.trim(),
        token_format: input.tokenFormat ?? 'jwt',
        ttl_seconds: input.ttlSeconds ?? 3600,
      })
      .onConflict('identifier')
      .ignore()
      .returning('id');
    if (inserted.length === 0) throw conflict('api_exists', `There is an API ${input.identifier} already.`);
    if (input.scopes.length > 0) {
      await trx('scopes').insert(
        input.scopes.map(({ name, titles, restricted }) => ({
          api_id: id,
          name,
          titles: titles ?? { en: name },
          restricted: restricted ?? false,
        })),
      );
    }
    await trx('config_version').increment('version', 1);
    await audit.record(trx, { kind: 'api_created', actor, detail: { identifier: input.identifier } });
  });
  return { id };
}

/**
 * Deletes an API, its scopes and what people decided about them. Tokens for it live on until they expire, and nobody but the
 * client they were issued to can introspect them.
 *
 * @throws {AppError} not_found (404), built_in (409), or api_in_use (409) naming the clients that need it
 */
export async function deleteApi(
  db: Knex,
  audit: Audit,
  actor: Actor,
  { identifier, issuer }: { identifier: string; issuer: string },
): Promise<void> {
  if (identifier === builtInApiIdentifier(issuer)) {
    throw conflict('built_in', 'This is the API of the server itself. It stays.');
  }
  await db.transaction(async (trx) => {
    const api = await trx('apis').where({ identifier }).forUpdate().first('id', 'identifier');
    if (!api) throw notFound('API');
    const clients = await listClientsOfApi(trx, api);
    if (clients.length > 0) {
      throw conflict(
        'api_in_use',
        `These apps need the API ${identifier}; delete them first: ${clients.join(', ')}.`,
      );
    }
    // Not a foreign key, because '' stands for no API.
    await trx('consents').where({ api_id: api.id }).delete();
    await trx('apis').where({ id: api.id }).delete();
    await trx('config_version').increment('version', 1);
    await audit.record(trx, { kind: 'api_deleted', actor, detail: { identifier } });
  });
}

function checkInput({ identifier, title, scopes, ttlSeconds }: NewApi): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const url = URL.parse(identifier);
  if (!url || identifier.includes('#')) {
    problems.push({
      field: 'identifier',
      code: 'invalid',
      message: 'must be an absolute URI without a fragment',
    });
  }
  if (title.trim().length === 0) problems.push({ field: 'title', code: 'required', message: 'is required' });
  for (const { name } of scopes) {
    // RFC 6749 section 3.3: the characters of a scope token.
    if (!/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(name)) {
      problems.push({
        field: 'scopes',
        code: 'invalid',
        message: `"${name}" has characters that a scope cannot have`,
      });
    }
  }
  if (new Set(scopes.map(({ name }) => name)).size < scopes.length) {
    problems.push({ field: 'scopes', code: 'invalid', message: 'one is named twice' });
  }
  if (ttlSeconds !== undefined && (ttlSeconds < 10 || ttlSeconds > MAX_JWT_SECONDS)) {
    problems.push({
      field: 'ttlSeconds',
      code: 'invalid',
      message: `must be between 10 and ${MAX_JWT_SECONDS}`,
    });
  }
  return problems;
}
