/** What tokens say beyond the engine's own claims: one allow-list, so that nothing overwrites a registered claim (RFC 9068). */
import type { AccessToken, ClientCredentials, JWTStructured, KoaContextWithOIDC } from 'oidc-provider';
import { clientHandle, grantHandle } from '../keys/revocation-handles.ts';
import { accountOf } from './account.ts';
import type { EngineStores } from './stores.ts';

type Token = AccessToken | ClientCredentials;

const CACHED_HANDLES = 1000;

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
export function createJwtCustomizer(stores: EngineStores, revocationKey: Buffer, ofClient: ClientHandles) {
  return async (_ctx: KoaContextWithOIDC, token: Token, jwt: JWTStructured): Promise<void> => {
    const { clientId } = token;
    const facts = clientId === undefined ? undefined : await stores.client.factsOf(clientId);
    if (!facts) throw new Error('a token is issued for a client that is not there');
    const handles = [ofClient(facts.id, facts.generation)];
    if ('grantId' in token && typeof token.grantId === 'string') {
      const generation = stores.grant.generationOf(token.grantId);
      handles.push(grantHandle(revocationKey, token.grantId, generation).toString('base64url'));
    }
    jwt.payload['rev'] = handles;
  };
}

/** Revocation handle of a client's tokens, as they carry it. */
export type ClientHandles = (clientId: string, generation: number) => string;

/** A client's handle changes only with its generation, and a machine asks for a token often. */
export function createClientHandles(revocationKey: Buffer): ClientHandles {
  const known = new Map<string, { generation: number; handle: string }>();
  return (clientId, generation) => {
    const cached = known.get(clientId);
    if (cached?.generation === generation) return cached.handle;
    const handle = clientHandle(revocationKey, clientId, generation).toString('base64url');
    if (known.size >= CACHED_HANDLES) known.clear();
    known.set(clientId, { generation, handle });
    return handle;
  };
}
