/**
 * Pages inside a protocol journey, or that need no session.
 *
 * Owns: what is asked of a person between an authorization request and its answer. Refuses: deciding what has to be asked
 * (server/oidc/policy) and going from step to step: each step ends by handing its result to the engine, which decides what is next.
 *
 * This file: what every step needs, and the proof that the browser is the one that the journey began in.
 */
import type { Context } from 'koa';
import type { Knex } from 'knex';
import type Provider from 'oidc-provider';
import type { Client, Interaction } from 'oidc-provider';
import { errors } from 'oidc-provider';
import type { Actor, Audit } from '../server/audit/audit.ts';
import type { AccountDeps } from '../server/accounts/accounts.ts';
import { clientLogoPath } from '../server/clients/logos.ts';
import { PORTAL_CLIENT_ID } from '../server/clients/portal-client.ts';
import type { Config } from '../server/config.ts';
import type { EngineStores } from '../server/oidc/stores.ts';
import { type Form, readForm } from '../server/web/body.ts';
import type { Csrf } from '../server/web/csrf.ts';
import type { PageContext } from '../server/web/page.ts';
import type { MakePage } from '../server/web/page-context.ts';

export interface JourneyDeps {
  config: Config;
  db: Knex;
  stores: EngineStores;
  /** The engine that answers now; keys rotate by replacing it. */
  provider(): Provider;
  csrf: Csrf;
  makePage: MakePage;
  audit: Audit;
  accounts: AccountDeps;
}

/** The engine's interaction, with the members that its types leave open. */
export type Journey = Interaction & { uid: string };

/** The browser has no cookie of this journey, or the journey is over. */
export class LostJourney extends Error {
  override readonly name = 'LostJourney';
  readonly uid: string;

  constructor(uid: string, cause?: unknown) {
    super('the interaction of this address is not under way in this browser', { cause });
    this.uid = uid;
  }
}

/**
 * The journey of this address, when it is under way in this browser: the cookie is bound to the path and signed.
 *
 * @throws {LostJourney}
 */
export async function getJourney({ provider }: JourneyDeps, ctx: Context): Promise<Journey> {
  const uid = String(ctx['params']?.uid);
  try {
    const journey = (await provider().interactionDetails(ctx.req, ctx.res)) as Journey;
    if (journey.uid === uid) return journey;
  } catch (error) {
    if (!(error instanceof errors.SessionNotFound)) throw error;
    throw new LostJourney(uid, error);
  }
  throw new LostJourney(uid);
}

/** Reads the form of a step and checks that it was sent from its own page in this browser. */
export async function readStep(deps: JourneyDeps, ctx: Context): Promise<{ journey: Journey; form: Form }> {
  const form = await readForm(ctx);
  const journey = await getJourney(deps, ctx);
  deps.csrf.check(ctx, csrfBinding(journey), form.get('csrf'));
  return { journey, form };
}

export function csrfBinding(journey: Journey): string {
  return `interaction:${journey.uid}`;
}

/** Hands the outcome of a step to the engine, which asks what is next or answers the client (303). */
export async function finishStep(
  { provider }: JourneyDeps,
  ctx: Context,
  result: Parameters<Provider['interactionResult']>[2],
): Promise<void> {
  const returnTo = await provider().interactionResult(ctx.req, ctx.res, result);
  ctx.status = 303;
  ctx.redirect(returnTo);
  ctx.status = 303;
  ctx.set('Cache-Control', 'no-store');
}

/** Page context of a journey; `ui_locales` of the request decides the language first. */
export function journeyPage({ makePage }: JourneyDeps, ctx: Context, journey: Journey): PageContext {
  const uiLocales = journey.params['ui_locales'];
  return makePage(
    ctx,
    { uiLocales: typeof uiLocales === 'string' ? uiLocales : undefined },
    ctx.method === 'GET' ? ctx.url : `/interaction/${journey.uid}`,
  );
}

/** Who asks, as the pages show it; the built-in client has no name to show. */
export async function clientOf({ provider }: JourneyDeps, journey: Journey) {
  const client = await provider().Client.find(String(journey.params['client_id']));
  if (!client) throw new LostJourney(journey.uid);
  return client;
}

/** Who does what happens in this request, for the audit trail. */
export function actorOf(ctx: Context, accountId?: string): Actor {
  return { accountId, ip: ctx.state['ip'] as string, requestId: ctx.state['requestId'] as string };
}

/** The client as pages show it; the built-in one is the server itself and is not named. */
export async function shownClient(
  { stores }: Pick<JourneyDeps, 'stores'>,
  client: Client | undefined,
): Promise<{ client?: { name: string; logoUrl?: string; href?: string } }> {
  if (!client || client.clientId === PORTAL_CLIENT_ID) return {};
  const facts = await stores.client.factsOf(client.clientId);
  const logoUrl = clientLogoPath(client.clientId, facts?.logo_hash ?? null);
  return {
    client: {
      name: client.clientName ?? client.clientId,
      ...(logoUrl ? { logoUrl } : {}),
      ...(client.clientUri ? { href: client.clientUri } : {}),
    },
  };
}
