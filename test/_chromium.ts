/** A real browser for the tests of whole journeys. Where there is no Chromium these tests are not run. */
import { existsSync } from 'node:fs';
import test from 'ava';
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
  type Response,
} from 'playwright-core';
import type { Person } from './_app.ts';

const executablePath = '/usr/bin/chromium';

/** Serial, because some tests let time pass for the whole process. */
export const run = existsSync(executablePath) ? test.serial : test.serial.skip;

/** One browser for a test file; a context for each test is as good as a browser of its own. */
export function useBrowser(): (options?: BrowserContextOptions) => Promise<BrowserContext> {
  let browser: Browser | undefined;
  test.after.always('the browser is closed', async () => {
    await browser?.close();
  });
  return async (options = {}) => {
    browser ??= await chromium.launch({ executablePath, args: ['--no-sandbox'] });
    const context = await browser.newContext({ locale: 'en-GB', ...options });
    context.setDefaultTimeout(15_000);
    return context;
  };
}

/** Clicks, and waits for the page that this leads to; its answer has the status of that page. */
export async function send(page: Page, selector: string): Promise<Response> {
  return leadsTo(page, () => page.click(selector));
}

/** Does something that leads to another page, and waits for it. */
export async function leadsTo(page: Page, act: () => Promise<unknown>): Promise<Response> {
  const [response] = await Promise.all([
    page.waitForResponse(
      (answer) =>
        answer.request().isNavigationRequest() &&
        answer.frame() === page.mainFrame() &&
        (answer.status() < 300 || answer.status() > 399),
    ),
    page.waitForEvent('domcontentloaded'),
    act(),
  ]);
  return response;
}

export async function signIn(
  page: Page,
  { identifier, password }: Pick<Person, 'identifier' | 'password'>,
): Promise<Response> {
  await page.fill('input[name=identifier]', identifier);
  await page.fill('input[name=password]', password);
  return send(page, '#sign-in');
}

/** Allows what the consent page asks, but for the scopes that are named: `email`, or an API and its scope with a space between. */
export async function allow(page: Page, refused: readonly string[] = []): Promise<Response> {
  for (const scope of refused) await page.uncheck(`input[name=scope][value="${scope}"]`);
  return send(page, '#consent-allow');
}

/** The scopes that a consent page shows as choices. */
export function shownScopes(page: Page): Promise<string[]> {
  return page.$$eval('input[name=scope]', (inputs) =>
    inputs.map((input) => (input as unknown as { value: string }).value),
  );
}

/** The cookie of this name, as the browser keeps it. */
export async function cookieOf(context: BrowserContext, name: string) {
  return (await context.cookies()).find((cookie) => cookie.name === name);
}
