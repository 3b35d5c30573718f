/** Errors of ours as pages: what happened, what to do, and the reference that is in the log. */
import type { Context } from 'koa';
import type { AppError } from '../server/errors.ts';
import type { MessageKey } from '../server/web/i18n/i18n.ts';
import { sendPage } from '../server/web/page.ts';
import type { MakePage } from '../server/web/page-context.ts';
import { problemView } from './problem.view.ts';

type Topic =
  | 'request'
  | 'tooLarge'
  | 'forbidden'
  | 'notFound'
  | 'method'
  | 'misdirected'
  | 'https'
  | 'alreadySetUp'
  | 'unavailable'
  | 'server';

const topicOf: Record<string, Topic> = {
  malformed_request: 'request',
  malformed_body: 'request',
  unsupported_media_type: 'request',
  body_too_large: 'tooLarge',
  cross_site_request: 'forbidden',
  csrf_mismatch: 'forbidden',
  not_found: 'notFound',
  method_not_allowed: 'method',
  misdirected_request: 'misdirected',
  https_required: 'https',
  already_set_up: 'alreadySetUp',
  temporarily_unavailable: 'unavailable',
  busy: 'unavailable',
};

export function showProblem(makePage: MakePage, ctx: Context, error: AppError, host = ''): void {
  const page = makePage(ctx);
  const topic = topicOf[error.code] ?? 'server';
  const title: MessageKey = `problem.${topic}.title`;
  const explanation: MessageKey = `problem.${topic}.explanation`;
  const issuer = String(ctx.state['origin']);
  const wrongPlace = topic === 'misdirected' || topic === 'https';
  const view = problemView(page, {
    heading: page.t(title),
    explanation: page.t(explanation, { issuer, host }),
    wayOn: wrongPlace
      ? [{ href: issuer, label: issuer }]
      : [{ href: '/account', label: page.t('problem.account') }],
    developer: { error: error.code, description: error.message, docs: `/docs/errors#${error.code}` },
    reference: page.requestId,
  });
  if (error.retryAfterSeconds !== undefined) ctx.set('Retry-After', String(error.retryAfterSeconds));
  sendPage(ctx, view, { status: error.status, kind: 'interaction' });
}
