/** Cookie names: prefixed on https, plain on http, where a browser drops prefixed ones. */

/**
 * The session cookie takes `__Host-` (RFC 6265bis section 4.1.3.2). The two of an interaction are bound to a path, which that prefix
 * forbids, so they take `__Secure-`.
 */
export function cookieNames(issuer: string) {
  const secure = issuer.startsWith('https:');
  return {
    session: `${secure ? '__Host-' : ''}gatehouse_session`,
    interaction: `${secure ? '__Secure-' : ''}gatehouse_interaction`,
    resume: `${secure ? '__Secure-' : ''}gatehouse_resume`,
  };
}
