/** What tokens say beyond the engine's own claims: one allow-list, so that nothing overwrites a registered claim (RFC 9068). */
import type { AccessToken, ClientCredentials, JWTStructured, KoaContextWithOIDC } from 'oidc-provider';
import { clientHandle, grantHandle } from '../keys/revocation-handles.ts';
import { accountOf } from './account.ts';
import type { EngineStores } from './stores.ts';

type Token = AccessToken | ClientCredentials;

/** `extraTokenClaims`: the person's roles, where the client may see them (scope "roles"). */
export async function extraTokenClaims(ctx: KoaContextWithOIDC, token: Token) {
  const account = accountOf(ctx);
  const grant = ctx.oidc.entities.Grant;
  if (token.kind !== 'AccessToken' || !account || !grant?.getOIDCScope().split(' ').includes('roles')) {
    return undefined;
  }
  return { roles: account.roles };
}

/** `formats.customizers.jwt`: the handles by which this token can be refused before it expires. */
export function createJwtCustomizer(stores: EngineStores, revocationKey: Buffer) {
  return async (_ctx: KoaContextWithOIDC, token: Token, jwt: JWTStructured): Promise<void> => {
    const { clientId } = token;
    const facts = clientId === undefined ? undefined : await stores.client.factsOf(clientId);
    if (!facts) throw new Error('a token is issued for a client that is not there');
    const handles = [clientHandle(revocationKey, facts.id, facts.generation)];
    if ('grantId' in token && typeof token.grantId === 'string') {
      handles.push(grantHandle(revocationKey, token.grantId, stores.grant.generationOf(token.grantId)));
    }
    jwt.payload['rev'] = handles.map((handle) => handle.toString('base64url'));
  };
}
