/**
 * `loadExistingGrant`: the engine's Grant, made from the consents of the person.
 *
 * Consents survive sessions; a Grant belongs to one session and client, so that a sign-out on the phone does not end the desktop.
 */
import type { Knex } from 'knex';
import type { Grant, KoaContextWithOIDC } from 'oidc-provider';
import { listConsents, type StoredConsent } from '../../db/consents.ts';
import { connectionOf, writeConnectionOf } from '../../db/unit-of-work.ts';
import type { GrantRevocation } from '../grants/revocation.ts';
import { accountOf } from './account.ts';
import { isTrusted } from './clients.ts';
import type { EngineStores } from './stores.ts';

/** Space-separated scopes, in one order. */
interface Part {
  openid?: { scope?: string; claims?: string[] };
  resources?: Record<string, string>;
}

/** What a Grant holds, in the engine's own shape. */
export interface GrantContent extends Part {
  rejected?: Part;
}

interface GrantDeps {
  db: Knex;
  stores: EngineStores;
  grants: GrantRevocation;
}

export function createLoadExistingGrant({ db, stores, grants }: GrantDeps) {
  return async (ctx: KoaContextWithOIDC): Promise<Grant | undefined> => {
    const { session, client } = ctx.oidc;
    const account = accountOf(ctx);
    if (!session || !client || !account) return undefined;
    const [existing, consents, facts] = [
      await stores.grant.findOfSession(session.uid, client.clientId),
      await listConsents(connectionOf(db), account.id, client.clientId),
      await stores.client.factsOf(client.clientId),
    ];
    const before = existing ? contentOf(existing) : undefined;
    const wanted =
      facts && isTrusted(client, facts) ? trustedContent(ctx, before) : consentedContent(consents);
    if (!wanted) return undefined;

    const { Grant } = ctx.oidc.provider;
    const identity = { accountId: account.subject, clientId: client.clientId };
    if (existing && before) {
      if (sameContent(before, wanted)) return new Grant(existing as ConstructorParameters<typeof Grant>[0]);
      if (isWithin(before, wanted))
        return save(new Grant({ ...withoutContent(existing), ...wanted } as never));
      // Scopes were taken back. A Grant only ever grows, so this one ends and its tokens with it.
      await grants.endGrant(await writeConnectionOf(db), String(existing.jti), 'consent_reduced');
    }
    return openGrant(ctx, stores, new Grant({ ...identity, ...wanted } as never), session.uid);
  };
}

async function save(grant: Grant): Promise<Grant> {
  await grant.save();
  return grant;
}

async function openGrant(
  ctx: KoaContextWithOIDC,
  stores: EngineStores,
  grant: Grant,
  sessionUid: string,
): Promise<Grant | undefined> {
  const model = grant as Grant & {
    generateTokenId(): string;
    getValueAndPayload(): Promise<{ payload: never }>;
    remainingTTL: number;
  };
  model.jti = model.generateTokenId();
  const seconds = model.remainingTTL;
  model.exp = Math.floor(Date.now() / 1000) + seconds;
  const { payload } = await model.getValueAndPayload();
  const id = await stores.grant.open(model.jti, payload, sessionUid, seconds);
  return id === model.jti ? grant : ctx.oidc.provider.Grant.find(id);
}

/** A trusted first-party client has whatever it asks for; what it had stays. */
function trustedContent(ctx: KoaContextWithOIDC, before: GrantContent | undefined): GrantContent {
  const { oidc } = ctx;
  const resources = { ...before?.resources };
  for (const [identifier, server] of Object.entries(oidc.resourceServers ?? {})) {
    const scopes = [...oidc.requestParamScopes].filter((scope) => server.scopes.has(scope));
    resources[identifier] = joinScopes(resources[identifier], scopes);
  }
  return normalise({
    openid: {
      scope: joinScopes(before?.openid?.scope, [...oidc.requestParamOIDCScopes]),
      claims: [...new Set([...(before?.openid?.claims ?? []), ...oidc.requestParamClaims])],
    },
    resources,
  });
}

/** Replays both halves: without the refusals the engine would ask again on every resume, for ever. */
function consentedContent(consents: readonly StoredConsent[]): GrantContent | undefined {
  if (consents.length === 0) return undefined;
  const granted: Part = {};
  const rejected: Part = {};
  for (const consent of consents) {
    add(granted, consent.identifier, consent.granted_scopes, consent.granted_claims);
    add(rejected, consent.identifier, consent.refused_scopes, consent.refused_claims);
  }
  return normalise({ ...granted, rejected });
}

function add(part: Part, identifier: string | null, scopes: string[], claims: string[]): void {
  if (identifier === null) part.openid = { scope: scopes.join(' '), claims };
  else part.resources = { ...part.resources, [identifier]: scopes.join(' ') };
}

function contentOf(payload: object): GrantContent {
  const { openid, resources, rejected } = payload as GrantContent;
  return normalise({
    ...(openid ? { openid } : {}),
    ...(resources ? { resources } : {}),
    ...(rejected ? { rejected } : {}),
  });
}

/** What is not wanted any more must not stay: a scope that was refused once may be granted now. */
function withoutContent(payload: object): object {
  const { openid, resources, rejected, ...rest } = payload as GrantContent;
  return rest;
}

function normalise(content: GrantContent): GrantContent {
  const { rejected, ...granted } = content;
  const refused = rejected && normalisePart(rejected);
  return {
    ...normalisePart(granted),
    ...(refused && Object.keys(refused).length > 0 ? { rejected: refused } : {}),
  };
}

function normalisePart({ openid, resources }: Part): Part {
  const scope = joinScopes(openid?.scope, []);
  const claims = [...new Set(openid?.claims)].sort();
  const entries = Object.entries(resources ?? {})
    .map(([identifier, scopes]) => [identifier, joinScopes(scopes, [])] as const)
    .filter(([, scopes]) => scopes !== '')
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    ...(scope || claims.length > 0
      ? { openid: { ...(scope ? { scope } : {}), ...(claims.length > 0 ? { claims } : {}) } }
      : {}),
    ...(entries.length > 0 ? { resources: Object.fromEntries(entries) } : {}),
  };
}

function joinScopes(scopes: string | undefined, more: readonly string[]): string {
  return [...new Set([...(scopes ?? '').split(' '), ...more])].filter(Boolean).sort().join(' ');
}

function sameContent(a: GrantContent, b: GrantContent): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Whether everything that `before` really gave is still given by `wanted`. */
function isWithin(before: GrantContent, wanted: GrantContent): boolean {
  const had = [...effective(before)];
  const has = effective(wanted);
  return had.every((entry) => has.has(entry));
}

function effective(content: GrantContent): Set<string> {
  const entries = new Set(flatten(content));
  for (const entry of flatten(content.rejected ?? {})) {
    if (entry !== 'scope  openid') entries.delete(entry);
  }
  return entries;
}

function flatten({ openid, resources }: Part): string[] {
  const split = (text: string | undefined) => (text ? text.split(' ') : []);
  return [
    ...split(openid?.scope).map((scope) => `scope  ${scope}`),
    ...(openid?.claims ?? []).map((claim) => `claim  ${claim}`),
    ...Object.entries(resources ?? {}).flatMap(([api, scopes]) =>
      split(scopes).map((scope) => `scope ${api} ${scope}`),
    ),
  ];
}
