/** The shop as a client of the orders API: it sends a token and keeps what came back, for the page. */
import { decodeJwt, decodeProtectedHeader } from 'jose';
import type { Order } from './orders-api.ts';

export interface ApiCall {
  request: string;
  status: number;
  /** What the API says about a refusal (RFC 6750 section 3). */
  challenge: string | undefined;
  orders: readonly Order[];
  /** What the token may do, as the token response says. */
  scope: string;
  /** Decoded to be shown. A client has no business with the content of an access token: it is for the API. */
  token: { header: object; payload: object };
}

/** Calls the API and decides nothing about the answer. */
export async function callApi(
  method: 'GET' | 'POST',
  url: string,
  { token, scope }: { token: string; scope: string },
): Promise<ApiCall> {
  const answer = await fetch(url, { method, headers: { Authorization: `Bearer ${token}` } });
  const body = (await answer.json().catch(() => ({}))) as { orders?: Order[] };
  return {
    request: `${method} ${new URL(url).pathname}`,
    status: answer.status,
    challenge: answer.headers.get('WWW-Authenticate') ?? undefined,
    orders: body.orders ?? [],
    scope,
    token: { header: decodeProtectedHeader(token), payload: decodeJwt(token) },
  };
}
