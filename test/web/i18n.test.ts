import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { IntlMessageFormat } from 'intl-messageformat';
import test from 'ava';
import {
  catalogues,
  formatDay,
  type Locale,
  localeCookie,
  locales,
  type MessageKey,
  pickLocale,
  translate,
} from '../../server/web/i18n/i18n.ts';

const root = join(import.meta.dirname, '../..');
const keys = Object.keys(catalogues.en) as MessageKey[];
const all = Object.keys(locales) as Locale[];

/** Names of the values that a message takes, from its syntax tree. */
function argumentsOf(node: unknown): string[] {
  if (Array.isArray(node)) return node.flatMap(argumentsOf);
  if (node === null || typeof node !== 'object') return [];
  const { type, value, options } = node as { type?: number; value?: unknown; options?: object };
  const own = typeof type === 'number' && type >= 1 && type <= 6 && typeof value === 'string' ? [value] : [];
  const inner = Object.values(options ?? {}).flatMap((option) =>
    argumentsOf((option as { value: unknown }).value),
  );
  return [...own, ...inner];
}

const argumentSet = (locale: Locale, key: MessageKey) =>
  [
    ...new Set(
      argumentsOf(
        new IntlMessageFormat(catalogues[locale][key], locale, undefined, { ignoreTag: true }).getAst(),
      ),
    ),
  ].sort();

test('every language has the same keys', (t) => {
  for (const locale of all) t.deepEqual(Object.keys(catalogues[locale]).sort(), [...keys].sort());
});

test('every message takes the same values in every language', (t) => {
  for (const key of keys)
    for (const locale of all) t.deepEqual(argumentSet(locale, key), argumentSet('en', key), key);
});

test('no message is used nowhere', (t) => {
  const source = globSync('{server,interactions,portal}/**/*.ts', { cwd: root })
    .map((file) => readFileSync(join(root, file), 'utf8'))
    .join('\n');
  // Keys that are put together, such as `page.theme.${theme}`, count by what stands before the hole.
  const made = [...source.matchAll(/`([a-zA-Z]+\.(?:[a-zA-Z]+\.)*)\$\{/g)].map(([, start = '']) => start);
  const unused = keys.filter(
    (key) => !source.includes(`'${key}'`) && !made.some((start) => key.startsWith(start)),
  );
  t.deepEqual(unused, []);
});

test('Chinese texts are Chinese, with full-width punctuation and a space between Han and Latin', (t) => {
  for (const [key, text] of Object.entries(catalogues['zh-CN'])) {
    // A time to wait ends in a Chinese unit; other values may be in any script.
    const words = text.replace('{wait}', '1 秒').replace(/\{[^}]*\}/g, 'x');
    t.regex(words, /\p{Script=Han}/u, key);
    t.notRegex(words, /\p{Script=Han}[,.;:!?()]|[,;:!?()]\p{Script=Han}/u, key);
    t.notRegex(words, /\p{Script=Han}[A-Za-z0-9]|[A-Za-z0-9]\p{Script=Han}/u, key);
  }
});

test('English texts use typographic apostrophes, which are also no syntax of ICU messages', (t) => {
  for (const [key, text] of Object.entries(catalogues.en)) t.notRegex(text, /['"]/, key);
});

test('a message is formatted with its values, and plurals follow the number', (t) => {
  t.is(translate('en')('wait.minutes', { count: 1 }), '1 minute');
  t.is(translate('en')('wait.minutes', { count: 2 }), '2 minutes');
  t.is(translate('zh-CN')('wait.minutes', { count: 2 }), '2 分钟');
  t.is(translate('en')('signIn.continueTo', { client: '<b>{x}' }), 'Sign in to continue to <b>{x}');
  t.throws(() => translate('en')('signIn.continueTo'));
});

test('a day is written as its language writes it', (t) => {
  const day = new Date('2026-11-02T23:30:00Z');
  t.is(formatDay('en', day), 'November 2, 2026');
  t.is(formatDay('zh-CN', day), '2026年11月2日');
});

test('the language comes from ui_locales, then cookie, profile, browser and the default', (t) => {
  const old = localeCookie('en', 0);
  t.is(pickLocale({ uiLocales: 'fr zh', cookie: old, profile: 'en', acceptLanguage: 'en' }), 'zh-CN');
  t.is(
    pickLocale({ uiLocales: 'fr', cookie: localeCookie('zh-CN', 0), profile: 'en', acceptLanguage: 'en' }),
    'zh-CN',
  );
  t.is(pickLocale({ cookie: 'xx', profile: 'zh-CN', acceptLanguage: 'en' }), 'zh-CN');
  t.is(pickLocale({ profile: null, acceptLanguage: 'zh-TW,en;q=0.5' }), 'zh-CN');
  t.is(pickLocale({ acceptLanguage: 'fr' }), 'en');
  t.is(pickLocale({}), 'en');
});

test('a choice of the last hour outweighs ui_locales', (t) => {
  const now = Date.parse('2026-11-02T10:00:00Z');
  const from = (minutes: number) => ({
    uiLocales: 'zh-CN',
    cookie: localeCookie('en', now - minutes * 60_000),
  });
  t.is(pickLocale(from(0), now), 'en');
  t.is(pickLocale(from(59), now), 'en');
  t.is(pickLocale(from(61), now), 'zh-CN');
  t.is(pickLocale({ uiLocales: 'zh-CN', cookie: 'en' }, now), 'zh-CN');
  t.is(pickLocale({ uiLocales: 'zh-CN', cookie: 'en.99999999999999' }, now), 'zh-CN');
});

test('weights of Accept-Language are honoured, and nonsense in it is harmless', (t) => {
  t.is(pickLocale({ acceptLanguage: 'en;q=0.1, zh-Hans-CN;q=0.9' }), 'zh-CN');
  t.is(pickLocale({ acceptLanguage: 'zh;q=0, en;q=0.1' }), 'en');
  t.is(pickLocale({ acceptLanguage: 'zh ; Q=0.8 , *;q=0.9' }), 'zh-CN');
  t.is(pickLocale({ acceptLanguage: ',,;;q=,=,"><svg>' }), 'en');
  t.is(pickLocale({ uiLocales: '"><svg onload=1> __proto__', cookie: '__proto__.1' }), 'en');
});
