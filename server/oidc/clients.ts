/** What the engine's host may assume about a client. */
import type { Client } from 'oidc-provider';
import type { ClientFacts } from './stores.ts';

/**
 * Whether it is certain that the answer reaches this very client: it proves itself with a secret or key, or its redirect URI is an
 * https address that only its owner serves (RFC 8252 section 8.6). Others are asked for consent every time.
 */
export function hasAssuredIdentity(client: Client): boolean {
  if (client.applicationType === 'native') return false;
  if (client.clientAuthMethod !== 'none') return true;
  return (client.redirectUris ?? []).every((uri) => uri.startsWith('https://'));
}

/** First-party applications whose identity is assured skip the consent page. */
export function isTrusted(client: Client, facts: ClientFacts): boolean {
  return facts.first_party && hasAssuredIdentity(client);
}
