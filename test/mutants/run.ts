/**
 * Tries the patches of this folder: each breaks one promise of the product, and the tests it names must notice. A patch that no
 * test notices has survived, and the run fails.
 *
 *   npm run mutants                      all of them
 *   npm run mutants -- reused-code ...   some of them
 *   npm run mutants -- --list            names and titles
 *
 * A patch is what `git diff` prints, under a header:
 *
 *   # title: an authorization code works twice
 *   # tests: test/flows/authorization-code.test.ts test/adapters/oidc/races.test.ts
 *   # match: *code*              only tests with such a title (optional)
 *   # database: postgres         only when DATABASE_URL names a server (optional)
 *
 * It never touches the working tree: it patches a copy. It does not invent changes by itself either: these patches are chosen.
 */
import { execFile } from 'node:child_process';
import { cp, lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

/** A patch and what its header says. */
export interface Mutant {
  name: string;
  file: string;
  title: string;
  tests: string[];
  match?: string;
  database?: string;
}

/** Titles of the tests that passed and failed in one run, and how the run ended. */
export interface TestRun {
  passed: Set<string>;
  failed: Set<string>;
  status: number;
  output: string;
}

/** What became of a mutant. `broken` means that nothing can be said: the patch or the run failed, not a test. */
export type Verdict =
  | { kind: 'killed'; by: string }
  | { kind: 'survived' }
  | { kind: 'broken'; reason: string }
  | { kind: 'skipped'; reason: string };

/** No set of tests named by one patch should take longer. */
const runLimitMs = 180_000;

/** Reads the header of a patch; throws when title or tests are missing. */
export function parseMutant(file: string, text: string): Mutant {
  const header = new Map<string, string>();
  for (const line of text.split('\n')) {
    const field = /^# ([a-z]+): (.+)$/.exec(line);
    if (field?.[1] && field[2]) header.set(field[1], field[2].trim());
    else if (!line.startsWith('#') && line.trim()) break;
  }
  const title = header.get('title');
  const tests = header.get('tests')?.split(/\s+/);
  if (!title || !tests) throw new Error(`${file} must open with "# title: ..." and "# tests: test/..."`);
  const match = header.get('match');
  const database = header.get('database');
  return {
    name: basename(file, '.patch'),
    file,
    title,
    tests,
    ...(match === undefined ? {} : { match }),
    ...(database === undefined ? {} : { database }),
  };
}

/** Reads ava's TAP. Lines about a file that could not run look like failed tests; `judge` tells them apart. */
export function readTap(tap: string): Pick<TestRun, 'passed' | 'failed'> {
  const passed = new Set<string>();
  const failed = new Set<string>();
  for (const line of tap.split('\n')) {
    const point = /^(not )?ok \d+ - (.+)$/.exec(line);
    if (!point?.[2] || / # (SKIP|TODO)$/.test(point[2])) continue;
    (point[1] ? failed : passed).add(point[2]);
  }
  return { passed, failed };
}

/**
 * Killed means that a test which passes without the patch fails with it. A syntax error, a missing file or a failing hook also ends
 * ava with an error, yet shows only that the patch breaks the program, not that a test watches the promise.
 */
export function judge(before: TestRun, after: TestRun): Verdict {
  const by = [...after.failed].find((title) => before.passed.has(title));
  if (by) return { kind: 'killed', by };
  if (after.status === 0) return { kind: 'survived' };
  return {
    kind: 'broken',
    reason: `the tests ended with status ${after.status}, but no test failed\n${tail(after.output)}`,
  };
}

const tail = (text: string, lines = 15) => text.trimEnd().split('\n').slice(-lines).join('\n');

interface Outcome {
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs a command to its end; a failing command is an outcome, not an exception. */
function execute(command: string, args: string[], cwd: string, signal?: AbortSignal): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(
      command,
      args,
      { cwd, maxBuffer: 1 << 28, timeout: runLimitMs, ...(signal ? { signal } : {}) },
      (error, stdout, stderr) => {
        const status = error ? (typeof error.code === 'number' ? error.code : 1) : 0;
        const late = error?.killed ? `\nstopped after ${runLimitMs / 1000} s` : '';
        resolve({ status, stdout, stderr: stderr + late });
      },
    );
  });
}

/** Copies the files that git knows or would add, and links the installed packages. */
async function copyTree(root: string, to: string): Promise<void> {
  const { status, stdout, stderr } = await execute(
    'git',
    ['-c', 'safe.directory=*', 'ls-files', '-co', '--exclude-standard', '-z'],
    root,
  );
  if (status !== 0) throw new Error(`git ls-files: ${stderr}`);
  for (const file of stdout.split('\0').filter(Boolean)) {
    // A deleted file is listed until the deletion is committed; a linked node_modules escapes the ignore rule for folders.
    const kind = await lstat(join(root, file)).catch(() => undefined);
    if (!kind?.isFile()) continue;
    await mkdir(dirname(join(to, file)), { recursive: true });
    await cp(join(root, file), join(to, file));
  }
  await symlink(join(root, 'node_modules'), join(to, 'node_modules'));
}

async function runTests(copy: string, mutant: Mutant, signal?: AbortSignal): Promise<TestRun> {
  const ava = join(copy, 'node_modules/ava/entrypoints/cli.js');
  const match = mutant.match === undefined ? [] : ['--match', mutant.match];
  const { status, stdout, stderr } = await execute(
    process.execPath,
    [ava, '--tap', ...match, ...mutant.tests],
    copy,
    signal,
  );
  return { ...readTap(stdout), status, output: stdout + stderr };
}

/** Tries one mutant in the copy, and leaves the copy as it was. `before` is the same tests without the patch. */
async function tryMutant(
  copy: string,
  mutant: Mutant,
  before: TestRun,
  signal?: AbortSignal,
): Promise<Verdict> {
  if (before.status !== 0 || before.passed.size === 0) {
    return { kind: 'broken', reason: `the tests do not pass without the patch\n${tail(before.output)}` };
  }
  const patch = (...options: string[]) => execute('git', ['apply', ...options, mutant.file], copy);
  const applied = await patch();
  if (applied.status !== 0)
    return { kind: 'broken', reason: `the patch does not apply\n${tail(applied.stderr)}` };
  const after = await runTests(copy, mutant, signal);
  const undone = await patch('--reverse');
  if (undone.status !== 0) throw new Error(`${mutant.name} could not be taken back: ${undone.stderr}`);
  return judge(before, after);
}

/** Reads the patches of a folder in the order of their names; with names, only these. */
export async function listMutants(folder: string, names: string[] = []): Promise<Mutant[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.patch')).sort();
  const wanted = names.map((name) => basename(name, '.patch'));
  const unknown = wanted.filter((name) => !files.includes(`${name}.patch`));
  if (unknown.length > 0) throw new Error(`no such mutant: ${unknown.join(', ')}`);
  const chosen = files.filter((file) => wanted.length === 0 || wanted.includes(basename(file, '.patch')));
  return Promise.all(
    chosen.map(async (file) => parseMutant(join(folder, file), await readFile(join(folder, file), 'utf8'))),
  );
}

/**
 * Tries mutants one after the other and reports each.
 *
 * @param root the project; a git repository with its packages installed
 * @param report called with each verdict and the seconds it took
 */
export async function tryMutants(
  root: string,
  mutants: Mutant[],
  report: (mutant: Mutant, verdict: Verdict, seconds: number) => void,
  signal?: AbortSignal,
): Promise<void> {
  const copy = await mkdtemp(join(tmpdir(), 'gatehouse-mutants-'));
  const baselines = new Map<string, Promise<TestRun>>();
  try {
    await copyTree(root, copy);
    for (const mutant of mutants) {
      signal?.throwIfAborted();
      if (mutant.database === 'postgres' && !process.env.DATABASE_URL) {
        report(mutant, { kind: 'skipped', reason: 'set DATABASE_URL to a PostgreSQL server' }, 0);
        continue;
      }
      const start = performance.now();
      const key = JSON.stringify([[...mutant.tests].sort(), mutant.match]);
      const before = baselines.get(key) ?? runTests(copy, mutant, signal);
      baselines.set(key, before);
      const verdict = await tryMutant(copy, mutant, await before, signal);
      signal?.throwIfAborted();
      report(mutant, verdict, (performance.now() - start) / 1000);
    }
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

async function main(args: string[]): Promise<number> {
  const folder = import.meta.dirname;
  const mutants = await listMutants(
    folder,
    args.filter((arg) => !arg.startsWith('-')),
  );
  if (args.includes('--list')) {
    for (const { name, title } of mutants) console.log(`${name.padEnd(40)} ${title}`);
    return 0;
  }
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.once(name, () => stop.abort(new Error(`stopped by ${name}`)));
  const count = { killed: 0, survived: 0, broken: 0, skipped: 0 };
  await tryMutants(
    join(folder, '../..'),
    mutants,
    (mutant, verdict, seconds) => {
      count[verdict.kind] += 1;
      const note = 'by' in verdict ? `by "${verdict.by}"` : 'reason' in verdict ? verdict.reason : '';
      console.log(
        `${verdict.kind.padEnd(8)} ${mutant.name}: ${mutant.title} (${seconds.toFixed(1)} s) ${note}`.trimEnd(),
      );
    },
    stop.signal,
  );
  const also = [
    ...(count.broken > 0 ? [`${count.broken} broken`] : []),
    ...(count.skipped > 0 ? [`${count.skipped} skipped`] : []),
  ];
  console.log([`${count.killed} killed`, `${count.survived} survived`, ...also].join(', '));
  return count.survived + count.broken > 0 || mutants.length === 0 ? 1 : 0;
}

if (import.meta.main) {
  process.exitCode = await main(process.argv.slice(2)).catch((error: Error) => {
    console.error(error.message);
    return 1;
  });
}
