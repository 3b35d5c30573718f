/**
 * The languages of the pages.
 *
 * Owns: the catalogues (ICU MessageFormat, one JSON file a language), formatting, and the choice of a language. Refuses: markup in
 * messages (see `rich` in ../parts.ts) and keys that only one language has: both are compile errors.
 */
import { IntlMessageFormat } from 'intl-messageformat';
import en from './en.json' with { type: 'json' };
import zhCN from './zh-CN.json' with { type: 'json' };

export type Locale = 'en' | 'zh-CN';
export type MessageKey = keyof typeof en;

/** Formats one message. Throws when a value that the message names is missing. */
export type Translate = (key: MessageKey, values?: Record<string, string | number>) => string;

/** Every language with its name in itself. */
export const locales: Readonly<Record<Locale, string>> = { en: 'English', 'zh-CN': '简体中文' };

export const defaultLocale: Locale = 'en';

// A key missing in Chinese fails the second type argument, a key too many the first.
type SameKeys<Extra extends never, Catalogue extends Record<MessageKey, string>> = [Extra, Catalogue];
type Chinese = SameKeys<Exclude<keyof typeof zhCN, MessageKey>, typeof zhCN>[1];

export const catalogues: Readonly<Record<Locale, Readonly<Record<MessageKey, string>>>> = {
  en,
  'zh-CN': zhCN satisfies Chinese,
};

function createTranslate(locale: Locale): Translate {
  const compiled = new Map<MessageKey, IntlMessageFormat>();
  return (key, values) => {
    let message = compiled.get(key);
    if (!message) {
      message = new IntlMessageFormat(catalogues[locale][key], locale, undefined, { ignoreTag: true });
      compiled.set(key, message);
    }
    return String(message.format(values));
  };
}

const translators: Record<Locale, Translate> = {
  en: createTranslate('en'),
  'zh-CN': createTranslate('zh-CN'),
};

/** The formatter of a language; its compiled messages are shared by all requests. */
export const translate = (locale: Locale): Translate => translators[locale];

/** A day in words, for `<time>`. UTC, as long as a page does not know the person's zone. */
export const formatDay = (locale: Locale, date: Date): string =>
  new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeZone: 'UTC' }).format(date);

export const isLocale = (value: string): value is Locale => Object.hasOwn(locales, value);

/** The language of ours that serves a BCP 47 tag: each of English and Chinese stands for all its regions and scripts. */
function match(tag: string): Locale | undefined {
  const language = tag.trim().toLowerCase().split('-', 1)[0];
  if (language === 'zh') return 'zh-CN';
  return language === 'en' ? 'en' : undefined;
}

const firstMatch = (tags: readonly string[]): Locale | undefined => {
  for (const tag of tags) {
    const locale = match(tag);
    if (locale) return locale;
  }
  return undefined;
};

/** Tags of an Accept-Language header (RFC 9110 12.5.4), best first; a weight of 0 means "not this one". */
function acceptedTags(header: string): string[] {
  return header
    .slice(0, 1000)
    .split(',')
    .map((part) => {
      const [tag = '', ...parameters] = part.split(';').map((piece) => piece.trim());
      const weight = parameters.find((parameter) => /^q=/i.test(parameter))?.slice(2);
      return { tag, weight: weight === undefined ? 1 : Number(weight) || 0 };
    })
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => b.weight - a.weight)
    .map(({ tag }) => tag);
}

/** How long a click on the language switcher outweighs `ui_locales`: about one journey. */
const freshSeconds = 3600;

/** The text of the language cookie: the choice, and when it was made (Unix seconds). */
export const localeCookie = (locale: Locale, now = Date.now()): string =>
  `${locale}.${Math.floor(now / 1000)}`;

function readCookie(cookie: string | undefined, now: number): { locale?: Locale; fresh: boolean } {
  const [value = '', chosenAt = '0'] = (cookie ?? '').split('.', 2);
  if (!isLocale(value)) return { fresh: false };
  const age = now / 1000 - Number(chosenAt);
  return { locale: value, fresh: age > -60 && age < freshSeconds };
}

/**
 * Chooses the language: `ui_locales` of the authorization request (OpenID Connect Core 3.1.2.1), the cookie, the profile, the browser,
 * English. A choice made within the last hour comes first: a person who has just clicked "English" on a page that the
 * application opened in Chinese means it.
 *
 * @param from.uiLocales space-separated tags, as the parameter has them
 * @param from.cookie the raw value of `gatehouse_locale`
 */
export function pickLocale(
  from: {
    uiLocales?: string | undefined;
    cookie?: string | undefined;
    profile?: string | null | undefined;
    acceptLanguage?: string | undefined;
  },
  now = Date.now(),
): Locale {
  const cookie = readCookie(from.cookie, now);
  return (
    (cookie.fresh ? cookie.locale : undefined) ??
    firstMatch((from.uiLocales ?? '').slice(0, 1000).split(' ')) ??
    cookie.locale ??
    firstMatch(from.profile ? [from.profile] : []) ??
    firstMatch(acceptedTags(from.acceptLanguage ?? '')) ??
    defaultLocale
  );
}
