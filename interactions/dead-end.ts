/** Page X: an address of a journey that is over or belongs to another browser; each one has a way on. */
import type { Context } from 'koa';
import type { AdapterPayload, Client } from 'oidc-provider';
import { PORTAL_CLIENT_ID } from '../server/clients/portal-client.ts';
import { sendPage } from '../server/web/page.ts';
import { type DeadEndProps, deadEndView } from './dead-end.view.ts';
import type { JourneyDeps } from './journey.ts';

/** Answers for the journey of this uid: signed in 200, another browser or no cookies 403, over 410. */
export async function showDeadEnd(deps: JourneyDeps, ctx: Context, uid: string): Promise<void> {
  const found = await deps.stores.interaction.findAny(uid);
  const client = found && (await deps.provider().Client.find(String(found.payload.params?.['client_id'])));
  const { status, props } = await describe(deps, ctx, found, client);
  sendPage(ctx, deadEndView(deps.makePage(ctx), props), { status, kind: 'interaction' });
}

async function describe(
  deps: JourneyDeps,
  ctx: Context,
  found: { state: 'live' | 'finished' | 'expired'; payload: AdapterPayload } | undefined,
  client: Client | undefined,
): Promise<{ status: number; props: DeadEndProps }> {
  if (!found) return { status: 410, props: { kind: 'unknown' } };
  const startAgain = restartUrl(deps.config.issuer, found.payload.params ?? {});
  if (found.state === 'live') return { status: 403, props: { kind: 'cookies-blocked', startAgain } };
  const session = await deps.provider().Session.get(ctx as never);
  const named = client && client.clientId !== PORTAL_CLIENT_ID ? client : undefined;
  if (found.state === 'finished' && session.accountId) {
    const href = (named?.['initiateLoginUri'] as string | undefined) ?? named?.clientUri;
    return {
      status: 200,
      props: {
        kind: 'already-signed-in',
        ...(named ? { client: { name: named.clientName ?? named.clientId, ...(href ? { href } : {}) } } : {}),
      },
    };
  }
  return {
    status: 410,
    props: {
      kind: 'expired',
      startAgain,
      ...(named ? { client: { name: named.clientName ?? named.clientId } } : {}),
    },
  };
}

/** The same authorization request again, without the hints about a person: the address may have reached somebody else. */
function restartUrl(issuer: string, params: Record<string, unknown>): string {
  // Without an operator nobody could sign in; with one this page says so.
  if (params['setup'] !== undefined && params['client_id'] === PORTAL_CLIENT_ID) return `${issuer}/setup`;
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value === undefined || name === 'login_hint' || name === 'id_token_hint' || name === 'setup')
      continue;
    for (const one of Array.isArray(value) ? value : [value]) query.append(name, String(one));
  }
  return `${issuer}/auth?${query}`;
}
