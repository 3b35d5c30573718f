/**
 * `npm run shots [-- NAME...]`: every state of every page, as people see it.
 *
 * The list comes from the views themselves (each exports its states), so a page cannot be forgotten. Each state is rendered at two widths,
 * in both themes and both languages, photographed into ./shots and checked with axe (WCAG 2.2 AA and best practice).
 */
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import Koa from 'koa';
import { type Browser, chromium, type Page } from 'playwright-core';
import { serveAssets } from '../../server/web/assets/assets.ts';
import { pageHeaders } from '../../server/web/csp.ts';
import type { Locale } from '../../server/web/i18n/i18n.ts';
import { serve } from '../web/_serve.ts';
import { everyState, testPage, views } from '../web/_views.ts';

const folder = join(import.meta.dirname, '../../shots');
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const widths = [360, 1280];
const themes = ['light', 'dark'] as const;
const languages: readonly Locale[] = ['en', 'zh-CN'];
const rules = ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice'];

interface Shot {
  name: string;
  path: string;
  width: number;
  theme: (typeof themes)[number];
}

const wanted = process.argv.slice(2);
const states = everyState.filter(
  ({ name }) => wanted.length === 0 || wanted.some((word) => name.includes(word)),
);

function shotsOf(): Shot[] {
  return states.flatMap((_state, index) =>
    widths.flatMap((width) =>
      themes.flatMap((theme) =>
        languages.map((locale) => ({
          name: `${String(states[index]?.name).replace('.view.ts ', '.')}.${locale}.${theme}.${width}`,
          path: `/state/${index}/${locale}/${theme}`,
          width,
          theme,
        })),
      ),
    ),
  );
}

/** Serves a state as its handler would, with the same headers. */
function createStates(): Koa {
  const app = new Koa();
  app.use(serveAssets);
  app.use((ctx) => {
    const [, index = '', locale = '', theme = ''] = /^\/state\/(\d+)\/([\w-]+)\/(\w+)$/.exec(ctx.path) ?? [];
    const state = states[Number(index)];
    if (!state) return;
    ctx.set(pageHeaders('portal'));
    ctx.type = 'html';
    ctx.body = String(
      state.view.render(
        testPage(locale as Locale, { theme: theme as 'light' | 'dark', here: ctx.path }),
        state.props,
      ),
    );
  });
  return app;
}

/** One page shows all shots of a width and theme in turn; a context for each would take most of the time. */
async function openPage(browser: Browser, width: number, theme: Shot['theme']): Promise<Page> {
  const context = await browser.newContext({
    viewport: { width, height: 800 },
    colorScheme: theme,
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  // The one page that submits itself would be gone before it is seen.
  await page.route('**/sign-out.*.js', (route) => route.abort());
  return page;
}

async function take(page: Page, origin: string, shot: Shot): Promise<string[]> {
  await page.goto(origin + shot.path, { waitUntil: 'load' });
  await page.screenshot({ path: join(folder, `${shot.name}.png`), fullPage: true });
  await page.evaluate(axe);
  const found = await page.evaluate(async (values) => {
    const { axe: checker } = globalThis as unknown as {
      axe: { run(options: object): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
    };
    const { violations } = await checker.run({ runOnly: { type: 'tag', values } });
    return violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html.slice(0, 120)}`);
  }, rules);
  const overflow = await page.evaluate('document.documentElement.scrollWidth > innerWidth');
  return overflow ? [...found, 'the page scrolls sideways'] : found;
}

async function main(): Promise<void> {
  const without = views.filter((view) => Object.keys(view.states).length === 0);
  if (without.length > 0) throw new Error(`no states: ${without.map(({ file }) => file).join(', ')}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const origin = await serve(createStates());
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  const shots = shotsOf();
  let violations = 0;
  for (const width of widths) {
    for (const theme of themes) {
      const page = await openPage(browser, width, theme);
      for (const shot of shots.filter((one) => one.width === width && one.theme === theme)) {
        for (const problem of await take(page, origin, shot)) {
          violations += 1;
          console.log(`${shot.name}: ${problem}`);
        }
      }
    }
  }
  await browser.close();
  console.log(`${shots.length} shots, ${violations} violations`);
  if (violations > 0) process.exitCode = 1;
}

await main();
