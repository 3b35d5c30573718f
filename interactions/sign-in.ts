/** Page A: identifier and password. */
import type { Context } from 'koa';
import { findAccountBySubject } from '../db/accounts.ts';
import { signInWithPassword } from '../server/accounts/accounts.ts';
import { sendPage } from '../server/web/page.ts';
import {
  actorOf,
  clientOf,
  csrfBinding,
  finishStep,
  getJourney,
  type Journey,
  type JourneyDeps,
  journeyPage,
  readStep,
  shownClient,
} from './journey.ts';
import { type SignInProps, signInView } from './sign-in.view.ts';

/** The engine's `amr` for a password (RFC 8176), and the level that it alone reaches. */
const PASSWORD_RESULT = { acr: '1', amr: ['pwd'] };

/** Shows the form, with the account fixed when the session's own person has to prove again who they are. */
export async function showSignIn(deps: JourneyDeps, ctx: Context, journey: Journey): Promise<void> {
  const hint = journey.params['login_hint'];
  const fixed = await fixedAccountOf(deps, journey);
  await render(deps, ctx, journey, 200, {
    identifier: typeof hint === 'string' ? hint.slice(0, 254) : '',
    ...(fixed ? { fixedAccount: fixed } : {}),
  });
}

/** GET /interaction/:uid/sign-in: another account than the one of the session. */
export async function showOtherAccount(deps: JourneyDeps, ctx: Context): Promise<void> {
  await render(deps, ctx, await getJourney(deps, ctx), 200, { identifier: '' });
}

/** POST /interaction/:uid/switch-account */
export async function switchAccount(deps: JourneyDeps, ctx: Context): Promise<void> {
  const { journey } = await readStep(deps, ctx);
  ctx.redirect(`/interaction/${journey.uid}/sign-in`);
  ctx.status = 303;
}

/** POST /interaction/:uid/sign-in */
export async function submitSignIn(deps: JourneyDeps, ctx: Context): Promise<void> {
  const { journey, form } = await readStep(deps, ctx);
  const identifier = form.get('identifier').slice(0, 254);
  const outcome = await signInWithPassword(deps.db, deps.accounts.hasher, identifier, form.get('password'));
  const accountId = 'accountId' in outcome ? outcome.accountId : undefined;
  await deps.audit.record(deps.db, {
    kind: outcome.ok ? 'login_succeeded' : 'login_failed',
    actor: actorOf(ctx, accountId),
    accountId,
    clientId: String(journey.params['client_id']),
    detail: outcome.ok ? { method: 'password' } : { reason: outcome.reason },
  });
  if (!outcome.ok) {
    const fixed = await fixedAccountOf(deps, journey);
    return render(deps, ctx, journey, outcome.reason === 'suspended' ? 403 : 422, {
      identifier,
      failure: outcome.reason,
      ...(fixed?.identifier === identifier ? { fixedAccount: fixed } : {}),
    });
  }
  await finishStep(deps, ctx, {
    login: { accountId: outcome.subject, ...PASSWORD_RESULT },
    // Who has just signed in has chosen the account.
    ...(String(journey.params['prompt'] ?? '').includes('select_account') ? { select_account: {} } : {}),
  });
}

/** POST /interaction/:uid/cancel: back to the application without signing in (RFC 6749 section 4.1.2.1). */
export async function cancel(deps: JourneyDeps, ctx: Context): Promise<void> {
  await readStep(deps, ctx);
  await finishStep(deps, ctx, { error: 'access_denied', error_description: 'the person cancelled' });
}

async function render(
  deps: JourneyDeps,
  ctx: Context,
  journey: Journey,
  status: number,
  props: Pick<SignInProps, 'identifier' | 'failure' | 'fixedAccount'>,
): Promise<void> {
  const client = await clientOf(deps, journey);
  const base = `/interaction/${journey.uid}`;
  const view = signInView(journeyPage(deps, ctx, journey), {
    action: `${base}/sign-in`,
    csrf: deps.csrf.token(csrfBinding(journey)),
    cancel: `${base}/cancel`,
    switchAccount: `${base}/switch-account`,
    ...(await shownClient(deps, client)),
    ...props,
  });
  sendPage(ctx, view, { status, kind: 'interaction' });
}

/** The engine's reasons to ask for a sign-in by somebody else than the session's person. */
const asksForAnother: ReadonlySet<string> = new Set(['id_token_hint', 'claims_id_token_sub_value']);

/** Who has to prove again who they are. */
async function fixedAccountOf({ db }: JourneyDeps, journey: Journey) {
  const { name, reasons } = journey.prompt;
  if (name !== 'login' || reasons.some((reason) => asksForAnother.has(reason))) return undefined;
  const subject = journey.session?.accountId;
  const account = subject ? await findAccountBySubject(db, subject) : undefined;
  if (account?.status !== 'active') return undefined;
  return { name: account.name, identifier: account.identifiers[0]?.value ?? '' };
}
