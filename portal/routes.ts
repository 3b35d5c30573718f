/** Addresses of the pages that need a session. */
import type Router from '@koa/router';
import type { Context } from 'koa';
import { hasOperator } from '../server/accounts/setup-link.ts';
import { gone } from '../server/errors.ts';
import { finishSignIn, showAccount, signOut } from './account/account.ts';
import { type PortalDeps, redirectToSignIn } from './session.ts';

type Handler = (deps: PortalDeps, ctx: Context) => Promise<void> | void;

export function mountPortal(router: Router, deps: PortalDeps): void {
  const get = (path: string, handler: Handler) =>
    router.get(path, (ctx) => handler(deps, ctx as unknown as Context));
  const post = (path: string, handler: Handler) =>
    router.post(path, (ctx) => handler(deps, ctx as unknown as Context));
  get('/', toAccount);
  get('/setup', startSetup);
  get('/account', showAccount);
  get('/account/callback', finishSignIn);
  post('/account/sign-out', signOut);
}

function toAccount(_deps: PortalDeps, ctx: Context): void {
  ctx.redirect('/account');
  ctx.status = 303;
}

/** GET /setup: the journey that makes the first operator. The key stays in the fragment, which browsers carry along redirects. */
async function startSetup(deps: PortalDeps, ctx: Context): Promise<void> {
  if (await hasOperator(deps.db))
    throw gone('already_set_up', 'This server has an operator already. Sign in instead.');
  redirectToSignIn(deps, ctx, '/account', { setup: '1', prompt: 'login' });
}
