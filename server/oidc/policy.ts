/** When a person is asked something: the engine's own prompts, plus the rules of this service. */
import { decodeJwt, decodeProtectedHeader } from 'jose';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { errors, interactionPolicy } from 'oidc-provider';
import { PORTAL_CLIENT_ID } from '../clients/portal-client.ts';
import { accountOf } from './account.ts';
import { hasAssuredIdentity } from './clients.ts';

const { Check, Prompt, base } = interactionPolicy;

/** The levels that signing in here reaches: `acr` of the one step there is, a password. */
export const acrValues = ['1'];

/** Prompts in the order in which they are resolved; steps return here, they never route to one another. */
export function createPolicy() {
  const policy = base();

  const login = policy.get('login');
  if (!login) throw new Error('the engine has no login prompt');
  login.checks.add(
    new Check(
      'account_not_active',
      'the account of this session cannot sign in',
      'login_required',
      (ctx: KoaContextWithOIDC) => Boolean(ctx.oidc.session?.accountId) && !accountOf(ctx),
    ),
  );
  rememberHint(login.checks.get('id_token_hint'));
  login.checks.add(
    new Check('acr_out_of_reach', 'the requested level cannot be reached', requireReachableLevel),
  );
  login.checks.add(
    new Check(
      'setup',
      'the first operator is being set up',
      'login_required',
      (ctx: KoaContextWithOIDC) =>
        ctx.oidc.client?.clientId === PORTAL_CLIENT_ID &&
        ctx.oidc.params?.['setup'] !== undefined &&
        !ctx.oidc.result?.login,
    ),
  );

  policy.add(new Prompt({ name: 'select_account', requestable: true }), 1);

  const consent = policy.get('consent');
  if (!consent) throw new Error('the engine has no consent prompt');
  consent.checks.remove('native_client_prompt');
  consent.checks.add(
    new Check(
      'client_identity_not_assured',
      'this client needs the person to confirm each time',
      'interaction_required',
      (ctx: KoaContextWithOIDC) => {
        const { client, result } = ctx.oidc;
        return client !== undefined && !hasAssuredIdentity(client) && !result?.['consent'];
      },
    ),
  );
  return policy;
}

/**
 * OpenID Connect Core 3.1.2.2: nobody but the person of the hint gets an answer. The engine reads the hint when the request comes in
 * and not when the journey ends, so whoever signed in meanwhile would pass its check.
 */
function rememberHint(check: InstanceType<typeof Check> | undefined): void {
  if (!check) throw new Error('the engine has no check of the hint');
  const isOfAnother = check.check;
  check.check = (ctx) => {
    const { oidc } = ctx;
    const hint = oidc.params?.['id_token_hint'];
    if (typeof hint === 'string' && !oidc.entities.IdTokenHint) {
      // Its signature was verified before it was kept with the journey.
      oidc.entity('IdTokenHint', { header: decodeProtectedHeader(hint), payload: decodeJwt(hint) });
    }
    return isOfAnother(ctx);
  };
}

/**
 * OpenID Connect Core 5.5.1.1: an essential level that cannot be reached is a failed sign-in. The engine would ask for the password
 * again and again.
 */
function requireReachableLevel({ oidc }: KoaContextWithOIDC): boolean {
  const acr = oidc.claims.id_token?.acr;
  if (!acr?.essential) return false;
  const wanted = acr.value === undefined ? acr.values : [acr.value];
  if (Array.isArray(wanted) && !wanted.some((value) => acrValues.includes(value))) {
    throw new errors.UnmetAuthenticationRequirements('none of the requested levels (acr) can be reached');
  }
  return false;
}
