/** Pages that the engine asks for: signing out, and its errors. */
import type { Context } from 'koa';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { errors } from 'oidc-provider';
import type { EnginePages } from '../server/oidc/create.ts';
import type { MessageKey } from '../server/web/i18n/i18n.ts';
import { sendPage } from '../server/web/page.ts';
import { showDeadEnd } from './dead-end.ts';
import { type JourneyDeps, shownClient } from './journey.ts';
import { problemView } from './problem.view.ts';
import { signOutView } from './sign-out.view.ts';
import { signedOutView } from './signed-out.view.ts';

export function createEnginePages(deps: JourneyDeps): EnginePages {
  return {
    async signOut(ctx) {
      const { session, client } = ctx.oidc;
      const view = signOutView(deps.makePage(ctx as never), {
        action: ctx.oidc.urlFor('end_session_confirm'),
        xsrf: String((session?.state as { secret?: string } | undefined)?.secret),
        automatic: await isOwnHint(ctx),
        ...(await shownClient(deps, client)),
      });
      sendPage(ctx as never, view, { status: 200, kind: 'interaction' });
    },

    async signedOut(ctx) {
      const { client } = ctx.oidc;
      const view = signedOutView(deps.makePage(ctx as never), {
        signIn: '/account',
        ...(await shownClient(deps, client)),
      });
      sendPage(ctx as never, view, { status: 200, kind: 'interaction' });
    },

    async problem(ctx, out, error) {
      const uid = /^\/auth\/([\w-]+)$/.exec(ctx.path)?.[1];
      if (uid && error instanceof errors.SessionNotFound) return showDeadEnd(deps, ctx as never, uid);
      showProtocolProblem(deps, ctx as never, ctx.status, out);
    },
  };
}

/** A page about a protocol error: what happened for people, and the code for whoever registered the application. */
export function showProtocolProblem(
  deps: Pick<JourneyDeps, 'makePage'>,
  ctx: Context,
  status: number,
  out: { error: string; error_description?: string },
): void {
  const page = deps.makePage(ctx);
  const key = explanations[out.error] ?? 'problem.protocol.explanation';
  const view = problemView(page, {
    heading: page.t('problem.protocol.title'),
    explanation: page.t(key),
    wayOn: [{ href: '/account', label: page.t('problem.account') }],
    developer: {
      error: out.error,
      ...(out.error_description ? { description: out.error_description } : {}),
      docs: `/docs/errors#${out.error}`,
    },
    reference: page.requestId,
  });
  sendPage(ctx, view, { status, kind: 'interaction' });
}

const explanations: Record<string, MessageKey> = {
  invalid_client: 'problem.invalid_client.explanation',
  invalid_redirect_uri: 'problem.invalid_redirect_uri.explanation',
};

/**
 * Whether the hint is an ID token of this very session: then signing out needs no question. Anything else asks, because a GET alone
 * must never sign a person out (OpenID Connect RP-Initiated Logout section 2 and 6).
 */
async function isOwnHint(ctx: KoaContextWithOIDC): Promise<boolean> {
  const { session, client } = ctx.oidc;
  const hint = (ctx.oidc.entities as { IdTokenHint?: { payload: { sub?: string; sid?: string } } })
    .IdTokenHint;
  if (!hint || !client || !session?.accountId) return false;
  const { sub, sid } = hint.payload;
  const expected = await subjectFor(ctx, session.accountId);
  return sub === expected && (sid === undefined || sid === session.sidFor(client.clientId));
}

/** The "sub" of the signed-in person as this client sees it, which may be a pairwise one. */
async function subjectFor(ctx: KoaContextWithOIDC, subject: string): Promise<string | undefined> {
  const { Claims } = ctx.oidc.provider as unknown as {
    Claims: new (
      available: object,
      options: object,
    ) => { scope(value: string): { result(): Promise<{ sub?: string }> } };
  };
  const claims = await new Claims({ sub: subject }, { ctx, client: ctx.oidc.client })
    .scope('openid')
    .result();
  return claims.sub;
}
