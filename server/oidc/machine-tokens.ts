/**
 * Client credentials for a registered API, answered without the engine: machines ask for a token at every start and every hour, and the
 * engine's generality costs more than the token itself.
 *
 * Owns: the plainest request only (client_secret_basic, one API, no DPoP, no other parameter), and only its success. Refuses: everything
 * else. Whatever is unusual or wrong goes to the engine, which answers it as if this file were not there; a test holds both to the same
 * answer (test/oidc/machine-tokens.test.ts).
 */
import { randomUUID } from 'node:crypto';
import type { Context } from 'koa';
import type { Knex } from 'knex';
import type { AdapterPayload } from 'oidc-provider';
import type { StoredApi } from '../../db/access.ts';
import { connectionOf } from '../../db/unit-of-work.ts';
import { listAllowedScopes } from '../access/apis.ts';
import type { ApiDirectory } from '../access/api-directory.ts';
import { isWellFormed, newSecret } from '../keys/identifiers.ts';
import type { LocalSigningKey } from './signing-key.ts';
import type { EngineStores } from './stores.ts';
import type { ClientHandles } from './token-claims.ts';

export interface MachineTokens {
  /** Answers the request, or returns false and leaves it untouched. */
  answer(ctx: Context, fields: ReadonlyMap<string, readonly string[]>): Promise<boolean>;
}

export interface MachineTokenDeps {
  issuer: string;
  db: Knex;
  stores: EngineStores;
  apis: ApiDirectory;
  handles: ClientHandles;
  /** The active ES256 key. */
  key: LocalSigningKey;
}

const parameters = new Set(['grant_type', 'scope', 'resource']);
const scopeToken = /^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/;

export function createMachineTokens(deps: MachineTokenDeps): MachineTokens {
  const header = base64url({ alg: 'ES256', typ: 'at+jwt', kid: deps.key.kid });

  return {
    async answer(ctx, fields) {
      const credentials = readBasic(ctx);
      if (!credentials || !isPlain(ctx, fields)) return false;
      const request = {
        ...credentials,
        resource: one(fields, 'resource'),
        scope: one(fields, 'scope') ?? '',
      };
      const token = (await issueAtOnce(request)) ?? (await issue(request));
      if (!token) return false;
      ctx.status = 200;
      ctx.set('Cache-Control', 'no-store');
      ctx.vary('Origin');
      ctx.type = 'application/json';
      ctx.body = JSON.stringify(token);
      return true;
    },
  };

  /** One statement authenticates the client and stores an opaque token, when all else is known already and still true. */
  async function issueAtOnce({ id, secret, resource, scope }: MachineRequest) {
    const client = deps.stores.client.cached(id);
    if (!client || !isMachine(client.metadata) || !isWellFormed('clientSecret', secret)) return undefined;
    const known = deps.apis.cached(resource ?? String(client.metadata['default_resource']));
    if (known?.api.token_format !== 'opaque') return undefined;
    const requested = splitScope(scope);
    const byName = new Map(known.api.scopes.map((one) => [one.name, one]));
    if (requested.some((name) => byName.get(name)?.restricted)) return undefined;
    const grant = describe(
      known.api,
      requested.filter((name) => byName.has(name)),
    );
    const token = newSecret('clientCredentials');
    const proof = { clientId: id, secret, metadataVersion: client.version, configVersion: known.version };
    const stored = await deps.stores.clientCredentials.issue(token, opaque(id, grant), grant.seconds, proof);
    return stored ? answerOf(token, grant) : undefined;
  }

  async function issue({ id, secret, resource, scope }: MachineRequest) {
    const client = await deps.stores.client.find(id);
    if (!client || !isMachine(client) || !(await deps.stores.client.isSecret(id, secret))) return undefined;
    const identifier = resource ?? client['default_resource'];
    const api = typeof identifier === 'string' ? await deps.apis.find(identifier) : undefined;
    if (!api) return undefined;
    const requested = splitScope(scope);
    const allowed =
      requested.length > 0 ? await listAllowedScopes(connectionOf(deps.db), api, { clientId: id }) : [];
    const grant = describe(
      api,
      requested.filter((name) => allowed.includes(name)),
    );
    if (api.token_format === 'jwt') return answerOf(await sign(id, grant), grant);
    const token = newSecret('clientCredentials');
    await deps.stores.clientCredentials.upsert(token, opaque(id, grant), grant.seconds);
    return answerOf(token, grant);
  }

  /** RFC 9068 section 2.2. */
  async function sign(clientId: string, { audience, claims }: MachineGrant): Promise<string> {
    const facts = await deps.stores.client.factsOf(clientId);
    const payload = base64url({
      jti: randomUUID(),
      sub: clientId,
      ...claims,
      client_id: clientId,
      iss: deps.issuer,
      aud: audience,
      rev: [deps.handles(clientId, facts?.generation ?? 1)],
    });
    const signature = await deps.key.sign(Buffer.from(`${header}.${payload}`));
    return `${header}.${payload}.${Buffer.from(signature).toString('base64url')}`;
  }
}

interface MachineRequest {
  id: string;
  secret: string;
  resource: string | undefined;
  /** '' when none was asked for. */
  scope: string;
}

/** What a token will say, however it is made. */
interface MachineGrant {
  audience: string;
  seconds: number;
  claims: { iat: number; exp: number; scope?: string };
}

function describe(api: StoredApi, scopes: readonly string[]): MachineGrant {
  const iat = Math.floor(Date.now() / 1000);
  const scope = scopes.join(' ');
  return {
    audience: api.identifier,
    seconds: api.ttl_seconds,
    claims: { iat, exp: iat + api.ttl_seconds, ...(scope ? { scope } : {}) },
  };
}

function opaque(clientId: string, { audience, claims }: MachineGrant): AdapterPayload {
  return { ...claims, kind: 'ClientCredentials', clientId, aud: audience };
}

/** RFC 6749 section 5.1. */
function answerOf(token: string, { seconds, claims: { scope } }: MachineGrant) {
  return { access_token: token, expires_in: seconds, ...(scope ? { scope } : {}), token_type: 'Bearer' };
}

function splitScope(scope: string): string[] {
  return [...new Set(scope.split(' ').filter(Boolean))];
}

/** Only what this file understands, each once, and nothing that changes what a token is bound to. */
function isPlain(ctx: Context, fields: ReadonlyMap<string, readonly string[]>): boolean {
  if (one(fields, 'grant_type') !== 'client_credentials') return false;
  if (ctx.querystring !== '' || ctx.get('DPoP') !== '' || ctx.get('Origin') !== '') return false;
  for (const [name, values] of fields) {
    if (values.length !== 1 || values[0] === '' || !parameters.has(name)) return false;
  }
  const scope = one(fields, 'scope');
  return scope === undefined || scopeToken.test(scope);
}

function isMachine(client: AdapterPayload): boolean {
  return (
    client['token_endpoint_auth_method'] === 'client_secret_basic' &&
    client['scope'] === undefined &&
    Array.isArray(client['grant_types']) &&
    client['grant_types'].includes('client_credentials')
  );
}

/** RFC 6749 section 2.3.1; values that are form-encoded are left to the engine. */
function readBasic(ctx: Context): { id: string; secret: string } | undefined {
  const encoded = /^Basic ([A-Za-z0-9+/]+={0,2})$/i.exec(ctx.get('Authorization'))?.[1];
  if (!encoded) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('latin1');
  const [, id, secret] = /^([\w.~-]+):([\w.~-]+)$/.exec(text) ?? [];
  return id && secret ? { id, secret } : undefined;
}

const one = (fields: ReadonlyMap<string, readonly string[]>, name: string): string | undefined =>
  fields.get(name)?.[0];

const base64url = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
