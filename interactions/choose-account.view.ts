/** Which account to go on with: those that are signed in, or another one. Each row is a submit button, so nothing has to be ticked first. */
import { type Html, html } from '../server/web/html.ts';
import { person } from '../server/web/icons.ts';
import { layout, type PageContext } from '../server/web/page.ts';
import { clientMark, csrfField, nameOf, personLine, rich, rowButton } from '../server/web/parts.ts';

export interface ChooseAccountProps {
  /** Gets `account=<subject>`, or `another=yes`. */
  action: string;
  csrf: string;
  client?: { name: string; logoUrl?: string };
  accounts: readonly { name: string; identifier: string; subject: string }[];
}

export function chooseAccountView(
  page: PageContext,
  { action, csrf, client, accounts }: ChooseAccountProps,
): Html {
  const { t } = page;
  return layout(page, {
    title: t('chooseAccount.title'),
    kind: 'auth',
    body: html`<div class="lead">${client && clientMark(client)}<h1>${t('chooseAccount.title')}</h1>
${client && html`<p class="muted">${rich(t, 'chooseAccount.continueTo', { client: nameOf(client.name) })}</p>`}</div>
<form method="post" action="${action}">
  ${csrfField(csrf)}
  <ul class="rows">
    ${accounts.map((account) => html`<li>${rowButton(html`name="account" value="${account.subject}"`, personLine(account))}</li>`)}
    <li>${rowButton(
      html`name="another" value="yes" id="use-another-account"`,
      html`<span class="person"><span class="avatar empty">${person}</span><span class="person-words">${t('signIn.anotherAccount')}</span></span>`,
    )}</li>
  </ul>
</form>`,
  });
}

const sample: ChooseAccountProps = {
  action: '/interaction/Wb6x/account',
  csrf: 'd2l0aC1sb3Zl',
  client: { name: 'Demo Shop' },
  accounts: [{ name: 'Alice Liddell', identifier: 'alice@example.test', subject: 'acc_1' }],
};

export const states: Record<string, ChooseAccountProps> = {
  one: sample,
  several: {
    ...sample,
    accounts: [
      ...sample.accounts,
      { name: '李雷', identifier: 'lilei@example.test', subject: 'acc_2' },
      {
        name: '',
        identifier: 'a-very-long-address-of-a-person@department.university.example.test',
        subject: 'acc_3',
      },
    ],
  },
  withoutClient: { action: sample.action, csrf: sample.csrf, accounts: sample.accounts },
};
