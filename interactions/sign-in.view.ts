/** Sign in with a name and a password; or confirm the password of the account that is signed in already. */
import { type Html, html } from '../server/web/html.ts';
import { layout, type PageContext } from '../server/web/page.ts';
import {
  clientMark,
  csrfField,
  errorSummary,
  nameOf,
  passwordField,
  personLine,
  rich,
  textField,
} from '../server/web/parts.ts';

export interface SignInProps {
  action: string;
  csrf: string;
  client?: { name: string; logoUrl?: string };
  /** What was typed before, or the `login_hint`. */
  identifier: string;
  /** One word for an unknown name, a wrong password and a lock: they must not differ by a letter. */
  failure?: 'mismatch' | 'suspended' | 'throttled';
  retryAfterSeconds?: number;
  /** Re-authentication: only this account will do. */
  fixedAccount?: { name: string; identifier: string };
  /** Where the form "Use another account" posts to; shown beside a fixed account. */
  switchAccount?: string;
  /** Where the form "Cancel" posts to; it returns to the client with `access_denied`. Shown when there is a client. */
  cancel: string;
}

function waiting({ t }: PageContext, seconds: number): Html {
  const minutes = Math.ceil(seconds / 60);
  const words =
    seconds < 60 ? t('wait.seconds', { count: Math.ceil(seconds) }) : t('wait.minutes', { count: minutes });
  return rich(t, 'signIn.throttled', {
    wait: html`<time datetime="PT${Math.ceil(seconds)}S">${words}</time>`,
  });
}

function failureText(page: PageContext, props: SignInProps): Html | string | undefined {
  if (props.failure === 'mismatch') return page.t('signIn.mismatch');
  if (props.failure === 'throttled') return waiting(page, props.retryAfterSeconds ?? 60);
  return props.failure && page.t('signIn.suspended', { product: page.branding.productName });
}

function heading({ t }: PageContext, { client, fixedAccount }: SignInProps): Html {
  if (fixedAccount)
    return html`<h1>${t('signIn.again')}</h1>
<p class="muted">${client ? rich(t, 'signIn.again.continueTo', { client: nameOf(client.name) }) : t('signIn.again.explanation')}</p>`;
  return html`<h1>${client ? rich(t, 'signIn.continueTo', { client: nameOf(client.name) }) : t('signIn.title')}</h1>`;
}

function identifierField({ t }: PageContext, { identifier, failure }: SignInProps): Html {
  return textField({
    name: 'identifier',
    label: t('signIn.identifier'),
    value: identifier,
    attributes: html`type="text" autocomplete="username webauthn" inputmode="email" autocapitalize="none" spellcheck="false" enterkeyhint="next" maxlength="254" required${
      !failure && identifier === '' ? html` autofocus` : null
    }`,
  });
}

/** Password managers fill a password only when they find a name beside it. What arrives is a hint: the session says who it is. */
const fixedName = (identifier: string): Html =>
  html`<input type="text" name="identifier" autocomplete="username" value="${identifier}" readonly hidden>`;

export function signInView(page: PageContext, props: SignInProps): Html {
  const { t } = page;
  const { action, csrf, client, fixedAccount, switchAccount, cancel } = props;
  const failure = failureText(page, props);
  const focusPassword = !failure && (fixedAccount !== undefined || props.identifier !== '');
  return layout(page, {
    title: fixedAccount ? t('signIn.again') : t('signIn.title'),
    kind: 'auth',
    failed: failure !== undefined,
    body: html`<div class="lead">${client && clientMark(client)}${heading(page, props)}</div>
${failure && errorSummary(t, [{ message: failure }])}
${fixedAccount && html`<div class="panel">${personLine(fixedAccount)}</div>`}
<form method="post" action="${action}" class="stack">
  ${csrfField(csrf)}
  ${fixedAccount ? fixedName(fixedAccount.identifier) : identifierField(page, props)}
  ${passwordField(t, {
    name: 'password',
    label: t('signIn.password'),
    attributes: html`type="password" autocomplete="current-password" enterkeyhint="go" required${focusPassword && html` autofocus`}`,
  })}
  <button class="btn primary block" id="sign-in">${t('signIn.submit')}</button>
</form>
<div class="after">
  ${fixedAccount && switchAccount !== undefined && html`<form method="post" action="${switchAccount}">${csrfField(csrf)}<button class="link" id="use-another-account">${t('signIn.anotherAccount')}</button></form>`}
  ${client && html`<form method="post" action="${cancel}">${csrfField(csrf)}<button class="link quiet" id="cancel">${t('signIn.cancel')}</button></form>`}
</div>`,
  });
}

const sample: SignInProps = {
  action: '/interaction/Wb6x/sign-in',
  csrf: 'd2l0aC1sb3Zl',
  client: { name: 'Demo Shop' },
  identifier: '',
  cancel: '/interaction/Wb6x/cancel',
};

export const states: Record<string, SignInProps> = {
  empty: sample,
  hinted: { ...sample, identifier: 'alice@example.test' },
  mismatch: { ...sample, identifier: 'alice@example.test', failure: 'mismatch' },
  throttled: { ...sample, identifier: 'alice@example.test', failure: 'throttled', retryAfterSeconds: 90 },
  throttledBriefly: { ...sample, identifier: 'alice', failure: 'throttled', retryAfterSeconds: 12 },
  suspended: { ...sample, identifier: 'alice@example.test', failure: 'suspended' },
  again: {
    ...sample,
    fixedAccount: { name: 'Alice Liddell', identifier: 'alice@example.test' },
    switchAccount: '/interaction/Wb6x/switch-account',
  },
  againMismatch: {
    ...sample,
    fixedAccount: { name: 'Alice Liddell', identifier: 'alice@example.test' },
    switchAccount: '/interaction/Wb6x/switch-account',
    failure: 'mismatch',
  },
  withoutClient: { action: sample.action, csrf: sample.csrf, identifier: '', cancel: sample.cancel },
  longName: {
    ...sample,
    client: { name: 'Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft' },
  },
};
