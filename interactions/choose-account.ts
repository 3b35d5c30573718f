/** Page C: with which account to go on (`prompt=select_account`). */
import type { Context } from 'koa';
import { findAccountBySubject } from '../db/accounts.ts';
import { sendPage } from '../server/web/page.ts';
import { chooseAccountView } from './choose-account.view.ts';
import {
  clientOf,
  csrfBinding,
  finishStep,
  type Journey,
  type JourneyDeps,
  journeyPage,
  readStep,
  shownClient,
} from './journey.ts';

export async function showChooseAccount(deps: JourneyDeps, ctx: Context, journey: Journey): Promise<void> {
  const client = await clientOf(deps, journey);
  const subject = journey.session?.accountId;
  const account = subject ? await findAccountBySubject(deps.db, subject) : undefined;
  const view = chooseAccountView(journeyPage(deps, ctx, journey), {
    action: `/interaction/${journey.uid}/account`,
    csrf: deps.csrf.token(csrfBinding(journey)),
    ...(await shownClient(deps, client)),
    accounts: account
      ? [{ name: account.name, identifier: account.identifiers[0]?.value ?? '', subject: account.subject }]
      : [],
  });
  sendPage(ctx, view, { status: 200, kind: 'interaction' });
}

/** POST /interaction/:uid/account */
export async function submitChooseAccount(deps: JourneyDeps, ctx: Context): Promise<void> {
  const { journey, form } = await readStep(deps, ctx);
  // Only the account of this very session can be chosen without signing in.
  if (form.get('another') || form.get('account') !== journey.session?.accountId) {
    ctx.redirect(`/interaction/${journey.uid}/sign-in`);
    ctx.status = 303;
    return;
  }
  await finishStep(deps, ctx, { select_account: {} });
}
