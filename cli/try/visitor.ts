/** Who goes through the pages: a person in a browser of theirs, or a headless Chromium. */
import { existsSync } from 'node:fs';
import type { Page } from 'playwright-core';
import { Unreachable } from '../admin.ts';
import { type Report, Surprise } from './report.ts';

export interface Person {
  identifier: string;
  password: string;
}

export interface Visitor extends AsyncDisposable {
  /** Seconds that one way through the pages may take. */
  patienceSeconds: number;
  signIn(url: string, person: Person): Promise<void>;
  signOut(url: string): Promise<void>;
}

/** Prints the address and leaves the rest to whoever opens it. */
export function askPerson(report: Report, write: (text: string) => void): Visitor {
  return {
    patienceSeconds: 120,
    async signIn(url, { identifier, password }) {
      report.line('noted', 'waiting for you to sign in');
      // Not in the report: the address and the password belong to the person who opens it now.
      write(`\n    Open       ${url}\n    Sign in as ${identifier}\n    Password   ${password}\n\n`);
    },
    async signOut(url) {
      report.line('noted', 'waiting for you to sign out');
      write(`\n    Open       ${url}\n\n`);
    },
    async [Symbol.asyncDispose]() {},
  };
}

const CHROMIUM = '/usr/bin/chromium';
const PAGE_MS = 15_000;

/**
 * Starts a headless Chromium.
 *
 * @param browser "chromium", or the path of another Chromium
 * @throws {Unreachable} when playwright-core or the browser is not installed
 */
export async function openChromium(report: Report, browser: string): Promise<Visitor> {
  const { chromium } = await import('playwright-core').catch((error: unknown) => {
    throw new Unreachable(
      'A browser is driven through playwright-core, which production installs leave out. Run "npm install --no-save playwright-core", or leave --browser out and open the address yourself.',
      { cause: error },
    );
  });
  const executablePath = browser === 'chromium' ? CHROMIUM : browser;
  if (!existsSync(executablePath)) {
    throw new Unreachable(
      `There is no browser at ${executablePath}. Install Chromium, or name another: --browser /path/to/chromium.`,
    );
  }
  const running = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  const page = await running.newPage({ locale: 'en' });
  page.setDefaultTimeout(PAGE_MS);
  return {
    patienceSeconds: PAGE_MS / 1000,
    async signIn(url, { identifier, password }) {
      await page.goto(url);
      await reach(page, '#sign-in', 'a sign-in form');
      report.line('noted', `page "${await page.title()}"`);
      await page.fill('[name=identifier]', identifier);
      await page.fill('[name=password]', password);
      await page.click('#sign-in');
      await reach(page, '#consent-allow', 'a consent form');
      report.line('noted', `page "${await page.title()}"`);
      await page.click('#consent-allow');
    },
    async signOut(url) {
      await page.goto(url);
      report.line('noted', `page "${await page.title()}"`);
      // With an ID token of this session the form sends itself; then the button is gone before it can be clicked.
      const confirm = page.locator('#sign-out-confirm:not([aria-busy])');
      if (await confirm.isVisible()) await confirm.click({ timeout: 2000 }).catch(() => undefined);
    },
    [Symbol.asyncDispose]: () => running.close(),
  };
}

/** @throws {Surprise} naming the page that came instead, and what it says is wrong */
async function reach(page: Page, selector: string, what: string): Promise<void> {
  const alerts = page.locator('[role=alert]');
  // A page that says what is wrong need not be waited for.
  await page.waitForSelector(`${selector}, [role=alert]`).catch(() => undefined);
  if ((await page.isVisible(selector)) && !(await alerts.first().isVisible())) return;
  const { origin, pathname } = new URL(page.url());
  const address =
    origin === 'null' ? page.url() : `${origin}${pathname.replace(/^(\/interaction)\/[^/]+/, '$1/…')}`;
  const said = (await alerts.allTextContents()).join(' ').trim().replaceAll(/\s+/g, ' ');
  throw new Surprise('the page', what, `"${await page.title()}" at ${address}${said ? `: ${said}` : ''}`);
}
