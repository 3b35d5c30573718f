/** What every page knows about its request, from the request. */
import type { Context } from 'koa';
import { translate } from './i18n/i18n.ts';
import type { Branding, PageContext } from './page.ts';
import { readPreferences } from './preferences.ts';

/** What is known about the reader beside the request. */
export interface Reader {
  /** The `ui_locales` parameter (OpenID Connect Core 3.1.2.1). */
  uiLocales?: string | undefined;
  /** The language of the account. */
  profile?: string | null | undefined;
}

export type MakePage = (ctx: Context, reader?: Reader, here?: string) => PageContext;

/** `here` defaults to the address of a GET; after a POST it names the page that shows the form. */
export function createMakePage(branding: Branding): MakePage {
  return (ctx, reader = {}, here = ctx.method === 'GET' ? ctx.url : '/') => {
    const { locale, theme } = readPreferences(ctx, reader);
    return { locale, t: translate(locale), theme, branding, requestId: String(ctx.state['requestId']), here };
  };
}
