/** Page F: what an application may have. Each scope is a choice of its own, and a refusal is remembered like a grant. */
import type { Context } from 'koa';
import type { Client } from 'oidc-provider';
import { findApi, type StoredApi } from '../db/access.ts';
import { findAccountBySubject, type StoredAccount } from '../db/accounts.ts';
import { listConsents } from '../db/consents.ts';
import { listAllowedScopes } from '../server/access/apis.ts';
import { type Asked, claimsOf, recordDecisions, requiredScopes } from '../server/grants/consents.ts';
import { clientLogoPath } from '../server/clients/logos.ts';
import { claimsOfScope } from '../server/oidc/account.ts';
import { isTrusted } from '../server/oidc/clients.ts';
import type { ClientFacts } from '../server/oidc/stores.ts';
import type { Locale } from '../server/web/i18n/i18n.ts';
import { type PageContext, sendPage } from '../server/web/page.ts';
import { type ConsentProps, type ConsentScope, consentView } from './consent.view.ts';
import {
  actorOf,
  clientOf,
  csrfBinding,
  finishStep,
  type Journey,
  type JourneyDeps,
  journeyPage,
  LostJourney,
  readStep,
} from './journey.ts';

export async function showConsent(deps: JourneyDeps, ctx: Context, journey: Journey): Promise<void> {
  const client = await clientOf(deps, journey);
  const facts = await deps.stores.client.factsOf(client.clientId);
  // A first-party application has no page; the prompt only marks that it was asked for (offline_access needs it).
  if (facts && isTrusted(client, facts)) return finishStep(deps, ctx, { consent: {} });
  const account = await getAccount(deps, journey);
  const asked = await whatIsAsked(deps, journey, client, account);
  const page = journeyPage(deps, ctx, journey);
  const base = `/interaction/${journey.uid}`;
  const view = consentView(page, {
    action: `${base}/consent`,
    csrf: deps.csrf.token(csrfBinding(journey)),
    switchAccount: `${base}/switch-account`,
    client: presentClient(client, journey, facts),
    account: { name: account.name, identifier: account.identifiers[0]?.value ?? '' },
    groups: groupsOf(page, asked, account),
    already: await alreadyAllowed(deps, page, account, client, asked),
    offline: asked.scopes.includes('offline_access'),
  });
  sendPage(ctx, view, { status: 200, kind: 'interaction' });
}

/** POST /interaction/:uid/consent */
export async function submitConsent(deps: JourneyDeps, ctx: Context): Promise<void> {
  const { journey, form } = await readStep(deps, ctx);
  if (journey.prompt.name !== 'consent') throw new LostJourney(journey.uid);
  const client = await clientOf(deps, journey);
  const account = await getAccount(deps, journey);
  const allowed = form.get('decision') === 'allow';
  const chosen = new Set(form.getAll('scope'));
  const asked = await whatIsAsked(deps, journey, client, account);
  await deps.db.transaction(async (trx) => {
    if (allowed) await recordDecisions(trx, account.id, client.clientId, asked, chosen);
    await deps.audit.record(trx, {
      kind: allowed ? 'consent_granted' : 'consent_denied',
      actor: actorOf(ctx, account.id),
      accountId: account.id,
      clientId: client.clientId,
      detail: allowed ? { scopes: [...chosen].slice(0, 100) } : {},
    });
  });
  await finishStep(
    deps,
    ctx,
    allowed ? { consent: {} } : { error: 'access_denied', error_description: 'the person refused' },
  );
}

/** Only what is new, unless the client asked to ask again or its identity cannot be assured. */
async function whatIsAsked(
  deps: JourneyDeps,
  journey: Journey,
  client: Client,
  account: StoredAccount,
): Promise<Asked> {
  const { prompt, params } = journey;
  const everything =
    prompt.reasons.includes('consent_prompt') || prompt.reasons.includes('client_identity_not_assured');
  const requested = String(params['scope'] ?? '')
    .split(' ')
    .filter(Boolean);
  const details = prompt.details as {
    missingOIDCScope?: string[];
    missingOIDCClaims?: string[];
    missingResourceScopes?: Record<string, string[]>;
  };
  const apis: Asked['apis'] = [];
  for (const identifier of resourcesOf(params['resource'] ?? client['default_resource'])) {
    const api = await findApi(deps.db, identifier);
    if (!api) continue;
    const mayHave = await listAllowedScopes(deps.db, api, { accountId: account.id });
    const pool = everything ? requested : (details.missingResourceScopes?.[identifier] ?? []);
    const scopes = pool.filter((scope) => mayHave.includes(scope));
    if (scopes.length > 0) apis.push({ api, scopes });
  }
  const scopes = everything
    ? requested.filter((scope) => Object.hasOwn(openIdScopeTitles, scope))
    : (details.missingOIDCScope ?? []);
  const claims = everything ? claimsNamedBy(params['claims']) : (details.missingOIDCClaims ?? []);
  const decidedWithScopes = new Set(claimsOf(scopes));
  return { scopes, claims: claims.filter((claim) => !decidedWithScopes.has(claim)), apis };
}

/** What the claims parameter asks about the person; the engine has checked its form. */
function claimsNamedBy(parameter: unknown): string[] {
  if (typeof parameter !== 'string') return [];
  const { userinfo, id_token } = JSON.parse(parameter) as { userinfo?: object; id_token?: object };
  const named = new Set([...Object.keys(userinfo ?? {}), ...Object.keys(id_token ?? {})]);
  return Object.values(claimsOfScope)
    .flat()
    .filter((claim) => named.has(claim));
}

function resourcesOf(resource: unknown): string[] {
  if (Array.isArray(resource)) return resource.map(String);
  return typeof resource === 'string' ? [resource] : [];
}

const openIdScopeTitles = {
  openid: 'scope.openid',
  profile: 'scope.profile',
  email: 'scope.email',
  phone: 'scope.phone',
  address: 'scope.address',
  roles: 'scope.roles',
  offline_access: 'consent.offline',
} as const;

type OpenIdScope = keyof typeof openIdScopeTitles;

function groupsOf(page: PageContext, asked: Asked, account: StoredAccount): ConsentProps['groups'] {
  const openId = asked.scopes
    .filter((scope) => scope !== 'offline_access')
    .map((scope) => openIdRow(page, scope as OpenIdScope, account));
  if (asked.claims.length > 0) {
    openId.push({
      name: 'claims',
      title: page.t('scope.claims'),
      value: asked.claims.join(', '),
      required: true,
      checked: true,
    });
  }
  return [
    ...(openId.length > 0 ? [{ scopes: openId }] : []),
    ...asked.apis.map(({ api, scopes }) => ({
      api: { identifier: api.identifier, title: api.title },
      scopes: scopes.map((name) => ({
        name,
        title: apiTitle(api, name, page.locale),
        required: false,
        checked: true,
      })),
    })),
  ];
}

/** A scope is shown with the value it would give away, when it is the reader's own. */
function openIdRow(page: PageContext, scope: OpenIdScope, account: StoredAccount): ConsentScope {
  const identifier = (kind: string) => account.identifiers.find((one) => one.kind === kind)?.value;
  const values: Partial<Record<OpenIdScope, string | undefined>> = {
    profile: account.name,
    email: identifier('email'),
    phone: identifier('phone'),
    roles: account.roles.join(', '),
  };
  const value = values[scope];
  return {
    name: scope,
    title: page.t(openIdScopeTitles[scope]),
    required: requiredScopes.has(scope),
    checked: true,
    ...(value ? { value } : {}),
    ...(scope === 'openid' ? { meaning: page.t('scope.openid.meaning') } : {}),
  };
}

async function alreadyAllowed(
  deps: JourneyDeps,
  page: PageContext,
  account: StoredAccount,
  client: Client,
  asked: Asked,
): Promise<string[]> {
  const titles: string[] = [];
  for (const consent of await listConsents(deps.db, account.id, client.clientId)) {
    const api = consent.identifier === null ? undefined : await findApi(deps.db, consent.identifier);
    const shown = api ? asked.apis.find((one) => one.api.id === api.id)?.scopes : asked.scopes;
    for (const scope of consent.granted_scopes) {
      if (shown?.includes(scope)) continue;
      titles.push(api ? apiTitle(api, scope, page.locale) : page.t(openIdScopeTitles[scope as OpenIdScope]));
    }
  }
  return titles;
}

function apiTitle(api: StoredApi, scope: string, locale: Locale): string {
  const titles = api.scopes.find(({ name }) => name === scope)?.titles;
  return titles?.[locale] ?? titles?.en ?? scope;
}

function presentClient(
  client: Client,
  journey: Journey,
  facts: ClientFacts | undefined,
): ConsentProps['client'] {
  const logoUrl = clientLogoPath(client.clientId, facts?.logo_hash ?? null);
  const redirect = URL.parse(String(journey.params['redirect_uri']));
  return {
    name: client.clientName ?? client.clientId,
    registeredAt: new Date(facts?.created_at ?? 0),
    returnHost: redirect?.host || String(redirect?.protocol ?? ''),
    native: client.applicationType === 'native',
    firstParty: facts?.first_party ?? false,
    ...(logoUrl ? { logoUrl } : {}),
    ...(client.clientUri ? { homepage: client.clientUri } : {}),
    ...(client.tosUri ? { terms: client.tosUri } : {}),
    ...(client.policyUri ? { privacy: client.policyUri } : {}),
  };
}

async function getAccount(deps: JourneyDeps, journey: Journey): Promise<StoredAccount> {
  const subject = journey.session?.accountId;
  const account = subject ? await findAccountBySubject(deps.db, subject) : undefined;
  if (account?.status !== 'active') throw new LostJourney(journey.uid);
  return account;
}
