/** `try`: the flows that apps go through, against the running server, step by step. */
import type { Command } from 'commander';
import { type Config, parseConfig } from '../../server/config.ts';
import { type Admin, connectServer } from '../admin.ts';
import { passwordOption } from '../flags.ts';
import type { Output } from '../output.ts';
import { createReport, type Report, Surprise } from './report.ts';

interface LoginOptions {
  issuer?: string;
  identifier?: string;
  password?: string;
  browser?: string;
}

export function addTry(program: Command, output: Output): void {
  const group = program
    .command('try')
    .description('go through a flow step by step, against the running server');
  const login = group
    .command('login')
    .description('a person signs in to an app, which refreshes its tokens and signs out')
    .option('--issuer <url>', 'address of the server; ISSUER otherwise')
    .option('--identifier <text>', 'who signs in; a person is made and deleted when it is left out')
    .addOption(passwordOption('--password <text>', 'password of --identifier'))
    .option(
      '--browser <browser>',
      '"chromium" or the path of one drives it; otherwise open the address yourself',
    );
  login.action(async ({ identifier, password, browser, issuer }: LoginOptions) => {
    if (identifier !== undefined && password === undefined && browser) {
      login.error('error: --identifier needs --password to be typed by --browser');
    }
    await run(output, issuer, async (report, admin, config) => {
      const [{ tryLogin }, { askPerson, openChromium }] = await Promise.all([
        import('./login.ts'),
        import('./visitor.ts'),
      ]);
      const person = identifier === undefined ? undefined : { identifier, password: password ?? '(yours)' };
      await using visitor = browser
        ? await openChromium(report, browser)
        : askPerson(report, (text) => process.stderr.write(text));
      await tryLogin(report, admin, config.issuer, visitor, person);
    });
  });
  group
    .command('m2m')
    .description('a machine gets a token for an API, which looks it up; then it is revoked')
    .option('--issuer <url>', 'address of the server; ISSUER otherwise')
    .action(async ({ issuer }: LoginOptions) => {
      await run(output, issuer, async (report, admin, config) => {
        const { tryM2m } = await import('./m2m.ts');
        await tryM2m(report, admin, config.issuer);
      });
    });
}

async function run(
  output: Output,
  issuer: string | undefined,
  flow: (report: Report, admin: Admin, config: Config) => Promise<void>,
): Promise<void> {
  const config = parseConfig({ ...process.env, ...(issuer ? { ISSUER: issuer } : {}) });
  await using admin = await connectServer(config);
  const report = createReport(output);
  try {
    await flow(report, admin, config);
  } catch (error) {
    const first = firstOf(error);
    if (first instanceof Surprise) report.end(first);
    throw error;
  }
  report.end();
}

/** When cleaning up fails too, what went wrong first is what counts. */
export function firstOf(error: unknown): unknown {
  return error instanceof SuppressedError ? firstOf(error.suppressed) : error;
}
