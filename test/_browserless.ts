/**
 * What the flow tests need beside `_walk.ts`: single steps of a journey instead of the whole way, and the endpoints of machines.
 *
 *   signIn(app, jar, client, person, { scope })     the callback's parameters; refuses to end without a code
 *   signInForTokens(app, jar, client, person, ...)   the same, and redeems the code
 *   openStep(jar, url)                               follows redirects to a page; its address, text, csrf and forms
 *   submit(jar, step, 'sign-in', fields, headers)    posts a form of that step, with its csrf unless another is given
 *   signOut(app, jar)                                on the account page
 *   newVerifier()                                    a PKCE pair of its own
 *   introspect, revoke                               as a client
 *   raw(app, path, { headers, body })                a request as written: any Host, any bytes in the address
 *   defects(app)                                     lines of the log that blame the server itself; no test may leave one
 */
import { createHash, randomBytes } from 'node:crypto';
import { type IncomingHttpHeaders, request as httpRequest } from 'node:http';
import type { Person, TestApp } from './_app.ts';
import {
  authorizeUrl,
  basic,
  type Choices,
  type Jar,
  post,
  type Reply,
  redeem,
  request,
  type TestClient,
  walk,
} from './_walk.ts';

type AuthorizeParameters = Record<string, string | undefined>;
type Credentials = Pick<Person, 'identifier' | 'password'>;

/** Registers a client whose first redirect URI is the one to use. */
export async function addClient(
  app: TestApp,
  client: Omit<Parameters<TestApp['createClient']>[0], 'name'> & { name?: string },
): Promise<TestClient> {
  const created = await app.createClient({ name: 'Shop', ...client });
  return { ...created, redirectUri: client.redirectUris?.[0] ?? '' };
}

export async function signIn(
  app: TestApp,
  jar: Jar,
  client: TestClient,
  person: Credentials | undefined,
  parameters: AuthorizeParameters = {},
  choices: Choices = {},
): Promise<URLSearchParams> {
  const answer = await walk(jar, authorizeUrl(app, client, parameters), {
    ...choices,
    ...(person ? { person } : {}),
  });
  if (!answer.has('code')) throw new Error(`no code: ${answer}`);
  return answer;
}

export interface Tokens {
  access_token: string;
  refresh_token: string;
  id_token: string;
  scope?: string;
}

export async function signInForTokens(
  app: TestApp,
  jar: Jar,
  client: TestClient,
  person: Credentials | undefined,
  parameters: AuthorizeParameters = {},
): Promise<Tokens> {
  const answer = await signIn(app, jar, client, person, parameters);
  const { status, json, text } = await redeem(app, client, answer.get('code'));
  if (status !== 200) throw new Error(`the code was refused: ${text}`);
  return json as unknown as Tokens;
}

export interface Step extends Reply {
  url: string;
  csrf: string;
  /** Where the page's forms go. */
  actions: string[];
}

/** Follows redirects of this server until there is a page. */
export async function openStep(jar: Jar, start: string): Promise<Step> {
  let url = start;
  for (let hop = 0; hop < 10; hop += 1) {
    const reply = await request(jar, url);
    const location = reply.headers.get('location');
    if (!location) {
      return {
        ...reply,
        url,
        csrf: /name="csrf" value="([^"]+)"/.exec(reply.text)?.[1] ?? '',
        actions: [...reply.text.matchAll(/<form method="post" action="([^"]+)"/g)].map(([, action]) =>
          String(action),
        ),
      };
    }
    url = new URL(location, url).href;
  }
  throw new Error(`no page after ${start}`);
}

/** Posts to a part of a journey, such as "sign-in"; a part that starts with a slash is a whole path. */
export function submit(
  jar: Jar,
  step: Pick<Step, 'url' | 'csrf'>,
  part: string,
  fields: Record<string, string> | string[][] = {},
  headers: Record<string, string> = {},
): Promise<Reply> {
  const journey = /^\/interaction\/[^/]+/.exec(new URL(step.url).pathname)?.[0];
  const given = Array.isArray(fields) ? fields : Object.entries(fields);
  const withCsrf = given.some(([name]) => name === 'csrf') ? given : [['csrf', step.csrf], ...given];
  return request(jar, new URL(part.startsWith('/') ? part : `${journey}/${part}`, step.url).href, {
    method: 'POST',
    headers,
    body: new URLSearchParams(withCsrf as [string, string][]),
  });
}

/** Signs out on the account page; the answer is the redirect away from it. */
export async function signOut(app: TestApp, jar: Jar): Promise<Reply> {
  const account = await openStep(jar, `${app.url}/account`);
  return submit(jar, account, '/account/sign-out');
}

export function newVerifier(): { verifier: string; challenge: string } {
  const verifier = randomBytes(32).toString('base64url');
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') };
}

export type Credential = Pick<TestClient, 'id' | 'secret'>;

export function introspect(app: TestApp, token: string, client: Credential): Promise<Reply> {
  return post(app, '/token/introspection', { token }, basic(client.id, client.secret));
}

export function revoke(app: TestApp, token: string, client: Credential): Promise<Reply> {
  return client.secret
    ? post(app, '/token/revocation', { token }, basic(client.id, client.secret))
    : post(app, '/token/revocation', { token, client_id: client.id });
}

/** The error in the redirect to the client, with the page's code when the answer is a page. */
export function errorOf(reply: Reply): string | undefined {
  const location = reply.headers.get('location');
  if (location) {
    const { searchParams } = new URL(location, 'http://none.test');
    return searchParams.get('error') ?? undefined;
  }
  return /id="error-code">([^<]+)</.exec(reply.text)?.[1] ?? (reply.json['error'] as string | undefined);
}

export interface RawReply {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

/** Fetch sets Host by itself and mends addresses; this sends what it is given. */
export function raw(
  app: TestApp,
  path: string,
  {
    method = 'GET',
    headers = {},
    body,
  }: { method?: string; headers?: Record<string, string | string[]>; body?: string | Buffer } = {},
): Promise<RawReply> {
  const { host } = new URL(app.url);
  return new Promise((resolve, reject) => {
    const sent = httpRequest(
      { host: '127.0.0.1', port: app.port, path, method, setHost: false, headers: { host, ...headers } },
      (response) => {
        let text = '';
        response
          .setEncoding('utf8')
          .on('data', (chunk: string) => {
            text += chunk;
          })
          .on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
      },
    );
    sent.on('error', reject).end(body);
  });
}

export function defects(app: TestApp): string[] {
  return app.log.filter((line) => /"level":"(error|fatal)"/.test(line));
}
