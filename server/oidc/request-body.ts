/** Bodies of protocol requests: read once with our limits, then given to the engine as if fresh from the socket. */
import type { Context } from 'koa';
import { bodyTooLarge } from '../errors.ts';
import { parseFields, readBytes } from '../web/body.ts';
import type { JwtAccessTokens } from './jwt-access-tokens.ts';
import type { EngineRoute } from './routes.ts';

/** The engine's own limit. */
const LIMIT_BYTES = 56 * 1024;

/** A body that was read; `fields` when it is a form. */
export interface ProtocolBody {
  bytes: Buffer;
  fields: ReadonlyMap<string, readonly string[]> | undefined;
}

/** @throws {AppError} body_too_large (413), or malformed_body (400) for NUL characters, broken UTF-8 or percent-encoding */
export async function readProtocolBody(ctx: Context): Promise<ProtocolBody> {
  const bytes = await readBytes(ctx, LIMIT_BYTES);
  return { bytes, fields: ctx.is('application/x-www-form-urlencoded') ? parseFields(bytes) : undefined };
}

/** Gives the body to the engine, with one of our JWTs in it replaced by what the engine can look up. */
export async function replayBody(
  ctx: Context,
  { bytes, fields }: ProtocolBody,
  route: EngineRoute,
  jwtAccessTokens: JwtAccessTokens,
): Promise<void> {
  const token = fields?.get('token');
  if (!fields || !route.takesToken || token?.length !== 1 || !token[0]) return replay(ctx, bytes);
  const surrogate = await jwtAccessTokens.surrogate(token[0]);
  if (surrogate === token[0]) return replay(ctx, bytes);
  const rewritten = new URLSearchParams(
    [...fields].flatMap(([name, values]) =>
      values.map((value) => [name, name === 'token' ? surrogate : value]),
    ),
  );
  return replay(ctx, Buffer.from(rewritten.toString()));
}

/** Longer ones do not fit the request line that browsers and servers agree on. */
const LONGEST_QUERY = 8000;

/**
 * An authorization request may be posted (OpenID Connect Core 3.1.2.1), and so may a sign-out (RP-Initiated Logout section 2). The
 * session cookie is SameSite=Lax and does not come with a cross-site POST, so the browser is sent to the same request by GET.
 *
 * @throws {AppError} body_too_large (413) for one that should have been pushed (RFC 9126)
 */
export async function redirectPostedRequest(ctx: Context): Promise<void> {
  const fields = parseFields(await readBytes(ctx, LIMIT_BYTES));
  const query = new URLSearchParams(
    [...fields].flatMap(([name, values]) => values.map((value) => [name, value])),
  ).toString();
  if (query.length > LONGEST_QUERY) throw bodyTooLarge();
  ctx.redirect(`${ctx.path}?${query}`);
  ctx.status = 303;
  ctx.set('Cache-Control', 'no-store');
}

/** The engine reads `req.iterator()` while `req.readable`; both now stand for the bytes that were read. */
function replay(ctx: Context, body: Buffer): void {
  Object.defineProperty(ctx.req, 'readable', { value: true, configurable: true });
  Object.defineProperty(ctx.req, 'iterator', { value: () => once(body), configurable: true });
  if (ctx.req.headers['content-length'] !== undefined)
    ctx.req.headers['content-length'] = String(body.length);
}

async function* once(body: Buffer): AsyncGenerator<Buffer> {
  if (body.length > 0) yield body;
}
