/** The account page: who is signed in, under which names, and the way out. */
import { type Html, html } from '../../server/web/html.ts';
import { layout, type PageContext } from '../../server/web/page.ts';
import { csrfField } from '../../server/web/parts.ts';

export interface AccountProps {
  name: string;
  identifiers: readonly { kind: 'email' | 'username' | 'phone'; value: string; verified: boolean }[];
  /** Where the form "Sign out" posts to. */
  signOut: string;
  csrf: string;
}

function identifierRow(
  { t }: PageContext,
  { kind, value, verified }: AccountProps['identifiers'][number],
): Html {
  return html`<div><dt>${t(`account.${kind}`)}</dt><dd><bdi>${value}</bdi>${!verified && html` <span class="tag warn">${t('account.unverified')}</span>`}</dd></div>`;
}

export function accountView(page: PageContext, { name, identifiers, signOut, csrf }: AccountProps): Html {
  const { t } = page;
  return layout(page, {
    title: t('account.title'),
    kind: 'shell',
    account: { name },
    body: html`<h1>${t('account.title')}</h1>
<section class="card">
  <dl class="facts">
    <div><dt>${t('account.name')}</dt><dd><bdi>${name}</bdi></dd></div>
    ${identifiers.map((identifier) => identifierRow(page, identifier))}
  </dl>
</section>
<section class="card">
  <h2>${t('account.session')}</h2>
  <p class="muted">${t('account.session.explanation')}</p>
  <form method="post" action="${signOut}">${csrfField(csrf)}<button class="btn" id="sign-out">${t('account.signOut')}</button></form>
</section>`,
  });
}

const sample: AccountProps = {
  name: 'Alice Liddell',
  identifiers: [
    { kind: 'email', value: 'alice@example.test', verified: true },
    { kind: 'username', value: 'alice', verified: true },
  ],
  signOut: '/account/sign-out',
  csrf: 'd2l0aC1sb3Zl',
};

export const states: Record<string, AccountProps> = {
  usual: sample,
  unconfirmed: {
    ...sample,
    identifiers: [
      { kind: 'email', value: 'alice@example.test', verified: false },
      { kind: 'username', value: 'alice', verified: true },
      { kind: 'phone', value: '+44 20 7946 0000', verified: true },
    ],
  },
};
