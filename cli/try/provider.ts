/** What a client learns about the server before it asks for anything: discovery and keys. */
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { expectStatus, type Http } from './http.ts';
import { type Report, Surprise } from './report.ts';

export interface ProviderFacts {
  issuer: string;
  endpoint(name: string): string;
  keys: JWTVerifyGetKey;
}

/** Asymmetric signatures; "none" and shared secrets are never right here (RFC 8725 section 3.1). */
export const signatures = ['ES256', 'RS256', 'PS256', 'EdDSA', 'Ed25519'];

/** Private members of a JWK (RFC 7518 section 6): none may be published. */
const secretMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'];

export async function discover(http: Http, report: Report, issuer: string): Promise<ProviderFacts> {
  report.step('Discovery and keys');
  const answer = await http.get(`${issuer}/.well-known/openid-configuration`, { quiet: true });
  expectStatus(report, answer, 200);
  // OpenID Connect Discovery 1.0 section 4.3: anything else would be another server's document.
  report.equal('issuer', issuer, answer.body['issuer']);
  const endpoint = (name: string): string => {
    const url = answer.body[name];
    if (typeof url !== 'string' || !URL.canParse(url))
      throw new Surprise(name, 'an address', JSON.stringify(url) ?? 'nothing');
    return url;
  };
  const published = await http.get(endpoint('jwks_uri'), { quiet: true });
  expectStatus(report, published, 200);
  const keys = (published.body['keys'] ?? []) as Record<string, unknown>[];
  report.holds(
    `there are keys: ${keys.map(({ kid, alg }) => `${String(alg)} ${String(kid)}`).join(', ')}`,
    keys.length > 0,
    keys,
  );
  const leaked = keys.flatMap((key) => secretMembers.filter((member) => member in key));
  report.equal('number of published private key members', 0, leaked.length);
  return { issuer, endpoint, keys: createLocalJWKSet({ keys } as unknown as JSONWebKeySet) };
}
