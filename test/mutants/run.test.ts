/** The runner of the mutants is what makes them worth anything, so it is tried on a project of two files. */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test from 'ava';
import { listMutants, parseMutant, tryMutants, type Verdict } from './run.ts';

const modules = join(import.meta.dirname, '../../node_modules');

const files = {
  'package.json':
    '{"type":"module","ava":{"extensions":["ts"],"files":["test/**/*.test.ts"],"workerThreads":false}}\n',
  '.gitignore': 'node_modules\n',
  'sum.ts': 'export const sum = (a: number, b: number) => a + b;\n',
  'test/sum.test.ts':
    "import test from 'ava';\nimport { sum } from '../sum.ts';\ntest('two and two is four', (t) => {\n  t.is(sum(2, 2), 4);\n});\n",
  'test/sad.test.ts': "import test from 'ava';\ntest('never passes', (t) => {\n  t.fail();\n});\n",
};

const sum = 'export const sum = (a: number, b: number) => a + b;';
const patch = (header: string, to: string, from = sum) =>
  `${header}\n--- a/sum.ts\n+++ b/sum.ts\n@@ -1 +1 @@\n-${from}\n+${to}\n`;
const about = (title: string, tests = 'test/sum.test.ts') => `# title: ${title}\n# tests: ${tests}`;

const patches: Record<string, string> = {
  'difference.patch': patch(about('it subtracts'), 'export const sum = (a: number, b: number) => a - b;'),
  'product.patch': patch(about('it multiplies'), 'export const sum = (a: number, b: number) => a * b;'),
  'syntax.patch': patch(about('it is not a program'), 'export const sum = (a: number, b: number) => a +;'),
  'stale.patch': patch(about('it applies to nothing'), 'export const sum = 0;', 'export const sum = 1;'),
  'sad.patch': patch(about('its tests fail anyway', 'test/sad.test.ts'), 'export const sum = 0;'),
  'absent.patch': patch(about('its tests do not exist', 'test/absent.test.ts'), 'export const sum = 0;'),
  'server.patch': patch(`${about('it needs a server')}\n# database: postgres`, 'export const sum = 0;'),
};

test('a mutant is killed by a test that fails, and by nothing else', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'gatehouse-mutants-test-'));
  t.teardown(() => rm(root, { recursive: true }));
  const all = {
    ...files,
    ...Object.fromEntries(Object.entries(patches).map(([name, text]) => [`test/mutants/${name}`, text])),
  };
  for (const [path, text] of Object.entries(all)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  await symlink(modules, join(root, 'node_modules'));
  execFileSync('git', ['init', '--quiet'], { cwd: root });

  const server = process.env.DATABASE_URL;
  delete process.env.DATABASE_URL;
  t.teardown(() => {
    if (server) process.env.DATABASE_URL = server;
  });
  const verdicts = new Map<string, Verdict>();
  await tryMutants(root, await listMutants(join(root, 'test/mutants')), ({ name }, verdict) =>
    verdicts.set(name, verdict),
  );

  t.deepEqual(verdicts.get('difference'), { kind: 'killed', by: 'two and two is four' });
  t.deepEqual(verdicts.get('product'), { kind: 'survived' });
  const reasons = {
    syntax: /no test failed/,
    stale: /does not apply/,
    sad: /do not pass without the patch/,
    absent: /do not pass without the patch/,
  };
  for (const [name, reason] of Object.entries(reasons)) {
    const verdict = verdicts.get(name);
    t.is(verdict?.kind, 'broken', name);
    t.regex(verdict && 'reason' in verdict ? verdict.reason : '', reason, name);
  }
  t.is(verdicts.get('server')?.kind, 'skipped');
});

test('a patch without a title or tests is refused', (t) => {
  t.throws(() => parseMutant('x.patch', '# title: something\n--- a/x\n'), { message: /must open with/ });
  t.throws(() => parseMutant('x.patch', '--- a/x\n# title: late\n# tests: test/x.test.ts\n'), {
    message: /must open with/,
  });
});

test('only the mutants that are named are tried, and a wrong name is an error', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-mutants-test-'));
  t.teardown(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'one.patch'), patches['difference.patch'] ?? '');
  await writeFile(join(folder, 'two.patch'), patches['product.patch'] ?? '');
  t.deepEqual(
    (await listMutants(folder, ['two'])).map(({ name }) => name),
    ['two'],
  );
  await t.throwsAsync(() => listMutants(folder, ['three']), { message: /no such mutant: three/ });
});
