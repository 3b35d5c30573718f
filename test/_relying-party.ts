/** An application that people sign in to: a registered client, openid-client, and a real web server for its callback. */
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import * as oidc from 'openid-client';
import type { Page } from 'playwright-core';
import type { NewClient } from '../server/clients/clients.ts';
import type { TestApp } from './_app.ts';

type Tokens = oidc.TokenEndpointResponse & oidc.TokenEndpointResponseHelpers;
type Parameters = Record<string, string>;

export interface RelyingParty extends AsyncDisposable {
  clientId: string;
  config: oidc.Configuration;
  /** Origin of the application; every page of it says "Welcome". */
  origin: string;
  redirectUri: string;
  begin(parameters?: Parameters, options?: BeginOptions): Promise<Attempt>;
  refresh(tokens: Tokens, parameters?: Parameters, options?: oidc.DPoPOptions): Promise<Tokens>;
  /** Claims about the person whom these tokens are for. */
  userInfo(tokens: Tokens): Promise<oidc.UserInfoResponse>;
}

export interface BeginOptions {
  /** Pushes the request first (RFC 9126). */
  pushed?: boolean;
  dpop?: oidc.DPoPHandle;
}

/** One authorization request, with what only this browser and the application know about it. */
export interface Attempt {
  url: string;
  /** The answer that the browser brought, once it is at the callback. */
  answer(page: Page): Promise<URLSearchParams>;
  /** Redeems the code that the browser brought; openid-client checks state, issuer, nonce and the ID token. */
  redeem(page: Page, parameters?: Parameters): Promise<Tokens>;
}

export type RelyingPartyOptions = Partial<NewClient> & {
  /** Registers the loopback address of a native application without a port. */
  anyPort?: boolean;
};

export async function startRelyingParty(
  app: TestApp,
  { anyPort = false, ...client }: RelyingPartyOptions = {},
): Promise<RelyingParty> {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html');
    response.end('<!doctype html><title>Application</title><h1>Welcome</h1>');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const native = client.kind === 'native';
  const origin = `http://${native ? '127.0.0.1' : 'localhost'}:${port}`;
  const redirectUri = `${origin}/cb`;
  const { id, secret } = await app.createClient({
    kind: 'web',
    name: 'Demo Shop',
    redirectUris: [anyPort ? 'http://127.0.0.1/cb' : redirectUri],
    postLogoutRedirectUris: [`${origin}/goodbye`],
    ...client,
  });
  const config = await oidc.discovery(
    new URL(app.url),
    id,
    undefined,
    secret === undefined ? oidc.None() : oidc.ClientSecretBasic(secret),
    { execute: [oidc.allowInsecureRequests] },
  );

  return {
    clientId: id,
    config,
    origin,
    redirectUri,
    begin: (parameters, options) => begin(config, redirectUri, parameters, options),
    refresh: (tokens, parameters, options) =>
      oidc.refreshTokenGrant(config, String(tokens.refresh_token), parameters, options),
    userInfo: (tokens) =>
      oidc.fetchUserInfo(config, tokens.access_token, tokens.claims()?.sub ?? oidc.skipSubjectCheck),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function begin(
  config: oidc.Configuration,
  redirectUri: string,
  parameters: Parameters = {},
  { pushed = false, dpop }: BeginOptions = {},
): Promise<Attempt> {
  const verifier = oidc.randomPKCECodeVerifier();
  const state = oidc.randomState();
  const nonce = oidc.randomNonce();
  const request = {
    redirect_uri: redirectUri,
    scope: 'openid profile email',
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
    ...parameters,
  };
  const bound = dpop ? { DPoP: dpop } : undefined;
  const url = pushed
    ? await oidc.buildAuthorizationUrlWithPAR(config, request, bound)
    : oidc.buildAuthorizationUrl(config, request);
  const checks: oidc.AuthorizationCodeGrantChecks = {
    pkceCodeVerifier: verifier,
    expectedState: state,
    ...(request.scope.split(' ').includes('openid') ? { expectedNonce: nonce } : {}),
    ...(parameters['max_age'] === undefined ? {} : { maxAge: Number(parameters['max_age']) }),
  };
  const arrived = async (page: Page) => {
    await page.waitForURL((now) => now.href.startsWith(`${redirectUri}?`));
    return new URL(page.url());
  };
  return {
    url: url.href,
    answer: async (page) => (await arrived(page)).searchParams,
    redeem: async (page, more) =>
      oidc.authorizationCodeGrant(config, await arrived(page), checks, more, bound),
  };
}
