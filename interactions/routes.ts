/** Where each step of a journey is shown and sent. Steps never route to one another: they return to the engine. */
import type Router from '@koa/router';
import type { Context } from 'koa';
import { showChooseAccount, submitChooseAccount } from './choose-account.ts';
import { showConsent, submitConsent } from './consent.ts';
import { getJourney, type JourneyDeps } from './journey.ts';
import { isSetup, showSetup, submitSetup } from './setup.ts';
import { cancel, showOtherAccount, showSignIn, submitSignIn, switchAccount } from './sign-in.ts';

type Step = (deps: JourneyDeps, ctx: Context) => Promise<void> | void;

export function mountInteractions(router: Router, deps: JourneyDeps): void {
  const base = '/interaction/:uid';
  const get = (path: string, step: Step) => router.get(path, (ctx) => step(deps, ctx as unknown as Context));
  const post = (path: string, step: Step) =>
    router.post(path, (ctx) => step(deps, ctx as unknown as Context));
  get(base, showStep);
  get(`${base}/sign-in`, showOtherAccount);
  post(`${base}/sign-in`, submitSignIn);
  post(`${base}/switch-account`, switchAccount);
  post(`${base}/account`, submitChooseAccount);
  post(`${base}/setup`, submitSetup);
  post(`${base}/consent`, submitConsent);
  post(`${base}/cancel`, cancel);
}

/** GET /interaction/:uid: shows what the engine wants to know now. */
async function showStep(deps: JourneyDeps, ctx: Context): Promise<void> {
  const journey = await getJourney(deps, ctx);
  switch (journey.prompt.name) {
    case 'login':
      return isSetup(journey) ? showSetup(deps, ctx, journey) : showSignIn(deps, ctx, journey);
    case 'select_account':
      return showChooseAccount(deps, ctx, journey);
    case 'consent':
      return showConsent(deps, ctx, journey);
    default:
      throw new Error(`there is no page for the prompt ${journey.prompt.name}`);
  }
}
