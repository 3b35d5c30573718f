/**
 * Pages that need a session: the person's own account, and what they may manage.
 *
 * Owns: those pages and the way to sign-in and back. Refuses: a session of its own. The engine's session is the only one; the built-in
 * client "portal" exists to reach sign-in through the same journey as every application, and its code is thrown away.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Context } from 'koa';
import type { Knex } from 'knex';
import type Provider from 'oidc-provider';
import { findAccountBySubject, type StoredAccount } from '../db/accounts.ts';
import type { Audit } from '../server/audit/audit.ts';
import { PORTAL_CLIENT_ID, portalRedirectUri } from '../server/clients/portal-client.ts';
import type { Config } from '../server/config.ts';
import type { Csrf } from '../server/web/csrf.ts';
import type { MakePage } from '../server/web/page-context.ts';

export interface PortalDeps {
  config: Config;
  db: Knex;
  provider(): Provider;
  csrf: Csrf;
  makePage: MakePage;
  audit: Audit;
}

export type BrowserSession = Awaited<ReturnType<Provider['Session']['get']>>;

export interface SignedIn {
  session: BrowserSession;
  account: StoredAccount;
  /** What the page's forms are bound to. */
  csrfBinding: string;
}

/** Who is signed in in this browser; undefined when nobody is, or when the account is not active. */
export async function findSignedIn(
  { db, provider }: PortalDeps,
  ctx: Context,
): Promise<SignedIn | undefined> {
  const session = await provider().Session.get(ctx as never);
  const account = session.accountId ? await findAccountBySubject(db, session.accountId) : undefined;
  if (account?.status !== 'active') return undefined;
  return { session, account, csrfBinding: `session:${session.uid}` };
}

/** Sends the browser to sign-in, and afterwards back to `returnTo`, a path of this site. */
export function redirectToSignIn(
  { config }: PortalDeps,
  ctx: Context,
  returnTo: string,
  extra: Record<string, string> = {},
): void {
  const query = new URLSearchParams({
    client_id: PORTAL_CLIENT_ID,
    response_type: 'code',
    scope: 'openid',
    redirect_uri: portalRedirectUri(config.issuer),
    state: returnTo,
    // Nobody will redeem the code, so nobody needs the verifier.
    code_challenge: createHash('sha256').update(randomBytes(32)).digest('base64url'),
    code_challenge_method: 'S256',
    ...extra,
  });
  ctx.redirect(`/auth?${query}`);
  ctx.status = 303;
  ctx.set('Cache-Control', 'no-store');
}
