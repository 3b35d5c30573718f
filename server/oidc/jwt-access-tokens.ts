/**
 * Our own JWT access tokens at the introspection and revocation endpoints, which the engine refuses by design.
 *
 * A token is verified here (signature, algorithm list, typ, iss, exp) and then answered from its own claims; nothing is stored at
 * issue. One that fails becomes an unknown value, so that it is inactive, and revoking it is a no-op (RFC 7009 section 2.2).
 */
import { randomBytes } from 'node:crypto';
import { createLocalJWKSet, type JWTPayload, jwtVerify } from 'jose';
import type { Knex } from 'knex';
import type { AdapterPayload } from 'oidc-provider';
import { isAnyRevoked } from '../../db/grants.ts';
import { connectionOf } from '../../db/unit-of-work.ts';
import { tokenHandle } from '../keys/revocation-handles.ts';
import { type SigningKey, signingAlgorithms } from '../keys/signing-keys.ts';
import type { EngineStores } from './stores.ts';

export interface JwtAccessTokens {
  /** The opaque value to look the token up by in this request; `token` itself when it is not a JWT. */
  surrogate(token: string): Promise<string>;
}

export function createJwtAccessTokens(
  issuer: string,
  keys: readonly SigningKey[],
  db: Knex,
  stores: EngineStores,
): JwtAccessTokens {
  const keySet = createLocalJWKSet({
    keys: keys.map(({ jwk: { d, p, q, dp, dq, qi, ...open }, kid, alg }) => ({
      ...open,
      kid,
      alg,
      use: 'sig',
    })),
  });

  async function verify(token: string): Promise<JWTPayload | undefined> {
    try {
      const { payload } = await jwtVerify(token, keySet, {
        issuer,
        typ: 'at+jwt',
        algorithms: [...signingAlgorithms],
        requiredClaims: ['jti', 'client_id', 'aud', 'sub', 'exp', 'iat', 'rev'],
        clockTolerance: 0,
      });
      return payload;
    } catch {
      return undefined;
    }
  }

  return {
    async surrogate(token) {
      // No opaque token of ours has a dot; whatever has one is verified, so that the engine sees no JWE either.
      if (!token.includes('.')) return token;
      const payload = await verify(token);
      if (!payload || (await isRevoked(db, payload))) return randomBytes(32).toString('base64url');
      const person = payload.sub !== payload['client_id'];
      return stores.answerToken(person ? 'AccessToken' : 'ClientCredentials', engineToken(payload, person));
    },
  };
}

/** Checks the token's "jti" and its handles against the revoked set in one statement. */
async function isRevoked(db: Knex, { jti, rev }: JWTPayload): Promise<boolean> {
  const handles = Array.isArray(rev) ? rev.map((handle) => Buffer.from(String(handle), 'base64url')) : [];
  return isAnyRevoked(connectionOf(db), [tokenHandle(String(jti)), ...handles]);
}

function engineToken(payload: JWTPayload, person: boolean): AdapterPayload {
  const { jti, sub, client_id, aud, scope, iat, exp, cnf, roles } = payload as JWTPayload & {
    cnf?: { jkt?: string; 'x5t#S256'?: string };
  };
  return {
    kind: person ? 'AccessToken' : 'ClientCredentials',
    jti,
    clientId: String(client_id),
    aud: aud as string,
    iat: Number(iat),
    exp: Number(exp),
    ...(typeof scope === 'string' ? { scope } : {}),
    ...(cnf?.jkt ? { jkt: cnf.jkt } : {}),
    ...(cnf?.['x5t#S256'] ? { 'x5t#S256': cnf['x5t#S256'] } : {}),
    // Introspection copies these as they are. "sub" is the token's own, which is the pairwise one for clients that have one.
    extra: { sub, ...(roles === undefined ? {} : { roles }) },
  } as AdapterPayload;
}
