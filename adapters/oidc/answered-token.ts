/**
 * Tokens that are not in a table but were verified during this request: a JWT access token stands for itself, and the engine's
 * introspection and revocation endpoints see it through the same `find` as an opaque one.
 */
import { randomBytes } from 'node:crypto';
import type { AdapterPayload } from 'oidc-provider';
import { currentUnit } from '../../db/unit-of-work.ts';

const ANSWER = Symbol('verified JWT access token');

interface Answer {
  model: 'AccessToken' | 'ClientCredentials';
  surrogate: string;
  payload: AdapterPayload;
}

/** Registers a verified token for this request and returns the opaque value that the engine may look it up by. */
export function answerToken(model: Answer['model'], payload: AdapterPayload): string {
  const surrogate = randomBytes(32).toString('base64url');
  currentUnit()?.notes.set(ANSWER, { model, surrogate, payload } satisfies Answer);
  return surrogate;
}

/** The verified token of this request, when `id` is its surrogate or, once found, its own "jti". */
export function answeredToken(model: string, id: string): AdapterPayload | undefined {
  const answer = currentUnit()?.notes.get(ANSWER) as Answer | undefined;
  if (answer?.model !== model) return undefined;
  return id === answer.surrogate || id === answer.payload.jti ? answer.payload : undefined;
}
