/**
 * Pieces that several pages are made of.
 *
 * Owns: their markup, and with it the accessibility that no page should have to think of again. Refuses: sentences (they come in as text
 * from the catalogue) and anything that only one page needs.
 */
import { assetUrl } from './assets/assets.ts';
import { type Child, type Html, html, url } from './html.ts';
import type { MessageKey, Translate } from './i18n/i18n.ts';
import { alert, chevron, person } from './icons.ts';

/** The hidden field that `csrf.ts` checks. */
export const csrfField = (token: string): Html => html`<input type="hidden" name="csrf" value="${token}">`;

/** Loads a module of assets/elements. */
export const script = (name: string): Html => html`<script type="module" src="${assetUrl(name)}"></script>`;

/** A name that somebody else chose: isolated, so that right-to-left marks in it cannot turn our sentence around. */
export const nameOf = (name: string): Html => html`<bdi class="name">${name}</bdi>`;

/**
 * Formats a message with markup in some of its holes. Messages are text, so each hole is filled with a private-use character
 * first, and the character replaced by the markup.
 *
 * @example rich(t, 'signIn.continueTo', { client: nameOf(client.name) })
 */
export function rich(
  t: Translate,
  key: MessageKey,
  slots: Record<string, Html>,
  values: Record<string, string | number> = {},
): Html {
  const names = Object.keys(slots);
  const marks = Object.fromEntries(names.map((name, index) => [name, String.fromCharCode(0xe000 + index)]));
  const pieces = t(key, { ...values, ...marks }).split(/([\ue000-\ue00f])/);
  return html`${pieces.map((piece) => {
    const slot = /^[\ue000-\ue00f]$/.test(piece) ? names[piece.charCodeAt(0) - 0xe000] : undefined;
    return slot === undefined ? piece : slots[slot];
  })}`;
}

/** The first character that a reader would call one, or '' for a name without any. */
function initialOf(name: string): string {
  const [first] = new Intl.Segmenter().segment(name.trim().slice(0, 40));
  return first?.segment.toLocaleUpperCase() ?? '';
}

/** The logo of an application, or its initial. */
export function clientMark(client: { name: string; logoUrl?: string }): Html {
  const logo = client.logoUrl === undefined ? undefined : url(client.logoUrl);
  return logo === undefined
    ? html`<span class="client-mark" aria-hidden="true">${initialOf(client.name)}</span>`
    : html`<img class="client-mark" src="${logo}" alt="" width="48" height="48">`;
}

/** Who is meant: initial, name, and the identifier when it says more than the name. */
export const personLine = (account: { name: string; identifier: string }): Html => html`<span class="person">
  <span class="avatar" aria-hidden="true">${initialOf(account.name) || person}</span>
  <span class="person-words">
    <bdi class="person-name">${account.name || account.identifier}</bdi>
    ${account.name !== '' && account.name !== account.identifier && html`<bdi class="muted small">${account.identifier}</bdi>`}
  </span>
</span>`;

/** A row that looks like a list entry and is a submit button. */
export const rowButton = (attributes: Html, content: Child): Html =>
  html`<button class="row-button" ${attributes}>${content}<span class="row-end">${chevron}</span></button>`;

/** A link that looks like a button, or nothing when the address may not stand in a link. */
export function buttonLink(
  href: string | undefined,
  label: Child,
  style: 'primary' | 'quiet',
): Html | undefined {
  const address = href === undefined ? undefined : url(href);
  return address === undefined
    ? undefined
    : html`<a class="btn block ${style}" href="${address}"><span>${label}</span></a>`;
}

/** A link out to a page of somebody else's, or nothing when the address may not stand in a link. */
export function outLink(href: string | undefined, label: Child): Html | undefined {
  const address = href === undefined ? undefined : url(href);
  return address === undefined ? undefined : html`<a href="${address}" rel="noreferrer">${label}</a>`;
}

/**
 * What went wrong, at the top of the page. `autofocus` moves the focus here without JavaScript: a screen reader does not announce an
 * alert that is present when the page loads.
 */
export function errorSummary(t: Translate, problems: readonly { message: Child; field?: string }[]): Html {
  const items = problems.map(({ message, field }) =>
    field === undefined ? message : html`<a href="#${field}">${message}</a>`,
  );
  return html`<div class="note bad" role="alert" tabindex="-1" autofocus>
  ${alert}
  <div>${
    items.length === 1
      ? html`<p>${items[0]}</p>`
      : html`<p class="strong">${t('page.problems', { count: items.length })}</p><ul class="bullets">${items.map((item) => html`<li>${item}</li>`)}</ul>`
  }</div>
</div>`;
}

export interface Field {
  /** Also the id, so that an error summary can link to it. */
  name: string;
  label: string;
  value?: string;
  hint?: string | undefined;
  error?: string | undefined;
  /** Type, autocomplete and whatever else the input needs. */
  attributes: Html;
}

function input({ name, value, hint, error, attributes }: Field): Html {
  const described = [error && `${name}-error`, hint && `${name}-hint`].filter(Boolean).join(' ');
  return html`<input id="${name}" name="${name}"${value !== undefined && html` value="${value}"`} ${attributes}${
    described === '' ? null : html` aria-describedby="${described}"`
  }${error ? html` aria-invalid="true"` : null}>`;
}

const labelled = (field: Field, control: Html): Html => html`<div class="field">
  <label for="${field.name}">${field.label}</label>
  ${control}
  ${field.error && html`<p class="err" id="${field.name}-error">${field.error}</p>`}
  ${field.hint && html`<p class="hint" id="${field.name}-hint">${field.hint}</p>`}
</div>`;

/** A labelled input with its hint and error. */
export const textField = (field: Field): Html => labelled(field, input(field));

/** A labelled password input with the button that shows what was typed. Never has a value. */
export const passwordField = (t: Translate, field: Omit<Field, 'value'>): Html =>
  html`${labelled(field, html`<password-field data-label="${t('password.show')}">${input(field)}</password-field>`)}${script('password-field.js')}`;
