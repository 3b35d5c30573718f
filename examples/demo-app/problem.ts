/** What went wrong, in words for a visitor, and with a way on. The technical half goes to the log. */
import * as oidc from 'openid-client';
import { AppError } from '../../server/errors.ts';

export interface Problem {
  status: number;
  title: string;
  text: string;
  /** The error code of the protocol, small print for developers. */
  code?: string;
  /** The tokens are of no use any more: the visitor has to sign in again. */
  signedOut?: boolean;
}

/** A problem that a handler saw itself. */
export class DemoError extends Error {
  override readonly name = 'DemoError';
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.title);
    this.problem = problem;
  }
}

/** The answer belongs to no attempt of this browser: an old tab, a lost cookie, or somebody else's link (RFC 9700 section 4.7). */
export const unknownAttempt = () =>
  new DemoError({
    status: 400,
    title: 'This sign-in was not started here',
    text: 'It is too old, was finished before, or was started in another browser. Nothing was changed; start again.',
    code: 'state_mismatch',
  });

export const foreignForm = () =>
  new DemoError({
    status: 403,
    title: 'This form is out of date',
    text: 'It belongs to an earlier visit. Go back to the start and press the button again.',
  });

/** Turns whatever was thrown into something to read; undefined for a defect of the demo itself. */
export function explain(error: unknown): Problem | undefined {
  if (error instanceof DemoError) return error.problem;
  if (error instanceof AppError)
    return { status: error.status, title: 'This request cannot be read', text: error.message };
  if (error instanceof oidc.AuthorizationResponseError) return explainAnswer(error);
  if (error instanceof oidc.ResponseBodyError) return explainRefusal(error);
  // Userinfo did not accept the access token (RFC 6750 section 3).
  if (error instanceof oidc.WWWAuthenticateChallengeError) return { ...accessEnded, code: 'invalid_token' };
  // Unreachable, or it answered something that is not OpenID Connect.
  if (error instanceof TypeError && error.message === 'fetch failed') return unreachable;
  if (error instanceof oidc.ClientError) {
    return error.code === 'OAUTH_TIMEOUT' ? unreachable : { ...unusable, code: error.code ?? error.message };
  }
  return undefined;
}

const unreachable: Problem = {
  status: 502,
  title: 'Gatehouse cannot be reached',
  text: 'It may still be starting. Try again in a moment.',
};

const unusable: Problem = {
  status: 502,
  title: 'Gatehouse’s answer cannot be used',
  text: 'It did not pass the checks that every sign-in goes through, so nobody is signed in.',
};

const accessEnded: Problem = {
  status: 403,
  title: 'Your access has ended',
  text: 'You signed out of Gatehouse, or took the access back. Sign in again to go on.',
  signedOut: true,
};

/** Gatehouse sent the browser back with an error (RFC 6749 section 4.1.2.1). */
function explainAnswer({ error }: oidc.AuthorizationResponseError): Problem {
  if (error === 'access_denied') {
    return {
      status: 403,
      title: 'You said no',
      text: 'That is fine: Demo Shop got nothing that it did not have before.',
      code: error,
    };
  }
  return {
    status: 502,
    title: 'Gatehouse did not sign you in',
    text: 'It refused the request of this application. Try again, or read what the code means.',
    code: error,
  };
}

/** The token endpoint refused (RFC 6749 section 5.2). */
function explainRefusal({ error }: oidc.ResponseBodyError): Problem {
  if (error === 'invalid_grant') return { ...accessEnded, code: error };
  return {
    status: 502,
    title: 'Gatehouse refused the request',
    text:
      error === 'invalid_client'
        ? 'It does not know Demo Shop or its secret. Start Gatehouse again: that repairs the demo.'
        : 'Try again, or read what the code means.',
    code: error,
  };
}
