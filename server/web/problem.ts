/** Errors for programs: RFC 9457, with a `type` that leads to the section about the code. */
import type { Context } from 'koa';
import type { AppError } from '../errors.ts';

export function sendProblem(ctx: Context, error: AppError): void {
  ctx.status = error.status;
  ctx.set('Cache-Control', 'no-store');
  if (error.retryAfterSeconds !== undefined) ctx.set('Retry-After', String(error.retryAfterSeconds));
  ctx.body = JSON.stringify({
    type: `${ctx.state['origin']}/docs/errors#${error.code}`,
    title: error.message,
    status: error.status,
    code: error.code,
    instance: ctx.state['requestId'],
    ...(error.fields.length > 0 ? { fields: error.fields } : {}),
  });
  ctx.type = 'application/problem+json';
}

/** Errors of protocol endpoints speak only registered OAuth codes (RFC 6749 section 5.2). */
export function sendOAuthError(ctx: Context, error: AppError): void {
  const code =
    error.status === 503
      ? 'temporarily_unavailable'
      : error.status >= 500
        ? 'server_error'
        : 'invalid_request';
  ctx.status = error.status;
  ctx.set('Cache-Control', 'no-store');
  if (error.retryAfterSeconds !== undefined) ctx.set('Retry-After', String(error.retryAfterSeconds));
  ctx.body = { error: code, error_description: error.message };
}
