/**
 * What an application asks for, in words, and the decision.
 *
 * Owns: showing everything that the decision is about: who asks, for whom, where the answer goes. Refuses: to call a name trustworthy that an
 * application gave itself; the host it returns to is shown, because that one cannot be made up.
 */
import { type Html, html } from '../server/web/html.ts';
import { formatDay } from '../server/web/i18n/i18n.ts';
import { clock } from '../server/web/icons.ts';
import { layout, type PageContext } from '../server/web/page.ts';
import { clientMark, csrfField, nameOf, outLink, personLine, rich } from '../server/web/parts.ts';

export interface ConsentScope {
  name: string;
  title: string;
  meaning?: string;
  /** The person's own data that it gives away, such as the address. */
  value?: string;
  /** Shown ticked and disabled; browsers do not send it, the handler adds it. */
  required: boolean;
  checked: boolean;
}

export interface ConsentGroup {
  /** Absent for the scopes of the person's own profile. */
  api?: { identifier: string; title: string };
  scopes: readonly ConsentScope[];
}

export interface ConsentProps {
  /** Gets `decision=allow|deny`, and `scope` once for each ticked box: the name, after an API's identifier and a space if it is an API's. */
  action: string;
  csrf: string;
  client: {
    name: string;
    logoUrl?: string;
    homepage?: string;
    terms?: string;
    privacy?: string;
    registeredAt: Date;
    /** Host (and port) of the redirect URI. */
    returnHost: string;
    /** It runs on the person's device and returns to a loopback address or a scheme of its own. */
    native: boolean;
    firstParty: boolean;
    publisher?: string;
  };
  account: { name: string; identifier: string };
  /** Where the form "Not you?" posts to. */
  switchAccount: string;
  groups: readonly ConsentGroup[];
  /** Titles of what was allowed before. */
  already: readonly string[];
  /** `offline_access` is asked for. */
  offline: boolean;
}

function lead({ t, branding }: PageContext, { client }: ConsentProps): Html {
  const badge = client.firstParty
    ? html`<span class="tag ok">${t('consent.firstParty', { product: branding.productName })}</span>`
    : html`<span class="tag warn">${t('consent.unverified')}</span>`;
  return html`<div class="lead">${clientMark(client)}
<h1>${rich(t, 'consent.title', { client: nameOf(client.name) })}</h1>
<p class="badges">${badge}${client.publisher && html`<span class="muted small">${rich(t, 'consent.publishedBy', { publisher: nameOf(client.publisher) })}</span>`}</p>
</div>`;
}

function scopeRow({ t }: PageContext, scope: ConsentScope, group: number, index: number, api?: string): Html {
  const id = `scope-${group}-${index}`;
  const described = scope.meaning !== undefined || scope.value !== undefined;
  return html`<li class="scope">
  <input type="checkbox" id="${id}" name="scope" value="${api === undefined ? scope.name : `${api} ${scope.name}`}"${
    (scope.checked || scope.required) && html` checked`
  }${scope.required && html` disabled`}${described && html` aria-describedby="${id}-meaning"`}>
  <label for="${id}"><span class="strong">${scope.title}</span>${scope.required && html`<span class="tag">${t('consent.required')}</span>`}</label>
  ${described && html`<p class="meaning" id="${id}-meaning">${scope.meaning}${scope.value !== undefined && html`<bdi class="value">${scope.value}</bdi>`}</p>`}
</li>`;
}

function scopeGroup(page: PageContext, { api, scopes }: ConsentGroup, group: number): Html {
  const rows = scopes.map((scope, index) => scopeRow(page, scope, group, index, api?.identifier));
  if (!api) return html`<ul class="scopes">${rows}</ul>`;
  return html`<fieldset class="group"><legend><span class="strong">${api.title}</span> <code>${api.identifier}</code></legend><ul class="scopes">${rows}</ul></fieldset>`;
}

function asked(page: PageContext, { client, groups, offline }: ConsentProps): Html {
  const { t } = page;
  const client_ = { client: nameOf(client.name) };
  if (groups.every(({ scopes }) => scopes.length === 0) && !offline)
    return html`<p>${rich(t, 'consent.nothing', client_)}</p>`;
  return html`<h2 class="ask">${rich(t, 'consent.will', client_)}</h2>
${groups.map((group, index) => group.scopes.length > 0 && scopeGroup(page, group, index))}
${
  offline &&
  html`<div class="scope always">${clock}<p class="strong">${t('consent.offline')}</p><p class="meaning">${rich(t, 'consent.offline.meaning', client_)}</p></div>`
}`;
}

function facts({ t, locale }: PageContext, { client }: ConsentProps): Html {
  const links = [
    outLink(client.homepage, t('consent.homepage')),
    outLink(client.terms, t('consent.terms')),
    outLink(client.privacy, t('consent.privacy')),
  ].filter((link) => link !== undefined);
  return html`<dl class="facts">
  <div><dt>${t('consent.returnsTo')}</dt><dd><bdi class="strong" id="return-host">${client.native ? t('consent.nativeApp') : client.returnHost}</bdi></dd></div>
  <div><dt>${t('consent.registered')}</dt><dd><time datetime="${client.registeredAt.toISOString()}">${formatDay(locale, client.registeredAt)}</time></dd></div>
</dl>
${links.length > 0 && html`<ul class="legal" aria-label="${t('consent.links', { client: client.name })}">${links.map((link) => html`<li>${link}</li>`)}</ul>`}`;
}

export function consentView(page: PageContext, props: ConsentProps): Html {
  const { t } = page;
  const { action, csrf, client, account, switchAccount, already } = props;
  return layout(page, {
    title: t('consent.title', { client: client.name }),
    kind: 'auth',
    body: html`${lead(page, props)}
<form method="post" action="${switchAccount}" class="panel">${csrfField(csrf)}${personLine(account)}<button class="link" id="not-you">${t('consent.notYou')}</button></form>
<form method="post" action="${action}" class="stack">
  ${csrfField(csrf)}
  ${asked(page, props)}
  ${already.length > 0 && html`<details><summary>${t('consent.already', { count: already.length })}</summary><ul class="bullets">${already.map((title) => html`<li>${title}</li>`)}</ul></details>`}
  ${facts(page, props)}
  <div class="pair">
    <button class="btn primary" id="consent-allow" name="decision" value="allow">${t('consent.allow')}</button>
    <button class="btn" id="consent-deny" name="decision" value="deny">${t('consent.deny')}</button>
  </div>
</form>`,
  });
}

const sample: ConsentProps = {
  action: '/interaction/Wb6x/consent',
  csrf: 'd2l0aC1sb3Zl',
  client: {
    name: 'Demo Shop',
    homepage: 'https://shop.example.test/',
    terms: 'https://shop.example.test/terms',
    privacy: 'https://shop.example.test/privacy',
    registeredAt: new Date('2026-11-02T09:00:00Z'),
    returnHost: 'shop.example.test',
    native: false,
    firstParty: false,
    publisher: 'Demo Traders',
  },
  account: { name: 'Alice Liddell', identifier: 'alice@example.test' },
  switchAccount: '/interaction/Wb6x/switch-account',
  groups: [
    {
      scopes: [
        {
          name: 'openid',
          title: 'Know who you are',
          meaning: 'A number that stands for you',
          required: true,
          checked: true,
        },
        {
          name: 'email',
          title: 'See your email address',
          value: 'alice@example.test',
          required: false,
          checked: true,
        },
        {
          name: 'profile',
          title: 'See your profile',
          meaning: 'Name and picture: ',
          value: 'Alice Liddell',
          required: false,
          checked: true,
        },
      ],
    },
    {
      api: { identifier: 'https://api.shop.example.test/orders', title: 'Orders' },
      scopes: [
        { name: 'orders:read', title: 'See your orders', required: false, checked: true },
        {
          name: 'orders:write',
          title: 'Place orders',
          meaning: 'Orders that cost money, with the payment you stored',
          required: false,
          checked: false,
        },
      ],
    },
  ],
  already: [],
  offline: false,
};

export const states: Record<string, ConsentProps> = {
  first: sample,
  more: {
    ...sample,
    groups: sample.groups.slice(1),
    already: ['Know who you are', 'See your email address'],
    offline: true,
  },
  nothingMore: { ...sample, groups: [], already: ['Know who you are'] },
  native: {
    ...sample,
    client: {
      name: 'Notes for Desktop',
      registeredAt: sample.client.registeredAt,
      returnHost: '127.0.0.1',
      native: true,
      firstParty: false,
    },
    groups: sample.groups.slice(0, 1),
    offline: true,
  },
  firstParty: {
    ...sample,
    client: { ...sample.client, firstParty: true },
    groups: sample.groups.slice(0, 1),
  },
};
