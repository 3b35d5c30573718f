/** The account page. */
import type { Context } from 'koa';
import { runInUnit, UnitOfWork } from '../../db/unit-of-work.ts';
import { cookieNames } from '../../server/oidc/cookies.ts';
import { readForm } from '../../server/web/body.ts';
import { isLocalPath } from '../../server/web/html.ts';
import { sendPage } from '../../server/web/page.ts';
import { findSignedIn, type PortalDeps, redirectToSignIn } from '../session.ts';
import { accountView } from './account.view.ts';

/** GET /account */
export async function showAccount(deps: PortalDeps, ctx: Context): Promise<void> {
  const signedIn = await findSignedIn(deps, ctx);
  if (!signedIn) return redirectToSignIn(deps, ctx, '/account');
  const { account, csrfBinding } = signedIn;
  const view = accountView(deps.makePage(ctx, { profile: account.locale }), {
    name: account.name,
    identifiers: account.identifiers,
    signOut: '/account/sign-out',
    csrf: deps.csrf.token(csrfBinding),
  });
  sendPage(ctx, view, { status: 200, kind: 'portal' });
}

/** GET /account/callback: back from sign-in. The code in the address is left unused; nobody can redeem it. */
export function finishSignIn(_deps: PortalDeps, ctx: Context): void {
  const { state } = ctx.query;
  ctx.redirect(typeof state === 'string' && isLocalPath(state) ? state : '/account');
  ctx.status = 303;
  ctx.set('Cache-Control', 'no-store');
}

/** POST /account/sign-out: ends this browser's session and what it granted, except offline access. */
export async function signOut(deps: PortalDeps, ctx: Context): Promise<void> {
  const form = await readForm(ctx);
  const signedIn = await findSignedIn(deps, ctx);
  if (signedIn) {
    deps.csrf.check(ctx, signedIn.csrfBinding, form.get('csrf'));
    const unit = new UnitOfWork(deps.db, true);
    await runInUnit(unit, async () => {
      try {
        await signedIn.session.destroy();
        await deps.audit.record(unit.connection, {
          kind: 'session_ended',
          actor: {
            accountId: signedIn.account.id,
            ip: ctx.state['ip'] as string,
            requestId: ctx.state['requestId'] as string,
          },
          accountId: signedIn.account.id,
          detail: { reason: 'signed_out' },
        });
        await unit.settle('commit');
      } catch (error) {
        await unit.settle('rollback');
        throw error;
      }
    });
    const name = cookieNames(deps.config.issuer).session;
    ctx.cookies.set(name, null, {
      path: '/',
      signed: true,
      httpOnly: true,
      sameSite: 'lax',
      secure: ctx.secure,
    });
  }
  ctx.redirect('/session/end/success');
  ctx.status = 303;
}
