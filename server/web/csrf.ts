/**
 * Proof that a form was sent from a page of ours, shown to this very browser.
 *
 * Owns: the token in every form, and the reading of the two headers by which browsers tell where a request comes from. Refuses: tokens
 * that are not bound to something the browser holds by cookie (an interaction or a session), and any state of its own.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Context } from 'koa';
import { crossSiteRequest, csrfMismatch } from '../errors.ts';

export interface Csrf {
  /** The value for the hidden field `csrf`; a binding is `interaction:<uid>` or `session:<uid>`. */
  token(binding: string): string;
  /** Throws 403 `cross_site_request` or `csrf_mismatch`. Reads `ctx.state.origin`, the origin of the issuer. */
  check(ctx: Context, binding: string, given: string): void;
}

/**
 * Whether the browser itself says that the request comes from elsewhere.
 *
 * Our pages send `Referrer-Policy: no-referrer`, and for such a page the Fetch standard ("append a request Origin header") makes the
 * Origin of its *own* form POST `null`. So `null` counts as ours when Sec-Fetch-Site, which no page can forge, says so. Browsers send that header to https and to loopback only; on a plain http name there is nothing but the token.
 */
function comesFromElsewhere(ctx: Context): boolean {
  const site = ctx.get('Sec-Fetch-Site');
  const attested = site === 'same-origin' || site === 'none';
  if (site !== '' && !attested) return true;
  const own = String(ctx.state.origin);
  const origin = ctx.get('Origin');
  if (origin === 'null') return !attested && !own.startsWith('http:');
  return origin !== '' && origin !== own;
}

/** @param key at least 32 random bytes, the same on all nodes */
export function createCsrf(key: Buffer): Csrf {
  const digest = (binding: string) => createHmac('sha256', key).update(`csrf\0${binding}`).digest();
  return {
    token: (binding) => digest(binding).toString('base64url'),
    check(ctx, binding, given) {
      if (comesFromElsewhere(ctx)) throw crossSiteRequest();
      const expected = digest(binding);
      const bytes = Buffer.from(given, 'base64url');
      if (bytes.length !== expected.length || !timingSafeEqual(bytes, expected)) throw csrfMismatch();
    },
  };
}
