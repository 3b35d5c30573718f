/** `try login`: a person signs in to a native app, which then uses, refreshes and gives up what it got. */
import { createHash, randomBytes } from 'node:crypto';
import { type JWTPayload, jwtVerify } from 'jose';
import type { Admin } from '../admin.ts';
import { type Callback, listenCallback } from './callback.ts';
import { type Answer, createHttp, expectStatus, type Http, textOf } from './http.ts';
import { discover, type ProviderFacts, signatures } from './provider.ts';
import { describe, type Report, Surprise } from './report.ts';
import type { Person, Visitor } from './visitor.ts';

interface Journey {
  http: Http;
  report: Report;
  provider: ProviderFacts;
  callback: Callback;
  visitor: Visitor;
  clientId: string;
}

interface Tokens {
  accessToken: string;
  refreshToken: string;
  idToken: string;
  claims: JWTPayload;
}

const SCOPE = 'openid profile email';
const random = () => randomBytes(32).toString('base64url');

/**
 * Goes through the whole flow with an app that is registered for it and deleted afterwards.
 *
 * @param given who signs in; a person is made and deleted when it is absent
 * @throws {Surprise} at the first answer that is not what the specifications ask for
 */
export async function tryLogin(
  report: Report,
  admin: Admin,
  issuer: string,
  visitor: Visitor,
  given: Person | undefined,
): Promise<void> {
  const http = createHttp(report);
  await using cleanUp = new AsyncDisposableStack();
  const callback = cleanUp.use(await listenCallback(visitor.patienceSeconds));
  const provider = await discover(http, report, issuer);

  report.step('A temporary app');
  const app = await admin.run('apps.add', {
    kind: 'native',
    name: 'Gatehouse try login',
    // Without a port: RFC 8252 section 7.3 lets a native app use any.
    redirectUris: ['http://127.0.0.1/callback'],
    postLogoutRedirectUris: [`${callback.origin}/signed-out`],
  });
  cleanUp.defer(async () => void (await admin.run('apps.delete', { id: app.id })));
  report.line('noted', `${app.id}, a public client of kind native`);
  const person = given ?? (await addPerson(report, admin, cleanUp));

  const journey: Journey = { http, report, provider, callback, visitor, clientId: app.id };
  const tokens = await signIn(journey, person);
  await useTokens(journey, tokens, given ? undefined : person.identifier);
  const latest = await refresh(journey, tokens);
  await introspect(journey, latest);
  await signOut(journey, latest);
  report.step('Cleaning up');
  await cleanUp.disposeAsync();
  report.line('noted', given ? 'the app is deleted' : 'the app and the person are deleted');
}

async function addPerson(report: Report, admin: Admin, cleanUp: AsyncDisposableStack): Promise<Person> {
  const identifier = `try-${randomBytes(5).toString('hex')}@example.test`;
  const { id, password } = await admin.run('users.add', { name: 'Try Login', identifier });
  cleanUp.defer(async () => void (await admin.run('users.delete', { user: id })));
  report.line('noted', `${identifier}, a temporary person`);
  if (password === undefined) throw new Surprise('the answer of users.add', 'a generated password', 'none');
  return { identifier, password };
}

async function signIn(journey: Journey, person: Person): Promise<Tokens> {
  const { http, report, provider, callback, visitor, clientId } = journey;
  const [state, nonce, verifier] = [random(), random(), random()];
  const redirectUri = `${callback.origin}/callback`;

  report.step('Authorization request');
  const parameters = {
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    scope: SCOPE,
    state,
    nonce,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  };
  const url = addressOf(provider.endpoint('authorization_endpoint'), parameters);
  report.line('sent', `GET ${provider.endpoint('authorization_endpoint')}`);
  report.line('noted', describe(parameters));
  await visitor.signIn(url, person);
  const answer = Object.fromEntries(await callback.arrival('/callback'));
  report.line('answered', `${redirectUri}  ${describe(answer)}`);
  if (answer['error'])
    throw new Surprise('the answer', 'a code', `${answer['error']} ${answer['error_description'] ?? ''}`);
  report.holds('state is the one that was sent', answer['state'] === state, 'another one');
  // RFC 9207: the answer says which server it comes from.
  report.equal('iss', provider.issuer, answer['iss']);

  report.step('Token request');
  const tokens = await http.post(
    provider.endpoint('token_endpoint'),
    { id: clientId },
    {
      grant_type: 'authorization_code',
      code: answer['code'] ?? '',
      redirect_uri: redirectUri,
      code_verifier: verifier,
    },
  );
  expectStatus(report, tokens, 200);
  report.equal('Cache-Control', 'no-store', tokens.headers.get('cache-control'));
  return readTokens(journey, tokens, nonce);
}

async function readTokens(
  { report, provider, clientId }: Journey,
  answer: Answer,
  nonce: string,
): Promise<Tokens> {
  report.equal('token_type', 'Bearer', answer.body['token_type']);
  const accessToken = textOf(report, answer, 'access_token');
  const refreshToken = textOf(report, answer, 'refresh_token');
  const idToken = textOf(report, answer, 'id_token');
  // OpenID Connect Core 3.1.3.7.
  const { payload, protectedHeader } = await jwtVerify(idToken, provider.keys, {
    issuer: provider.issuer,
    audience: clientId,
    algorithms: signatures,
    requiredClaims: ['sub', 'iat', 'exp'],
  }).catch((error: Error) => {
    throw new Surprise('the ID token', 'one that verifies', error.message);
  });
  report.line(
    'checked',
    `the ID token is signed with ${protectedHeader.alg} ${protectedHeader.kid}, for this app, by this issuer`,
  );
  report.holds('nonce is the one that was sent', payload['nonce'] === nonce, payload['nonce']);
  report.line(
    'noted',
    describe({
      sub: payload.sub,
      exp: payload.exp,
      auth_time: payload['auth_time'],
      acr: payload['acr'],
      amr: payload['amr'],
    }),
  );
  return { accessToken, refreshToken, idToken, claims: payload };
}

/** @param email what userinfo must say, when the person is known */
async function useTokens(
  { http, report, provider }: Journey,
  tokens: Tokens,
  email: string | undefined,
): Promise<void> {
  report.step('Userinfo');
  const answer = await http.get(provider.endpoint('userinfo_endpoint'), { bearer: tokens.accessToken });
  expectStatus(report, answer, 200);
  report.equal('sub', tokens.claims.sub, answer.body['sub']);
  if (email) report.equal('email', email, answer.body['email']);
}

async function refresh(journey: Journey, before: Tokens): Promise<Tokens> {
  const { http, report, provider, clientId } = journey;
  report.step('Refresh');
  const answer = await http.post(
    provider.endpoint('token_endpoint'),
    { id: clientId },
    { grant_type: 'refresh_token', refresh_token: before.refreshToken },
  );
  expectStatus(report, answer, 200);
  const tokens = await readTokens(journey, answer, String(before.claims['nonce']));
  report.equal('sub', before.claims.sub, tokens.claims.sub);
  // RFC 9700 section 4.14.2.
  report.holds(
    'the refresh token was rotated',
    tokens.refreshToken !== before.refreshToken,
    'the same one again',
  );
  return tokens;
}

/** RFC 7662 section 4: who cannot prove who they are learn nothing; `try m2m` shows the answer for an API. */
async function introspect(
  { http, report, provider, clientId }: Journey,
  { accessToken }: Tokens,
): Promise<void> {
  report.step('Introspection by the public client');
  const answer = await http.post(
    provider.endpoint('introspection_endpoint'),
    { id: clientId },
    { token: accessToken },
  );
  expectStatus(report, answer, 200);
  report.equal('active', false, answer.body['active']);
  report.equal('number of members in the answer', 1, Object.keys(answer.body).length);
}

async function signOut(journey: Journey, { idToken, accessToken, refreshToken }: Tokens): Promise<void> {
  const { http, report, provider, callback, visitor, clientId } = journey;
  report.step('Sign-out');
  const state = random();
  const parameters = {
    id_token_hint: idToken,
    client_id: clientId,
    post_logout_redirect_uri: `${callback.origin}/signed-out`,
    state,
  };
  const endpoint = provider.endpoint('end_session_endpoint');
  report.line('sent', `GET ${endpoint}`);
  report.line('noted', describe(parameters));
  await visitor.signOut(addressOf(endpoint, parameters));
  const answer = await callback.arrival('/signed-out');
  report.line('answered', `${callback.origin}/signed-out  ${describe(Object.fromEntries(answer))}`);
  report.holds('state is the one that was sent', answer.get('state') === state, 'another one');

  report.step('After sign-out');
  const userinfo = await http.get(provider.endpoint('userinfo_endpoint'), { bearer: accessToken });
  expectStatus(report, userinfo, 401);
  const again = await http.post(
    provider.endpoint('token_endpoint'),
    { id: clientId },
    { grant_type: 'refresh_token', refresh_token: refreshToken },
  );
  expectStatus(report, again, 400);
  report.equal('error', 'invalid_grant', again.body['error']);
}

function addressOf(endpoint: string, parameters: Readonly<Record<string, string>>): string {
  const url = new URL(endpoint);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return url.href;
}
