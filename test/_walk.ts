/**
 * A person without a browser: follows a journey with plain requests, keeps cookies by their path, and fills in the forms.
 *
 * `walk(app, url, { person, scopes, deny })` goes from an authorization URL to the client's callback and returns its parameters;
 * `authorizeUrl`, `redeem`, `post` and `basic` are the client's side.
 */
import { createHash } from 'node:crypto';
import type { Person, TestApp } from './_app.ts';

export interface Jar {
  cookies: { name: string; value: string; path: string }[];
}

export const newJar = (): Jar => ({ cookies: [] });

export const verifier = 'v'.repeat(43);
export const challenge = createHash('sha256').update(verifier).digest('base64url');

export interface TestClient {
  id: string;
  secret: string | undefined;
  redirectUri: string;
}

export function authorizeUrl(
  app: TestApp,
  client: TestClient,
  more: Record<string, string | undefined> = {},
): string {
  const parameters = {
    client_id: client.id,
    response_type: 'code',
    scope: 'openid profile email',
    redirect_uri: client.redirectUri,
    code_challenge: challenge,
    code_challenge_method: 'S256',
    state: 'the-state',
    ...more,
  };
  const given = Object.entries(parameters).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return `${app.url}/auth?${new URLSearchParams(given)}`;
}

export const basic = (id: string, secret: string | undefined) => ({
  authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
});

export interface Reply {
  status: number;
  headers: Headers;
  text: string;
  json: Record<string, unknown>;
}

export async function post(
  app: TestApp,
  path: string,
  form: Record<string, string | undefined>,
  headers: Record<string, string> = {},
): Promise<Reply> {
  const given = Object.entries(form).filter((pair): pair is [string, string] => pair[1] !== undefined);
  const response = await fetch(`${app.url}${path}`, {
    method: 'POST',
    headers,
    body: new URLSearchParams(given),
    redirect: 'manual',
  });
  return toReply(response);
}

export function redeem(
  app: TestApp,
  client: TestClient,
  code: string | null,
  more: Record<string, string | undefined> = {},
) {
  return post(
    app,
    '/token',
    {
      grant_type: 'authorization_code',
      code: String(code),
      redirect_uri: client.redirectUri,
      code_verifier: verifier,
      ...(client.secret ? {} : { client_id: client.id }),
      ...more,
    },
    client.secret ? basic(client.id, client.secret) : {},
  );
}

export function refresh(app: TestApp, client: TestClient, token: unknown, more: Record<string, string> = {}) {
  return post(
    app,
    '/token',
    {
      grant_type: 'refresh_token',
      refresh_token: String(token),
      ...(client.secret ? {} : { client_id: client.id }),
      ...more,
    },
    client.secret ? basic(client.id, client.secret) : {},
  );
}

export async function userinfo(app: TestApp, token: unknown): Promise<Reply> {
  return toReply(await fetch(`${app.url}/me`, { headers: { authorization: `Bearer ${String(token)}` } }));
}

async function toReply(response: Response): Promise<Reply> {
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json');
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: isJson ? (JSON.parse(text) as Record<string, unknown>) : {},
  };
}

export async function request(jar: Jar, url: string, init: RequestInit = {}): Promise<Reply> {
  const response = await fetch(url, {
    redirect: 'manual',
    ...init,
    headers: {
      accept: 'text/html',
      ...(init.headers as Record<string, string>),
      cookie: cookieHeader(jar, url),
    },
  });
  for (const line of response.headers.getSetCookie()) keep(jar, line);
  return toReply(response);
}

export function cookieHeader(jar: Jar, url: string): string {
  const { pathname } = new URL(url);
  return jar.cookies
    .filter(({ path }) => path === '/' || pathname === path || pathname.startsWith(`${path}/`))
    .map(({ name, value }) => `${name}=${value}`)
    .join('; ');
}

function keep(jar: Jar, line: string): void {
  const [pair = '', ...attributes] = line.split(/;\s*/);
  const at = pair.indexOf('=');
  const name = pair.slice(0, at);
  const path = /^path=(.*)$/i.exec(attributes.find((one) => /^path=/i.test(one)) ?? '')?.[1] ?? '/';
  const expires = /^expires=(.*)$/i.exec(attributes.find((one) => /^expires=/i.test(one)) ?? '')?.[1];
  jar.cookies = jar.cookies.filter((cookie) => cookie.name !== name || cookie.path !== path);
  if (expires && Date.parse(expires) <= Date.now()) return;
  jar.cookies.push({ name, value: pair.slice(at + 1), path });
}

export interface Choices {
  person?: Pick<Person, 'identifier' | 'password'>;
  /** Scopes to tick at consent; all that are shown when absent. */
  scopes?: readonly string[];
  deny?: boolean;
  /** Called with every page on the way. */
  seen?: (page: string, url: string) => void;
}

/** Walks to the client's callback. Throws with the page when it ends anywhere else. */
export async function walk(jar: Jar, start: string, choices: Choices = {}): Promise<URLSearchParams> {
  const callback = new URL(start).searchParams.get('redirect_uri') ?? 'none';
  let url = start;
  let form: URLSearchParams | undefined;
  for (let step = 0; step < 20; step += 1) {
    const reply = await request(jar, url, form ? { method: 'POST', body: form } : {});
    form = undefined;
    const location = reply.headers.get('location');
    if (location) {
      url = new URL(location, url).href;
      if (url.startsWith(callback)) return new URL(url).searchParams;
      continue;
    }
    choices.seen?.(reply.text, url);
    const next = fillIn(reply.text, choices);
    if (!next)
      throw new Error(`stuck at ${url}: ${reply.status} ${/<h1[^>]*>(.*?)<\/h1>/s.exec(reply.text)?.[1]}`);
    form = next.form;
    url = new URL(next.action, url).href;
  }
  throw new Error('the journey does not end');
}

/** The next form of a page: signing in, consent, or one that the engine submits by script. */
function fillIn(
  page: string,
  { person, scopes, deny }: Choices,
): { action: string; form: URLSearchParams } | undefined {
  const forms = [...page.matchAll(/<form method="post" action="([^"]+)"[^>]*>(.*?)<\/form>/gs)];
  const hidden = (body: string) =>
    [...body.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)].map(([, name, value]) => [
      String(name),
      unescape(String(value)),
    ]);
  for (const [, action = '', body = ''] of forms) {
    if (body.includes('name="password"') && person) {
      return {
        action,
        form: new URLSearchParams([
          ...hidden(body).filter(([name]) => name !== 'identifier'),
          ['identifier', person.identifier],
          ['password', person.password],
        ]),
      };
    }
    if (body.includes('id="consent-allow"')) {
      const shown = [...body.matchAll(/name="scope" value="([^"]+)"/g)].map(([, value]) =>
        unescape(String(value)),
      );
      const ticked = scopes ? shown.filter((scope) => scopes.includes(scope)) : shown;
      return {
        action,
        form: new URLSearchParams([
          ...hidden(body),
          ...ticked.map((scope) => ['scope', scope]),
          ['decision', deny ? 'deny' : 'allow'],
        ]),
      };
    }
    if (body.includes('name="logout"') && body.includes('name="xsrf"')) {
      return { action: unescape(action), form: new URLSearchParams([...hidden(body), ['logout', 'yes']]) };
    }
  }
  return undefined;
}

const unescape = (text: string) =>
  text
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');
