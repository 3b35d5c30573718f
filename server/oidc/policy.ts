/** When a person is asked something: the engine's own prompts, plus the rules of this service. */
import type { KoaContextWithOIDC } from 'oidc-provider';
import { interactionPolicy } from 'oidc-provider';
import { PORTAL_CLIENT_ID } from '../clients/portal-client.ts';
import { accountOf } from './account.ts';
import { hasAssuredIdentity } from './clients.ts';

const { Check, Prompt, base } = interactionPolicy;

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
