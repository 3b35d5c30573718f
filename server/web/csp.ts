/**
 * Security headers of every page, as values built by code.
 *
 * Owns: the policy of the two kinds of page. Refuses: exceptions per page. There is no inline script or style anywhere, so the policy
 * needs no nonce and no hash.
 */

/** `interaction`: inside a protocol journey, perhaps in a popup of a client. `portal`: pages of our own site. */
export type PageKind = 'interaction' | 'portal';

const policy: Record<string, string> = {
  'default-src': "'none'",
  'script-src': "'self'",
  'style-src': "'self'",
  'img-src': "'self' data:",
  'connect-src': "'self'",
  'base-uri': "'none'",
  'frame-ancestors': "'none'",
};

const write = (directives: Record<string, string>) =>
  Object.entries(directives)
    .map(([name, sources]) => `${name} ${sources}`)
    .join('; ');

/**
 * Headers for a page of that kind.
 *
 * - `form-action` applies to every redirect after a form (CSP 3, 6.4.1), and a client's callback may redirect anywhere: on an interaction
 *   it would leave the person on the form without a message.
 * - COOP other than `unsafe-none` on an interaction cuts `window.opener` of a popup sign-in.
 */
export function pageHeaders(kind: PageKind): Record<string, string> {
  const portal = kind === 'portal';
  return {
    'Content-Security-Policy': write(portal ? { ...policy, 'form-action': "'self'" } : policy),
    'X-Frame-Options': 'DENY',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
    'Cross-Origin-Opener-Policy': portal ? 'same-origin' : 'unsafe-none',
    'Permissions-Policy':
      'publickey-credentials-get=(self), publickey-credentials-create=(self), identity-credentials-get=(self)',
    'Cache-Control': 'no-store',
  };
}
