/** Which redirect URIs an application may register (RFC 9700 section 2.1, RFC 8252 section 7 and 8). */
import type { ClientKind } from '../../db/tables.ts';

const loopbackHosts = new Set(['127.0.0.1', '[::1]', 'localhost']);

/**
 * Says what is wrong with a redirect URI of an application of this kind, or undefined.
 *
 * Matching is by exact string later, except that the port of a loopback address of a native application may vary.
 */
export function checkRedirectUri(uri: string, kind: ClientKind): string | undefined {
  const url = URL.parse(uri);
  if (!url) return 'is not an absolute URI';
  if (uri.includes('#')) return 'must not have a fragment';
  if (uri.includes('*')) return 'must not have a wildcard; register each URI';
  if (url.username || url.password) return 'must not have user information';
  if (url.protocol === 'https:') return undefined;
  if (url.protocol === 'http:') {
    return isLoopback(url) ? undefined : 'must be https; http is only for localhost, 127.0.0.1 and [::1]';
  }
  if (kind !== 'native') return 'must be https';
  // RFC 8252 section 7.1: a private-use scheme is a reversed domain name, so that nobody else's app can own it by accident.
  return url.protocol.includes('.') ? undefined : 'needs a scheme such as com.example.app: with a dot in it';
}

/** Loopback addresses and the names that never leave the machine. */
export function isLoopback(url: URL): boolean {
  return loopbackHosts.has(url.hostname) || url.hostname.endsWith('.localhost');
}
