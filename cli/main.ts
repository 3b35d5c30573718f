/** The command line: parses it, runs one command, and says how it went by the exit code (see README.md). */
import { Command, CommanderError } from 'commander';
import { ConfigError, parseConfig } from '../server/config.ts';
import { AppError } from '../server/errors.ts';
import { Unreachable } from './admin.ts';
import { checkHealth } from './healthcheck.ts';
import type { Output } from './output.ts';
import { addAdmin, addApis, addApps, addUsers } from './resources.ts';
import { addTry, firstOf } from './try/commands.ts';
import { Surprise } from './try/report.ts';

const FAILED = 1;
const USAGE = 2;
const UNREACHABLE = 3;

const output: Output = {
  json: process.argv.includes('--json'),
  write: (text) => void process.stdout.write(text),
};

function createProgram(): Command {
  const program = new Command('gatehouse')
    .description('Operates a Gatehouse server, running or not.')
    .option('--json', 'answer with JSON on one line')
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(add --help for what there is)')
    .exitOverride();
  addApps(program, output);
  addUsers(program, output);
  addApis(program, output);
  addAdmin(program, output);
  addTry(program, output);
  program
    .command('healthcheck')
    .description('exit with 0 when the server on this machine is alive, 1 when it is not')
    .action(checkServer);
  return program;
}

/** Docker reserves every exit code but 0 and 1, so nothing else leaves. */
async function checkServer(): Promise<void> {
  try {
    await checkHealth(parseConfig(process.env));
    output.write(output.json ? '{"status":"ok"}\n' : 'ok\n');
  } catch (error) {
    complain(error);
    process.exitCode = FAILED;
  }
}

/** What an operator can mend is said in a sentence; anything else is a defect and keeps its stack. */
function complain(error: unknown): void {
  const { code, status, fields } = error instanceof AppError ? error : {};
  if (output.json) {
    const title = (error as Error).message;
    process.stderr.write(`${JSON.stringify({ code: code ?? nameOf(error), title, status, fields })}\n`);
  } else {
    const known = exitCodeOf(error) !== FAILED || error instanceof AppError || error instanceof Surprise;
    process.stderr.write(
      `${error instanceof Surprise ? '\n' : ''}${known ? (error as Error).message : ((error as Error).stack ?? String(error))}\n`,
    );
  }
}

function nameOf(error: unknown): string {
  return error instanceof Surprise ? 'surprise' : error instanceof Unreachable ? 'unreachable' : 'failed';
}

function exitCodeOf(error: unknown): number {
  if (error instanceof ConfigError) return USAGE;
  // Named, not imported: keys and database are loaded only when a command needs them.
  if (error instanceof Unreachable || ['DatabaseError', 'KeyError'].includes((error as Error).name))
    return UNREACHABLE;
  if (!(error instanceof AppError)) return FAILED;
  if (error.status === 400 || error.status === 422) return USAGE;
  return error.status === 503 ? UNREACHABLE : FAILED;
}

try {
  await createProgram().parseAsync();
} catch (thrown) {
  const error = firstOf(thrown);
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : USAGE;
  else {
    complain(error);
    process.exitCode = exitCodeOf(error);
  }
}
