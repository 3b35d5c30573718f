/**
 * The question before a sign-out that an application asked for. With an ID token of this very session there is no question: the form sends itself,
 * and without JavaScript it is one button.
 */
import { type Html, html } from '../server/web/html.ts';
import { layout, type PageContext } from '../server/web/page.ts';
import { nameOf, rich, script } from '../server/web/parts.ts';

export interface SignOutProps {
  /** The engine's own address, which checks `xsrf`; `logout=yes` means yes. */
  action: string;
  xsrf: string;
  client?: { name: string };
  automatic: boolean;
}

export function signOutView(page: PageContext, { action, xsrf, client, automatic }: SignOutProps): Html {
  const { t } = page;
  const title = t(automatic ? 'signOut.automatic' : 'signOut.title', { product: page.branding.productName });
  const question = html`${client && html`<p>${rich(t, 'signOut.asked', { client: nameOf(client.name) })}</p>`}<p class="muted">${t('signOut.effect', { product: page.branding.productName })}</p>`;
  return layout(page, {
    title,
    kind: 'auth',
    body: html`<div class="lead"><h1>${title}</h1>${!automatic && question}</div>
<form method="post" action="${action}" class="stack"${automatic && html` data-automatic`}>
  <input type="hidden" name="xsrf" value="${xsrf}">
  <button class="btn primary block" id="sign-out-confirm" name="logout" value="yes">${t('signOut.confirm')}</button>
  ${!automatic && html`<button class="btn block" id="sign-out-stay">${t('signOut.stay')}</button>`}
</form>
${automatic && script('sign-out.js')}`,
  });
}

const sample: SignOutProps = {
  action: '/session/end/confirm',
  xsrf: 'd2l0aC1sb3Zl',
  client: { name: 'Demo Shop' },
  automatic: false,
};

export const states: Record<string, SignOutProps> = {
  asked: sample,
  withoutClient: { action: sample.action, xsrf: sample.xsrf, automatic: false },
  automatic: { ...sample, automatic: true },
};
