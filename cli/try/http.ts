/** Requests of a try, each written down with its answer. */
import { Unreachable } from '../admin.ts';
import { describe, type Report, Surprise, shorten } from './report.ts';

export interface Answer {
  status: number;
  headers: Headers;
  body: Record<string, unknown>;
}

/** How a client proves itself: by name only (a public client), or by HTTP Basic. */
export interface Credential {
  id: string;
  secret?: string;
}

export interface Http {
  get(url: string, options?: { bearer?: string; quiet?: boolean }): Promise<Answer>;
  /** Posts a form as a client; the parameters say what is asked. */
  post(url: string, client: Credential, parameters: Readonly<Record<string, string>>): Promise<Answer>;
}

const TIMEOUT_MS = 15_000;

export function createHttp(report: Report): Http {
  return {
    async get(url, { bearer, quiet } = {}) {
      report.line('sent', `GET ${url}${bearer ? `  Authorization: Bearer ${shorten(bearer)}` : ''}`);
      const headers = {
        Accept: 'application/json',
        ...(bearer ? { Authorization: `Bearer ${bearer}` } : {}),
      };
      return answerOf(report, url, { headers }, quiet);
    },
    async post(url, client, parameters) {
      const body = new URLSearchParams(parameters);
      const headers: Record<string, string> = { Accept: 'application/json' };
      if (client.secret === undefined) body.set('client_id', client.id);
      else headers['Authorization'] = basic(client.id, client.secret);
      const proof =
        client.secret === undefined ? '' : `  Authorization: Basic ${client.id}:${shorten(client.secret)}`;
      report.line('sent', `POST ${url}${proof}`);
      report.line('noted', describe(Object.fromEntries(body)));
      return answerOf(report, url, { method: 'POST', headers, body });
    },
  };
}

/** RFC 6749 section 2.3.1: both halves are form-encoded before they are joined. */
function basic(id: string, secret: string): string {
  const encode = (value: string) => new URLSearchParams({ v: value }).toString().slice(2);
  return `Basic ${Buffer.from(`${encode(id)}:${encode(secret)}`).toString('base64')}`;
}

async function answerOf(report: Report, url: string, init: RequestInit, quiet = false): Promise<Answer> {
  const response = await fetch(url, {
    ...init,
    redirect: 'manual',
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).catch((error: Error) => {
    const { message } = (error.cause as Error | undefined) ?? error;
    throw new Unreachable(
      `${new URL(url).origin} does not answer: ${message || error.message}. Is --issuer right?`,
    );
  });
  const { status, headers } = response;
  const text = await response.text();
  const body = text === '' ? {} : parse(url, text, headers.get('content-type'));
  report.line('answered', `${status}${quiet || text === '' ? '' : `  ${describe(body)}`}`);
  return { status, headers, body };
}

function parse(url: string, text: string, type: string | null): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    throw new Surprise(`the answer of ${url}`, 'JSON', `${type ?? 'no media type'}: ${text.slice(0, 80)}`);
  }
}

/** @throws {Surprise} when the answer has another status, with what the server said about it */
export function expectStatus(report: Report, { status, body }: Answer, expected: number): void {
  if (status === expected) return report.equal('status', expected, status);
  const { error, error_description: description } = body;
  throw new Surprise('status', String(expected), [status, error, description].filter(Boolean).join(' '));
}

/** A member that must be text and not empty. */
export function textOf(report: Report, { body }: Answer, member: string): string {
  const value = body[member];
  if (typeof value !== 'string' || value === '')
    throw new Surprise(member, 'text', JSON.stringify(value) ?? 'nothing');
  report.line('checked', `there is ${/^[aeiou]/.test(member) ? 'an' : 'a'} ${member}`);
  return value;
}
