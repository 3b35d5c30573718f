/**
 * Registered applications.
 *
 * Owns: creating and deleting a client, its secrets, and what its metadata may be. Refuses: compiled clients (the engine makes them from the
 * metadata) and anything a token may carry (server/access).
 */
import { createHash } from 'node:crypto';
import type { Knex } from 'knex';
import { deleteClientRows } from '../../db/clients.ts';
import type { AccountId, ClientKind, ClientRow } from '../../db/tables.ts';
import { findUnknownRoles } from '../access/roles.ts';
import type { Actor, Audit } from '../audit/audit.ts';
import { conflict, type FieldProblem, invalidInput, notFound } from '../errors.ts';
import type { GrantRevocation } from '../grants/revocation.ts';
import { imageHash, imageType, MAX_IMAGE_BYTES } from '../images.ts';
import { newId, newSecret } from '../keys/identifiers.ts';
import { PORTAL_CLIENT_ID } from './portal-client.ts';
import { checkRedirectUri } from './redirect-uris.ts';

export interface NewClient {
  kind: Exclude<ClientKind, 'device'>;
  name: string;
  redirectUris?: readonly string[];
  postLogoutRedirectUris?: readonly string[];
  /** First-party applications skip the consent page. */
  firstParty?: boolean;
  ownerId?: AccountId;
  /** PKCE may be turned off for a legacy confidential client only. */
  requirePkce?: boolean;
  authMethod?: 'client_secret_basic' | 'client_secret_post' | 'private_key_jwt' | 'none';
  jwks?: { keys: readonly Record<string, unknown>[] };
  jwksUri?: string;
  /** Identifier of the API whose token the client gets when it names none. */
  defaultResource?: string;
  /** Identifier of the API whose tokens a client of kind "api" introspects. */
  api?: string;
  /** Roles that a machine acts with. */
  roles?: readonly string[];
  grantTypes?: readonly string[];
  idTokenAlg?: 'RS256' | 'ES256';
  subjectType?: 'public' | 'pairwise';
  clientUri?: string;
  policyUri?: string;
  tosUri?: string;
  initiateLoginUri?: string;
  /** PNG, WebP or SVG. */
  logo?: Buffer;
  /** Chosen ids are for built-in and imported clients; others get a random one. */
  id?: string;
}

const grantTypesOf: Record<NewClient['kind'], readonly string[]> = {
  web: ['authorization_code', 'refresh_token'],
  spa: ['authorization_code', 'refresh_token'],
  native: ['authorization_code', 'refresh_token'],
  machine: ['client_credentials'],
  api: [],
};

/**
 * Creates a client in one transaction with its audit event.
 *
 * @returns the row, and its first secret when it authenticates with one: shown once, only its hash is kept
 * @throws {AppError} invalid_input (422) naming each field
 */
export async function createClient(
  db: Knex,
  audit: Audit,
  actor: Actor,
  input: NewClient,
): Promise<{ client: Pick<ClientRow, 'id' | 'kind' | 'metadata'>; secret: string | undefined }> {
  const metadata = buildMetadata(input);
  const id = input.id ?? newId('app');
  const secret = String(metadata['token_endpoint_auth_method']).startsWith('client_secret')
    ? newSecret('clientSecret')
    : undefined;
  await db.transaction(async (trx) => {
    await requireRoles(trx, input.roles ?? []);
    const apiId = input.api === undefined ? undefined : await requireApi(trx, 'api', input.api);
    if (input.defaultResource !== undefined) await requireApi(trx, 'defaultResource', input.defaultResource);
    await trx('clients').insert({
      id,
      kind: input.kind,
      owner_id: input.ownerId ?? null,
      first_party: input.firstParty ?? false,
      metadata,
      ...(input.logo
        ? { logo: input.logo, logo_type: imageType(input.logo) ?? null, logo_hash: imageHash(input.logo) }
        : {}),
    });
    if (secret) {
      await trx('client_secrets').insert({
        id: newId('sec'),
        client_id: id,
        name: 'first',
        secret_hash: hashClientSecret(secret),
      });
    }
    if (apiId) await trx('api_clients').insert({ client_id: id, api_id: apiId });
    if (input.roles && input.roles.length > 0) {
      await trx('client_roles').insert([...new Set(input.roles)].map((role) => ({ client_id: id, role })));
    }
    await audit.record(trx, {
      kind: 'client_created',
      actor,
      clientId: id,
      detail: { client_kind: input.kind, pkce_required: input.requirePkce !== false },
    });
  });
  return { client: { id, kind: input.kind, metadata }, secret };
}

/**
 * Deletes a client and ends every token of it, in one transaction with its audit event. Its id is never given again.
 *
 * @throws {AppError} not_found (404); built_in (409) for the client of this server's own pages
 */
export async function deleteClient(
  db: Knex,
  { audit, grants }: { audit: Audit; grants: GrantRevocation },
  actor: Actor,
  id: string,
): Promise<void> {
  if (id === PORTAL_CLIENT_ID) {
    throw conflict(
      'built_in',
      'This app is part of the server: people sign in to its own pages with it. It stays.',
    );
  }
  await db.transaction(async (trx) => {
    const client = await trx('clients').where({ id }).forUpdate().first('id', 'kind', 'generation');
    if (!client) throw notFound('app');
    await grants.endClient(trx, client, 'client_deleted');
    await deleteClientRows(trx, id);
    await audit.record(trx, {
      kind: 'client_deleted',
      actor,
      clientId: id,
      detail: { client_kind: client.kind },
    });
  });
}

/** Secrets are 256 random bits, so a fast hash keeps them and does not slow the token endpoint. */
export function hashClientSecret(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

function buildMetadata(input: NewClient): Record<string, unknown> {
  const problems = checkInput(input);
  if (problems.length > 0) throw invalidInput(problems);
  const isPublic = input.kind === 'spa' || input.kind === 'native';
  const grantTypes = input.grantTypes ?? grantTypesOf[input.kind];
  const entries: Record<string, unknown> = {
    client_name: input.name.trim(),
    application_type: input.kind === 'native' ? 'native' : 'web',
    grant_types: grantTypes,
    response_types: grantTypes.includes('authorization_code') ? ['code'] : [],
    redirect_uris: input.redirectUris ?? [],
    post_logout_redirect_uris: input.postLogoutRedirectUris ?? [],
    token_endpoint_auth_method: input.authMethod ?? (isPublic ? 'none' : 'client_secret_basic'),
    id_token_signed_response_alg: input.idTokenAlg,
    subject_type: input.subjectType,
    jwks: input.jwks,
    jwks_uri: input.jwksUri,
    client_uri: input.clientUri,
    policy_uri: input.policyUri,
    tos_uri: input.tosUri,
    initiate_login_uri: input.initiateLoginUri,
    default_resource: input.defaultResource,
    require_pkce: input.requirePkce === false ? false : undefined,
  };
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined));
}

function checkInput(input: NewClient): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const name = input.name.trim();
  if (name.length === 0 || name.length > 100)
    problems.push({ field: 'name', code: 'invalid', message: 'needs 1 to 100 characters' });
  if (input.logo && (input.logo.length > MAX_IMAGE_BYTES || !imageType(input.logo))) {
    problems.push({
      field: 'logo',
      code: 'invalid',
      message: `must be a PNG, WebP or SVG of at most ${MAX_IMAGE_BYTES / 1000} kB`,
    });
  }
  const interactive = input.kind === 'web' || input.kind === 'spa' || input.kind === 'native';
  if (interactive && !input.redirectUris?.length) {
    problems.push({ field: 'redirectUris', code: 'required', message: 'at least one is required' });
  }
  for (const [field, uris] of Object.entries({
    redirectUris: input.redirectUris ?? [],
    postLogoutRedirectUris: input.postLogoutRedirectUris ?? [],
  })) {
    for (const uri of uris) {
      const problem = checkRedirectUri(uri, input.kind);
      if (problem) problems.push({ field, code: 'invalid', message: `${uri} ${problem}` });
    }
  }
  if (input.kind === 'api' && !input.api)
    problems.push({ field: 'api', code: 'required', message: 'is required' });
  if (input.requirePkce === false && (input.kind !== 'web' || input.authMethod === 'none')) {
    problems.push({
      field: 'requirePkce',
      code: 'invalid',
      message: 'only a website with a secret or key may leave PKCE out',
    });
  }
  if (input.authMethod === 'private_key_jwt' && !input.jwks && !input.jwksUri) {
    problems.push({ field: 'jwks', code: 'invalid', message: 'or jwksUri is required for private_key_jwt' });
  }
  return [...problems, ...checkCredential(input), ...checkAddresses(input)];
}

/** A machine's token needs no person, so its credential is all that stands before it (RFC 6749 section 4.4). */
function checkCredential({ kind, authMethod, jwks, jwksUri }: NewClient): FieldProblem[] {
  const problems: FieldProblem[] = [];
  if ((kind === 'machine' || kind === 'api') && authMethod === 'none') {
    problems.push({
      field: 'authMethod',
      code: 'invalid',
      message: `none is not for kind ${kind}, which must prove who it is`,
    });
  }
  if (jwks && jwksUri) {
    problems.push({ field: 'jwksUri', code: 'invalid', message: 'and jwks exclude each other' });
  }
  if (jwks?.keys.some((key) => 'd' in key || 'k' in key)) {
    problems.push({
      field: 'jwks',
      code: 'invalid',
      message: 'has a private or symmetric key; register public keys only',
    });
  }
  return problems;
}

function checkAddresses({
  jwksUri,
  clientUri,
  policyUri,
  tosUri,
  initiateLoginUri,
}: NewClient): FieldProblem[] {
  return Object.entries({ jwksUri, clientUri, policyUri, tosUri, initiateLoginUri }).flatMap(
    ([field, uri]) => {
      if (uri === undefined) return [];
      // The engine takes no loopback here, and a client that it cannot compile fails at every use.
      const httpsOnly = field === 'initiateLoginUri' && !uri.startsWith('https:');
      const problem = checkRedirectUri(uri, 'web') ?? (httpsOnly ? 'must be https' : undefined);
      return problem ? [{ field, code: 'invalid' as const, message: `${uri} ${problem}` }] : [];
    },
  );
}

async function requireRoles(db: Knex, roles: readonly string[]): Promise<void> {
  const problems = await findUnknownRoles(db, roles);
  if (problems.length > 0) throw invalidInput(problems);
}

async function requireApi(db: Knex, field: string, identifier: string): Promise<string> {
  const api = await db('apis').where({ identifier }).first('id');
  if (!api) throw invalidInput([{ field, code: 'invalid', message: `there is no API ${identifier}` }]);
  return api.id;
}
