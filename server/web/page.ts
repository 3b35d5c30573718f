/**
 * The frame of every page.
 *
 * Owns: the document around a body, and how a page is sent. Refuses: what a single page says, and anything an operator could
 * style or script beyond a name, a logo, one colour and three links: custom code is how sign-in pages get skimmed.
 */
import type { Context } from 'koa';
import { assetUrl, brandUrl } from './assets/assets.ts';
import { type PageKind, pageHeaders } from './csp.ts';
import { type Html, html, url } from './html.ts';
import { isLocale, type Locale, locales, type Translate } from './i18n/i18n.ts';
import { arch, globe, moon, screen, sun } from './icons.ts';
import { personLine, script } from './parts.ts';

/** What an operator may change about the looks of the pages. */
export interface Branding {
  productName: string;
  /** A path of this site: the policy of the pages loads images from nowhere else. */
  logoUrl?: string;
  logoDarkUrl?: string;
  /** `#rrggbb`; darkened and lightened until it can be read. */
  brandColour?: string;
  legal: { terms?: string; privacy?: string; imprint?: string };
}

export type Theme = 'system' | 'light' | 'dark';

/** What every page knows about its request. */
export interface PageContext {
  locale: Locale;
  t: Translate;
  theme: Theme;
  branding: Branding;
  requestId: string;
  /** Path and query that show this page by GET: the language and appearance links return to it. */
  here: string;
}

export interface Frame {
  title: string;
  /** `auth`: one card in the middle. `shell`: a bar on top, and room. */
  kind: 'auth' | 'shell';
  /** The title says that something went wrong, for people who hear it first. */
  failed?: boolean;
  body: Html;
  /** Who is signed in, shown in the bar of the shell. */
  account?: { name: string };
}

function brandMark({ branding, theme }: PageContext): Html {
  const light = branding.logoUrl && url(branding.logoUrl);
  if (!light) return html`${arch}<span>${branding.productName}</span>`;
  const dark = (branding.logoDarkUrl && url(branding.logoDarkUrl)) || light;
  const image = html`<img src="${theme === 'dark' ? dark : light}" alt="${branding.productName}" height="32">`;
  return theme === 'system'
    ? html`<picture><source media="(prefers-color-scheme: dark)" srcset="${dark}">${image}</picture>`
    : image;
}

const preference = (page: PageContext, choice: Record<string, string>) =>
  `/preferences?${new URLSearchParams({ ...choice, return_to: page.here })}`;

const themeIcons: Record<Theme, Html> = { system: screen, light: sun, dark: moon };

function themeLinks(page: PageContext): Html {
  return html`<ul class="segments">${(['system', 'light', 'dark'] as const).map(
    (theme) =>
      html`<li><a href="${preference(page, { theme })}"${theme === page.theme && html` aria-current="true"`}>${themeIcons[theme]}<span class="vh">${page.t(`page.theme.${theme}`)}</span></a></li>`,
  )}</ul>`;
}

function languageLinks(page: PageContext): Html {
  const others = Object.keys(locales).filter(
    (locale) => isLocale(locale) && locale !== page.locale,
  ) as Locale[];
  return html`${others.map(
    (locale) =>
      html`<a class="quiet-link" href="${preference(page, { locale })}" lang="${locale}" hreflang="${locale}">${globe}${locales[locale]}</a>`,
  )}`;
}

function legalLinks({ branding, t }: PageContext): Html | undefined {
  const links = (['terms', 'privacy', 'imprint'] as const).flatMap((name) => {
    const address = branding.legal[name] && url(branding.legal[name]);
    return address ? [html`<li><a class="quiet-link" href="${address}">${t(`page.${name}`)}</a></li>`] : [];
  });
  return links.length === 0
    ? undefined
    : html`<nav aria-label="${t('page.legal')}"><ul class="legal">${links}</ul></nav>`;
}

const footer = (page: PageContext): Html => html`<footer>
  <nav class="preferences" aria-label="${page.t('page.preferences')}">${languageLinks(page)}${themeLinks(page)}</nav>
  ${legalLinks(page)}
</footer>`;

const authBody = (page: PageContext, { body }: Frame): Html => html`<body class="auth">
<div class="column">
<header class="brand">${brandMark(page)}</header>
<main class="card" id="main">
${body}
</main>
${footer(page)}
</div>`;

const shellBody = (page: PageContext, { body, account }: Frame): Html => html`<body class="shell">
<a class="skip" href="#main">${page.t('page.skip')}</a>
<header class="bar"><a class="brand" href="/account">${brandMark(page)}</a>${account && personLine({ name: account.name, identifier: '' })}</header>
<main id="main" tabindex="-1">
${body}
</main>
${footer(page)}`;

/** The whole document. */
export function layout(page: PageContext, frame: Frame): Html {
  const { branding, locale, t, theme } = page;
  const title = frame.failed ? t('page.errorTitle', { title: frame.title }) : frame.title;
  const brand = branding.brandColour && brandUrl(branding.brandColour);
  return html`<!doctype html>
<html lang="${locale}"${theme !== 'system' && html` data-theme="${theme}"`}>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="${theme === 'system' ? 'light dark' : theme}">
<meta name="robots" content="noindex">
<title>${title} · ${branding.productName}</title>
<link rel="icon" href="${assetUrl('favicon.svg')}" type="image/svg+xml">
<link rel="stylesheet" href="${assetUrl('app.css')}">
${brand && html`<link rel="stylesheet" href="${brand}">`}
${script('submit-once.js')}
</head>
${frame.kind === 'auth' ? authBody(page, frame) : shellBody(page, frame)}
</body>
</html>
`;
}

/** Sends a page with the headers of its kind. A status other than 200 says what the page says: 422, 403, 410, 429... */
export function sendPage(ctx: Context, page: Html, options: { status: number; kind: PageKind }): void {
  ctx.status = options.status;
  ctx.set(pageHeaders(options.kind));
  ctx.type = 'html';
  ctx.body = String(page);
}
