/** Every view of the house with its states, and a naive reader of what they render. */
import { globSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Html } from '../../server/web/html.ts';
import { type Locale, translate } from '../../server/web/i18n/i18n.ts';
import type { PageContext } from '../../server/web/page.ts';

const root = join(import.meta.dirname, '../..');

export interface View {
  file: string;
  render: (page: PageContext, props: unknown) => Html;
  states: Record<string, unknown>;
}

async function loadView(file: string): Promise<View> {
  const module = (await import(join(root, file))) as Record<string, unknown>;
  const functions = Object.values(module).filter((value) => typeof value === 'function');
  if (functions.length !== 1) throw new Error(`${file} exports ${functions.length} functions, not one view`);
  return {
    file,
    render: functions[0] as View['render'],
    states: (module.states ?? {}) as View['states'],
  };
}

export const views: readonly View[] = await Promise.all(
  globSync('{interactions,portal}/**/*.view.ts', { cwd: root }).sort().map(loadView),
);

/** Every state of every view, with a name to report it by. */
export const everyState = views.flatMap((view) =>
  Object.entries(view.states).map(([state, props]) => ({
    name: `${basename(view.file)} ${state}`,
    view,
    props,
  })),
);

export const testPage = (locale: Locale, more: Partial<PageContext> = {}): PageContext => ({
  locale,
  t: translate(locale),
  theme: 'system',
  branding: { productName: 'Gatehouse', legal: { terms: '/terms', privacy: '/privacy' } },
  requestId: 'req_1',
  here: '/interaction/1?a=b',
  ...more,
});

export interface Tag {
  name: string;
  attributes: Map<string, string>;
}

const tagPattern = /<[/!]?([a-z][^\s/>]*)((?:"[^"]*"|'[^']*'|[^"'>])*)>/gi;
const attributePattern = /([^\s"'>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g;

const unescape = (text: string) =>
  text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&');

/** Tags as a browser would see them, near enough: names and attributes in lower case, values unescaped. */
export function readTags(markup: string): Tag[] {
  const opening = [...markup.matchAll(tagPattern)].filter(([tag]) => /^<[a-z]/i.test(tag));
  return opening.map(([, name = '', inside = '']) => ({
    name: name.toLowerCase(),
    attributes: new Map(
      [...inside.matchAll(attributePattern)].map(([, key = '', a, b, c]) => [
        key.toLowerCase(),
        unescape(a ?? b ?? c ?? ''),
      ]),
    ),
  }));
}

/** Texts that a person can see or hear: between tags, and in the attributes that are read out. */
export function readTexts(markup: string): string[] {
  const between = markup.replace(tagPattern, '\n').split('\n').map(unescape);
  const spoken = readTags(markup).flatMap(({ attributes }) =>
    ['aria-label', 'alt', 'title', 'placeholder', 'data-label'].map((name) => attributes.get(name) ?? ''),
  );
  return [...between, ...spoken].map((text) => text.trim()).filter((text) => text !== '');
}

/** A copy of the props in which every text is changed; the words that choose a branch stay. */
export function mapTexts(props: unknown, change: (text: string, key: string) => string, key = ''): unknown {
  if (typeof props === 'string')
    return ['kind', 'failure', 'field', 'message'].includes(key) ? props : change(props, key);
  if (Array.isArray(props)) return props.map((item) => mapTexts(item, change, key));
  if (props === null || typeof props !== 'object' || props instanceof Date) return props;
  return Object.fromEntries(
    Object.entries(props).map(([name, value]) => [name, mapTexts(value, change, name)]),
  );
}
