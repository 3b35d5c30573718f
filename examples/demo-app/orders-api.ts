/**
 * A resource server: an API that trusts tokens of Gatehouse. It knows the shop as little as any other client.
 *
 * Owns: the check of an access token, and the difference between 401 (who are you?) and 403 (I know, and you may not). It checks the JWT
 * by itself, so a token that was revoked is good here until it expires; an API that cannot wait an hour asks introspection instead.
 */
import { createRemoteJWKSet, errors, type JWTVerifyGetKey, jwtVerify } from 'jose';
import type { Context } from 'koa';
import { lazy } from './lazy.ts';

const orders = [
  { number: 1001, placed: '2026-10-02', item: 'Pocket watch, always late', total: '48.00' },
  { number: 1002, placed: '2026-10-19', item: 'Tea set for three', total: '72.50' },
  { number: 1003, placed: '2026-11-06', item: 'Croquet mallet, flamingo grip', total: '31.20' },
];

/** An order as the API tells it. */
export type Order = (typeof orders)[number];

type Check =
  | { ok: true; scopes: ReadonlySet<string> }
  | { ok: false; status: 401 | 503; error?: string; description?: string };

/** @param audience the API's identifier: tokens for other APIs are refused */
export function createOrdersApi(issuer: string, audience: string) {
  const keys = lazy(() => discoverKeys(issuer));

  async function authenticate(ctx: Context): Promise<Check> {
    const token = /^Bearer +([\w.~+/-]+=*)$/i.exec(ctx.get('Authorization'))?.[1];
    // RFC 6750 section 3.1: a request without a token is told how to bring one, and no error.
    if (token === undefined) return { ok: false, status: 401 };
    try {
      // RFC 9068 section 4. Naming the algorithm and the type keeps ID tokens and forged headers out.
      const { payload } = await jwtVerify(token, await keys(), {
        issuer,
        audience,
        typ: 'at+jwt',
        algorithms: ['ES256'],
        requiredClaims: ['exp', 'sub', 'client_id'],
      });
      return { ok: true, scopes: new Set(String(payload['scope'] ?? '').split(' ')) };
    } catch (error) {
      if (!isAboutToken(error)) return { ok: false, status: 503 };
      return { ok: false, status: 401, error: 'invalid_token', description: (error as Error).message };
    }
  }

  /** Lets a request through that has the scope; answers the others (RFC 6750 section 3). */
  async function mayPass(ctx: Context, scope: string): Promise<boolean> {
    ctx.set('Cache-Control', 'no-store');
    const check = await authenticate(ctx);
    if (check.ok && check.scopes.has(scope)) return true;
    if (check.ok) refuse(ctx, 403, { error: 'insufficient_scope', scope });
    else if (check.status === 503) ctx.status = 503;
    else {
      const { error, description } = check;
      refuse(ctx, 401, error ? { error, error_description: description ?? '' } : {});
    }
    return false;
  }

  return {
    /** GET /api/orders */
    async list(ctx: Context): Promise<void> {
      if (await mayPass(ctx, 'orders:read')) ctx.body = { orders };
    },

    /** POST /api/refunds: needs a scope that is restricted, so that a role has to give it. */
    async refund(ctx: Context): Promise<void> {
      if (await mayPass(ctx, 'orders:refund')) ctx.body = { refunded: orders[0] };
    },
  };
}

function refuse(ctx: Context, status: 401 | 403, parameters: Record<string, string>): void {
  const written = Object.entries({ realm: 'Demo orders', ...parameters }).map(
    // What a quoted string of a header cannot hold is left out (RFC 6750 section 3).
    ([name, value]) => `${name}="${value.replace(/[^\x20-\x7e]|["\\]/g, '')}"`,
  );
  ctx.status = status;
  ctx.set('WWW-Authenticate', `Bearer ${written.join(', ')}`);
  ctx.body = parameters;
}

async function discoverKeys(issuer: string): Promise<JWTVerifyGetKey> {
  const answer = await fetch(`${issuer}/.well-known/openid-configuration`);
  if (!answer.ok) throw new Error(`discovery answered ${answer.status}`);
  const metadata = (await answer.json()) as { issuer: string; jwks_uri: string };
  // RFC 8414 section 3.3: somebody else's description must not decide whose signatures count.
  if (metadata.issuer !== issuer) throw new Error(`discovery describes ${metadata.issuer}`);
  return createRemoteJWKSet(new URL(metadata.jwks_uri));
}

/** Whether the token is to blame, and not the way to the keys. */
function isAboutToken(error: unknown): boolean {
  return (
    error instanceof errors.JOSEError &&
    !(error instanceof errors.JWKSTimeout) &&
    !(error instanceof errors.JWKSInvalid) &&
    error.code !== 'ERR_JOSE_GENERIC'
  );
}
