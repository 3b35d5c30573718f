/** The command line as a process of its own, and a running server that it finds by its data folder. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { listenAdminSocket } from '../../server/api/admin-socket.ts';
import { createLogger } from '../../server/logger.ts';
import { startTestApp, type TestApp } from '../_app.ts';

const root = join(import.meta.dirname, '../..');

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  env?: Record<string, string>;
  input?: string;
  /** Sends SIGINT once this is on standard error. */
  interruptAt?: string;
}

/** Runs the command line with nothing of this process's environment but what any program needs. */
export function runCli(
  args: readonly string[],
  { env = {}, input = '', interruptAt }: RunOptions = {},
): Promise<Ended> {
  const { PATH = '', HOME = tmpdir() } = process.env;
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', 'cli/main.ts', ...args], {
    cwd: root,
    env: { PATH, HOME, ...env },
  });
  let interrupted = false;
  const ended: Ended = { code: null, stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    ended.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    ended.stderr += text;
    if (!interrupted && interruptAt && ended.stderr.includes(interruptAt)) interrupted = child.kill('SIGINT');
  });
  // A command that fails early closes its end.
  child.stdin.on('error', () => undefined).end(input);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ ...ended, code }));
  });
}

export async function makeFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'gatehouse-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

export interface TestServer extends AsyncDisposable {
  app: TestApp;
  dataDir: string;
  /** Every line of the admin socket's log. */
  log: string[];
  cli(args: readonly string[], options?: RunOptions): Promise<Ended>;
  /** Runs a command with --json and reads its answer. */
  json(args: readonly string[]): Promise<never>;
}

export async function startTestServer(): Promise<TestServer> {
  const open = new AsyncDisposableStack();
  const { path: dataDir } = open.use(await makeFolder());
  const app = open.use(await startTestApp());
  const log: string[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      log.push(String(chunk));
      done();
    },
  });
  open.use(
    await listenAdminSocket({ services: app.services, dataDir, logger: createLogger('trace', destination) }),
  );
  const cli: TestServer['cli'] = (args, options = {}) =>
    runCli(args, { ...options, env: { DATA_DIR: dataDir, ISSUER: app.url, ...options.env } });
  return {
    app,
    dataDir,
    log,
    cli,
    async json(args) {
      const { code, stdout, stderr } = await cli(['--json', ...args]);
      if (code !== 0) throw new Error(`exit code ${code}: ${stderr}`);
      return JSON.parse(stdout) as never;
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}
