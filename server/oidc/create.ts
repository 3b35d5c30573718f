/**
 * The engine (oidc-provider) and all that is handed to it.
 *
 * Owns: its configuration, policy and hooks. Refuses: storage (adapters/oidc), pages (interactions/), and business rules, which
 * the hooks call from their domains.
 */
import type { Knex } from 'knex';
import type { AdapterFactory, Configuration, KoaContextWithOIDC } from 'oidc-provider';
import Provider, { errors } from 'oidc-provider';
import { findAudienceOf } from '../../db/access.ts';
import { connectionOf } from '../../db/unit-of-work.ts';
import type { ApiDirectory } from '../access/api-directory.ts';
import type { Config } from '../config.ts';
import type { GrantRevocation } from '../grants/revocation.ts';
import { keyedHash } from '../keys/hash.ts';
import type { ServerSecrets } from '../keys/server-secrets.ts';
import { claimsOfScope, createFindAccount, isOfActivePerson } from './account.ts';
import { cookieNames } from './cookies.ts';
import { createLoadExistingGrant } from './grant.ts';
import { installOverrides } from './internals.ts';
import { acrValues, createPolicy } from './policy.ts';
import { createResourceIndicators } from './resources.ts';
import type { LocalSigningKey } from './signing-key.ts';
import type { EngineStores } from './stores.ts';
import { type ClientHandles, createJwtCustomizer, extraTokenClaims } from './token-claims.ts';

/** Pages that the engine asks for; interactions/ provides them. */
export interface EnginePages {
  /** Asks whether to sign out; `form` is the engine's hidden form. */
  signOut(ctx: KoaContextWithOIDC, form: string): Promise<void> | void;
  signedOut(ctx: KoaContextWithOIDC): Promise<void> | void;
  problem(
    ctx: KoaContextWithOIDC,
    out: { error: string; error_description?: string },
    error: Error,
  ): Promise<void> | void;
}

export interface EngineDeps {
  config: Config;
  db: Knex;
  adapter: AdapterFactory;
  stores: EngineStores;
  grants: GrantRevocation;
  secrets: ServerSecrets;
  signingKeys: readonly LocalSigningKey[];
  apis: ApiDirectory;
  handles: ClientHandles;
  pages: EnginePages;
}

/** Codes and pushed requests (FAPI 2.0 section 5.3.2.1). */
const CODE_SECONDS = 60;
const INTERACTION_SECONDS = 3600;
/** Client assertions are remembered until they expire, so they may not live for years. */
const MAX_ASSERTION_SECONDS = 600;

/** Builds the engine; keys and configuration are frozen in it, so a change of keys makes a new one. */
export function createProvider(deps: EngineDeps): Provider {
  const { config, db, stores } = deps;
  const provider = new Provider(config.issuer, configurationOf(deps));
  provider.proxy = true;
  installOverrides(provider, stores, db);
  return provider;
}

function configurationOf(deps: EngineDeps): Configuration {
  const { config, db, stores, grants, secrets, pages } = deps;
  const names = cookieNames(config.issuer);
  const secure = config.issuer.startsWith('https:');
  return {
    adapter: deps.adapter,
    jwks: { keys: deps.signingKeys },
    cookies: {
      keys: [...secrets.cookieKeys],
      names: { session: names.session, interaction: names.interaction, resume: names.resume },
      long: { httpOnly: true, overwrite: true, sameSite: 'lax', signed: true, secure, path: '/' },
      short: { httpOnly: true, overwrite: true, sameSite: 'lax', signed: true, secure },
    },
    scopes: ['openid', 'profile', 'email', 'phone', 'address', 'roles', 'offline_access'],
    claims: {
      openid: ['sub'],
      ...claimsOfScope,
      acr: null,
      amr: null,
      auth_time: null,
      iss: null,
      sid: null,
    },
    acrValues,
    subjectTypes: ['public', 'pairwise'],
    responseTypes: ['code'],
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
    enabledJWA: {
      clientAuthSigningAlgValues: ['ES256', 'PS256', 'RS256', 'Ed25519', 'EdDSA'],
      idTokenSigningAlgValues: ['RS256', 'ES256'],
      dPoPSigningAlgValues: ['ES256', 'PS256', 'Ed25519', 'EdDSA'],
    },
    clientDefaults: { id_token_signed_response_alg: 'RS256', grant_types: ['authorization_code'] },
    extraClientMetadata: { properties: ['require_pkce', 'default_resource'] },
    extraParams: ['setup'],
    discovery: { ui_locales_supported: ['en', 'zh-CN'], claim_types_supported: ['normal'] },
    // RFC 9700 section 2.1.1; a legacy confidential client can be opted out.
    pkce: { required: (_ctx, client) => client['require_pkce'] !== false },
    clockTolerance: 15,
    clientBasedCORS: (_ctx, origin, client) =>
      client.clientAuthMethod === 'none' &&
      (client.redirectUris ?? []).some((uri) => URL.parse(uri)?.origin === origin),

    findAccount: createFindAccount(db),
    loadExistingGrant: createLoadExistingGrant({ db, stores, grants }),
    interactions: { policy: createPolicy(), url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    extraTokenClaims,
    formats: { customizers: { jwt: createJwtCustomizer(stores, secrets.revocationKey, deps.handles) } },
    pairwiseIdentifier: async (_ctx, subject, client) =>
      keyedHash(secrets.pairwiseSalt, String(client.sectorIdentifier), subject).toString('base64url'),
    issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: mustRotate,
    // The grant row is the authority: ending it ends every token of it.
    revokeGrantPolicy: () => true,
    assertJwtClientAuthClaimsAndHeader: checkClientAssertion,
    renderError: pages.problem,
    features: featuresOf(deps),
    ttl: lifetimesOf(config),
    fetch: createFetch(config.allowPrivateNetworkFetch),
    // Keys and sector lists are small; a client's server could answer without end.
    fetchResponseBodyLimits: { jwks_uri: 65_536, sector_identifier_uri: 65_536 },
  } as Configuration;
}

function featuresOf({ db, stores, secrets, pages, apis }: EngineDeps): Configuration['features'] {
  return {
    devInteractions: { enabled: false },
    claimsParameter: { enabled: true },
    clientCredentials: { enabled: true },
    externalSigningSupport: { enabled: true, ack: 'experimental-01' },
    dPoP: { enabled: true, nonceSecret: secrets.dpopNonceSecret, requireNonce: () => false },
    introspection: {
      enabled: true,
      // RFC 7662 section 4: an API's credential sees its own audience, a client its own tokens.
      allowedPolicy: async (_ctx, client, token) => {
        if (client.clientAuthMethod === 'none') return false;
        if (token.kind !== 'ClientCredentials' && !(await isOfActivePerson(db, token))) return false;
        if (token.clientId === client.clientId) return true;
        // A token of a client that is gone or disabled is worth nothing.
        if (!token.clientId || !(await stores.client.find(token.clientId))) return false;
        const audience = await findAudienceOf(connectionOf(db), client.clientId);
        return audience !== undefined && 'aud' in token && token.aud === audience;
      },
    },
    pushedAuthorizationRequests: { enabled: true },
    resourceIndicators: createResourceIndicators(db, apis),
    revocation: {
      enabled: true,
      allowedPolicy: async (_ctx, client, token) => {
        if (token.clientId === client.clientId) return true;
        throw new errors.InvalidRequest('this token was issued to another client');
      },
    },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (ctx, form) => pages.signOut(ctx, form) as Promise<void>,
      postLogoutSuccessSource: (ctx) => pages.signedOut(ctx) as Promise<void>,
    },
    userinfo: { enabled: true },
  };
}

function lifetimesOf({ session, tokens }: Config): Configuration['ttl'] {
  const now = () => Math.floor(Date.now() / 1000);
  return {
    AccessToken: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? tokens.accessSeconds,
    ClientCredentials: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? tokens.accessSeconds,
    AuthorizationCode: CODE_SECONDS,
    IdToken: 3600,
    Interaction: INTERACTION_SECONDS,
    // A grant outlives the last refresh token that can be made from it.
    Grant: tokens.refreshSeconds + session.absoluteSeconds,
    // One family has an absolute life, however often it rotates (ASVS 5.0 10.4.8).
    RefreshToken: (_ctx, token) => Math.max((token.iiat ?? now()) + tokens.refreshSeconds - now(), 1),
    // Never zero: the engine has built its redirect by then (the absolute end is enforced in the store).
    Session: (_ctx, { loginTs }) => {
      const left = loginTs === undefined ? session.idleSeconds : loginTs + session.absoluteSeconds - now();
      return Math.max(Math.min(session.idleSeconds, left), 1);
    },
  } as Configuration['ttl'];
}

/** RFC 9700 section 4.14.2: public clients that prove possession of no key rotate at every use; nobody else does. */
function mustRotate(ctx: KoaContextWithOIDC): boolean {
  const { client, entities } = ctx.oidc;
  return client?.clientAuthMethod === 'none' && !entities.RefreshToken?.isSenderConstrained();
}

/** FAPI 2.0 section 5.3.2.1: the audience is the issuer, as a string; anything wider could be replayed elsewhere. */
function checkClientAssertion(ctx: KoaContextWithOIDC, claims: { aud?: unknown; exp?: unknown }): void {
  const { issuer } = ctx.oidc.provider;
  if (claims.aud !== issuer)
    throw new errors.InvalidClientAuth(`aud must be the issuer as a string: ${issuer}`);
  const now = Math.floor(Date.now() / 1000);
  if (typeof claims.exp !== 'number' || claims.exp > now + MAX_ASSERTION_SECONDS) {
    throw new errors.InvalidClientAuth(`exp must be at most ${MAX_ASSERTION_SECONDS} seconds away`);
  }
}

/** Outbound calls keep the engine's dispatcher, which refuses private addresses after connecting, unless an operator allowed them. */
function createFetch(allowPrivate: boolean) {
  return (url: string | URL, options: RequestInit & { dispatcher?: unknown }): Promise<Response> => {
    const { dispatcher, ...rest } = options;
    return fetch(url, allowPrivate ? rest : options);
  };
}
