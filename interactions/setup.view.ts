/** The first operator of a server. The setup key arrives in the fragment of the printed link and is moved into its field by setup.ts. */
import { type Html, html } from '../server/web/html.ts';
import type { MessageKey } from '../server/web/i18n/i18n.ts';
import { layout, type PageContext } from '../server/web/page.ts';
import { csrfField, errorSummary, passwordField, script, textField } from '../server/web/parts.ts';

type SetupField = 'key' | 'name' | 'identifier' | 'password';

export interface SetupProps {
  action: string;
  csrf: string;
  values: { name: string; identifier: string };
  errors: readonly { field: SetupField; message: MessageKey }[];
  /** The key that was sent, so that a mistake elsewhere does not cost it; '' at first. */
  key: string;
  /** Least number of characters of a password. */
  minimumPasswordLength?: number;
}

export function setupView(page: PageContext, props: SetupProps): Html {
  const { t, branding } = page;
  const { action, csrf, values, key, minimumPasswordLength: minimum = 12 } = props;
  const problems = props.errors.map(({ field, message }) => ({ field, message: t(message, { minimum }) }));
  const error = (field: SetupField) => problems.find((problem) => problem.field === field)?.message;
  return layout(page, {
    title: t('setup.title', { product: branding.productName }),
    kind: 'auth',
    failed: problems.length > 0,
    body: html`<div class="lead"><h1>${t('setup.title', { product: branding.productName })}</h1>
<p class="muted">${t('setup.explanation')}</p></div>
${problems.length > 0 && errorSummary(t, problems)}
<form method="post" action="${action}" class="stack" autocomplete="on">
  ${csrfField(csrf)}
  ${textField({
    name: 'key',
    label: t('setup.key'),
    value: key,
    hint: t('setup.key.hint'),
    error: error('key'),
    attributes: html`type="text" class="mono" autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="200" required`,
  })}
  ${textField({
    name: 'name',
    label: t('setup.name'),
    value: values.name,
    error: error('name'),
    attributes: html`type="text" autocomplete="name" maxlength="200" required`,
  })}
  ${textField({
    name: 'identifier',
    label: t('setup.identifier'),
    value: values.identifier,
    hint: t('setup.identifier.hint'),
    error: error('identifier'),
    attributes: html`type="text" autocomplete="username" inputmode="email" autocapitalize="none" spellcheck="false" maxlength="254" required`,
  })}
  ${passwordField(t, {
    name: 'password',
    label: t('setup.password'),
    hint: t('setup.password.hint', { minimum }),
    error: error('password'),
    attributes: html`type="password" autocomplete="new-password" minlength="${minimum}" maxlength="128" passwordrules="minlength: ${minimum}; maxlength: 128; allowed: unicode;" enterkeyhint="go" required`,
  })}
  <button class="btn primary block" id="create-account">${t('setup.submit')}</button>
</form>
${script('setup.js')}`,
  });
}

const sample: SetupProps = {
  action: '/setup',
  csrf: 'd2l0aC1sb3Zl',
  values: { name: '', identifier: '' },
  errors: [],
  key: '',
};

export const states: Record<string, SetupProps> = {
  empty: sample,
  wrongKey: {
    ...sample,
    key: '9fQ2x7Lm',
    values: { name: 'Alice Liddell', identifier: 'alice@example.test' },
    errors: [{ field: 'key', message: 'setup.error.keyWrong' }],
  },
  manyErrors: {
    ...sample,
    key: '9fQ2x7Lm',
    values: { name: '', identifier: 'alice@' },
    errors: [
      { field: 'name', message: 'setup.error.nameMissing' },
      { field: 'identifier', message: 'setup.error.identifierInvalid' },
      { field: 'password', message: 'setup.error.passwordTooShort' },
    ],
  },
  nothingFilledIn: {
    ...sample,
    errors: [
      { field: 'key', message: 'setup.error.keyMissing' },
      { field: 'name', message: 'setup.error.nameMissing' },
      { field: 'identifier', message: 'setup.error.identifierMissing' },
      { field: 'password', message: 'setup.error.passwordMissing' },
    ],
  },
  refusedByRules: {
    ...sample,
    key: '9fQ2x7Lm',
    values: { name: 'A', identifier: 'alice' },
    errors: [
      { field: 'name', message: 'setup.error.nameTooLong' },
      { field: 'identifier', message: 'setup.error.identifierTaken' },
      { field: 'password', message: 'setup.error.passwordCommon' },
    ],
  },
  passwordTooLong: {
    ...sample,
    key: '9fQ2x7Lm',
    values: { name: 'Alice Liddell', identifier: 'alice' },
    errors: [{ field: 'password', message: 'setup.error.passwordTooLong' }],
  },
};
