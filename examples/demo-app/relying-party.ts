/**
 * The OAuth side of the demo: everything that it says to Gatehouse, with openid-client.
 *
 * Owns: requests, checks of the answers, tokens. Refuses: cookies and pages. An application of yours needs about this much.
 */
import * as oidc from 'openid-client';
import { isLoopback } from '../../server/clients/redirect-uris.ts';
import { lazy } from './lazy.ts';
import { type DemoSettings, demoUrl } from './seed.ts';

/** Who the person is (OpenID Connect), and what the shop would like to do at the orders API. */
const SCOPES = 'openid profile email roles orders:read orders:refund';

/** What must be remembered between leaving for Gatehouse and coming back; it belongs to one browser and is used once. */
export interface Attempt {
  state: string;
  nonce: string;
  verifier: string;
}

/** What Gatehouse gave. None of it leaves this server; the browser holds a session id only. */
export interface Tokens {
  idToken: string;
  /** What the ID token says. */
  claims: oidc.IDToken;
  /** For userinfo. It is opaque: its meaning is known to Gatehouse alone. */
  accessToken: string;
  accessExpiresAt: Date;
  refreshToken: string;
  /** Of the access token. Read this, not what you asked for: people can refuse a part. */
  scope: string;
}

/** @param issuer the address of Gatehouse, from which discovery learns all others */
export function createRelyingParty(issuer: string, { port, client, api }: DemoSettings) {
  const redirectUri = `${demoUrl(port)}/callback`;
  const gatehouse = lazy(() =>
    oidc.discovery(new URL(issuer), client.id, undefined, oidc.ClientSecretBasic(client.secret), {
      // http is for localhost only, where requests never leave the machine. Everywhere else leave this line out.
      execute: isLoopback(new URL(issuer)) ? [oidc.allowInsecureRequests] : [],
    }),
  );

  return {
    /** Where to send the browser. With `offline`, access is to outlive the session; that has to be asked with `prompt=consent`. */
    async begin({ offline }: { offline: boolean }): Promise<{ url: URL; attempt: Attempt }> {
      const attempt = {
        state: oidc.randomState(),
        nonce: oidc.randomNonce(),
        verifier: oidc.randomPKCECodeVerifier(),
      };
      const url = oidc.buildAuthorizationUrl(await gatehouse(), {
        redirect_uri: redirectUri,
        scope: offline ? `${SCOPES} offline_access` : SCOPES,
        state: attempt.state,
        nonce: attempt.nonce,
        code_challenge: await oidc.calculatePKCECodeChallenge(attempt.verifier),
        code_challenge_method: 'S256',
        ...(offline ? { prompt: 'consent' } : {}),
      });
      return { url, attempt };
    },

    /** Trades the code for tokens. Checks state, issuer, PKCE, and the signature, audience and nonce of the ID token. */
    async finish(query: string, { state, nonce, verifier }: Attempt): Promise<Tokens> {
      const answer = await oidc.authorizationCodeGrant(await gatehouse(), new URL(redirectUri + query), {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: verifier,
        idTokenExpected: true,
      });
      return readTokens(answer);
    },

    /** Asks for fresh tokens. A confidential client keeps its refresh token: it is not rotated. */
    async refresh(tokens: Tokens): Promise<Tokens> {
      return readTokens(await oidc.refreshTokenGrant(await gatehouse(), tokens.refreshToken), tokens);
    },

    /** A token for the orders API: the same refresh, with `resource`. Its scope may be less than was asked for. */
    async tokenForApi({ refreshToken }: Tokens): Promise<{ token: string; scope: string }> {
      const answer = await oidc.refreshTokenGrant(await gatehouse(), refreshToken, { resource: api });
      return { token: answer.access_token, scope: answer.scope ?? '' };
    },

    /**
     * Hands the refresh token back (RFC 7009). One for offline access would otherwise stay good at Gatehouse for weeks, with nobody left
     * to use it; the others end with the session.
     */
    async giveBack({ refreshToken, scope }: Tokens): Promise<void> {
      if (isOffline(scope)) await oidc.tokenRevocation(await gatehouse(), refreshToken);
    },

    async userinfo({ accessToken, claims }: Tokens): Promise<oidc.UserInfoResponse> {
      return oidc.fetchUserInfo(await gatehouse(), accessToken, claims.sub);
    },

    /** Where to send the browser to end the session at Gatehouse; the ID token shows that it is this one. */
    async signOutUrl({ idToken }: Tokens): Promise<URL> {
      return oidc.buildEndSessionUrl(await gatehouse(), {
        id_token_hint: idToken,
        post_logout_redirect_uri: `${demoUrl(port)}/`,
      });
    },
  };
}

export type RelyingParty = ReturnType<typeof createRelyingParty>;

/** Whether access goes on when the session at Gatehouse has ended. */
export const isOffline = (scope: string): boolean => scope.split(' ').includes('offline_access');

type Answer = oidc.TokenEndpointResponse & oidc.TokenEndpointResponseHelpers;

function readTokens(answer: Answer, before?: Tokens): Tokens {
  const idToken = answer.id_token ?? before?.idToken;
  const claims = answer.claims() ?? before?.claims;
  const refreshToken = answer.refresh_token ?? before?.refreshToken;
  if (!idToken || !claims || !refreshToken)
    throw new Error('the token response lacks an ID or refresh token');
  // OpenID Connect Core 12.2: a refresh never turns one person into another.
  if (before && claims.sub !== before.claims.sub)
    throw new Error('the refreshed ID token is about another person');
  return {
    idToken,
    claims,
    refreshToken,
    accessToken: answer.access_token,
    accessExpiresAt: new Date(Date.now() + (answer.expiresIn() ?? 0) * 1000),
    scope: answer.scope ?? before?.scope ?? '',
  };
}
