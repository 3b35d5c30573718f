/** After a sign-out that does not return to an application. */
import { type Html, html } from '../server/web/html.ts';
import { check } from '../server/web/icons.ts';
import { layout, type PageContext } from '../server/web/page.ts';
import { buttonLink, nameOf, rich } from '../server/web/parts.ts';

export interface SignedOutProps {
  /** Where "Sign in again" leads. */
  signIn: string;
  /** The application that asked, with its own page when it has one. */
  client?: { name: string; href?: string };
}

export function signedOutView(page: PageContext, { signIn, client }: SignedOutProps): Html {
  const { t } = page;
  const back =
    client && buttonLink(client.href, rich(t, 'signedOut.backTo', { client: nameOf(client.name) }), 'quiet');
  return layout(page, {
    title: t('signedOut.title'),
    kind: 'auth',
    body: html`<div class="lead"><span class="sign ok">${check}</span><h1>${t('signedOut.title')}</h1>
<p class="muted">${t('signedOut.explanation', { product: page.branding.productName })}</p></div>
<div class="stack">${buttonLink(signIn, t('signedOut.again'), 'primary')}${back}</div>`,
  });
}

export const states: Record<string, SignedOutProps> = {
  alone: { signIn: '/account' },
  withClient: { signIn: '/account', client: { name: 'Demo Shop', href: 'https://shop.example.test/' } },
};
