/**
 * Language and appearance of a browser.
 *
 * Owns: the two cookies, their reading and the page that sets them. They hold a choice and nothing about a person, so they are neither
 * signed nor `__Host-`. Refuses: redirects to anywhere but this site.
 */
import type { Context } from 'koa';
import { isLocalPath } from './html.ts';
import { isLocale, type Locale, localeCookie, pickLocale } from './i18n/i18n.ts';
import type { Theme } from './page.ts';

const localeName = 'gatehouse_locale';
const themeName = 'gatehouse_theme';
const yearMilliseconds = 365 * 24 * 3600 * 1000;

const isTheme = (value: string | undefined): value is Theme =>
  value === 'system' || value === 'light' || value === 'dark';

function keep(ctx: Context, name: string, value: string): void {
  ctx.cookies.set(name, value, {
    maxAge: yearMilliseconds,
    sameSite: 'lax',
    httpOnly: true,
    secure: ctx.secure,
    signed: false,
    overwrite: true,
  });
}

/**
 * Language and appearance for a page.
 *
 * @param known.uiLocales the parameter of the authorization request, when the page belongs to one
 * @param known.profile the language of the account, when somebody is signed in
 */
export function readPreferences(
  ctx: Context,
  known: { uiLocales?: string | undefined; profile?: string | null | undefined } = {},
): { locale: Locale; theme: Theme } {
  const theme = ctx.cookies.get(themeName, { signed: false });
  const cookie = ctx.cookies.get(localeName, { signed: false });
  return {
    locale: pickLocale({ ...known, cookie, acceptLanguage: ctx.get('Accept-Language') }),
    theme: isTheme(theme) ? theme : 'system',
  };
}

/** GET /preferences?locale=zh-CN|theme=dark&return_to=/path: remembers the choice and goes back (303). */
export function preferences(ctx: Context): void {
  const query = new URLSearchParams(ctx.querystring);
  const locale = query.get('locale') ?? '';
  const theme = query.get('theme') ?? '';
  if (isLocale(locale)) keep(ctx, localeName, localeCookie(locale));
  if (isTheme(theme)) keep(ctx, themeName, theme);
  const target = query.get('return_to') ?? '';
  ctx.set('Cache-Control', 'no-store');
  ctx.redirect(isLocalPath(target) ? target : '/');
  ctx.status = 303;
}
