/** Every error that a person sees: what happened, what to do, and a number that finds it in the log. */
import { type Html, html } from '../server/web/html.ts';
import { alert } from '../server/web/icons.ts';
import { layout, type PageContext } from '../server/web/page.ts';
import { buttonLink, outLink } from '../server/web/parts.ts';

export interface ProblemProps {
  heading: string;
  explanation: string;
  /** What the person can do; the first one is the obvious one. */
  wayOn?: readonly { href: string; label: string }[];
  /** For whoever registered the application; folded. `docs` is the section about this error. */
  developer?: { error: string; description?: string; docs: string };
  /** The id of the request, the same as in the log. */
  reference: string;
}

function developers(
  { t }: PageContext,
  { error, description, docs }: NonNullable<ProblemProps['developer']>,
): Html {
  return html`<details class="developers"><summary>${t('problem.developers')}</summary>
<dl class="facts">
  <div><dt>${t('problem.error')}</dt><dd><code id="error-code">${error}</code></dd></div>
  ${description && html`<div><dt>${t('problem.description')}</dt><dd id="error-description">${description}</dd></div>`}
</dl>
<p>${outLink(docs, t('problem.docs'))}</p></details>`;
}

export function problemView(page: PageContext, props: ProblemProps): Html {
  const { t } = page;
  const ways = (props.wayOn ?? []).map(({ href, label }, index) =>
    buttonLink(href, label, index === 0 ? 'primary' : 'quiet'),
  );
  return layout(page, {
    title: props.heading,
    kind: 'auth',
    failed: true,
    body: html`<div class="lead"><span class="sign bad">${alert}</span><h1>${props.heading}</h1>
<p class="muted">${props.explanation}</p></div>
${ways.length > 0 && html`<div class="stack">${ways}</div>`}
${props.developer && developers(page, props.developer)}
<p class="reference">${t('problem.reference')} <code id="reference">${props.reference}</code></p>`,
  });
}

export const states: Record<string, ProblemProps> = {
  plain: {
    heading: 'This page is not there',
    explanation: 'The address may be mistyped, or the page has moved.',
    wayOn: [{ href: '/account', label: 'Go to my account' }],
    reference: '01JDEMO7Q2X9',
  },
  protocol: {
    heading: 'The application sent you to a wrong address',
    explanation:
      'Demo Shop asked us to return you to a page that it has not registered, so we stopped here. You did nothing wrong.',
    developer: {
      error: 'invalid_redirect_uri',
      description: 'redirect_uri did not match any of the client’s registered redirect_uris',
      docs: '/docs/errors#invalid_redirect_uri',
    },
    reference: '01JDEMO7Q2X9',
  },
  unexpected: {
    heading: 'Something went wrong on our side',
    explanation: 'It has been recorded. Try again in a moment.',
    wayOn: [
      { href: '/', label: 'Try again' },
      { href: '/account', label: 'Go to my account' },
    ],
    developer: { error: 'server_error', docs: '/docs/errors#server_error' },
    reference: '01JDEMO7Q2X9',
  },
};
