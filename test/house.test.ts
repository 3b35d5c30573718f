/**
 * Rules of the house that a linter cannot see: what stands where, how it is named, and what the tree must never contain. Each
 * failure names the files and says what to do. Reads the files that git knows or would add, so it works in a dirty tree.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { basename, dirname, extname, join, normalize } from 'node:path';
import test from 'ava';

const root = join(import.meta.dirname, '..');
const product = ['server', 'interactions', 'portal', 'adapters', 'db', 'cli'];

/** The files of the tree. A clone may belong to another user than the one who tests it, which git refuses unless told. */
function listFiles(): string[] {
  const out = execFileSync('git', ['-c', 'safe.directory=*', 'ls-files', '-co', '--exclude-standard', '-z'], {
    cwd: root,
    encoding: 'utf8',
  });
  return out
    .split('\0')
    .filter((file) => file && lstatSync(join(root, file), { throwIfNoEntry: false })?.isFile());
}

const files = existsSync(join(root, '.git')) ? listFiles() : [];
const textOf = (file: string) => readFileSync(join(root, file), 'utf8');
const isText = (file: string) => !['.png', '.webp', '.ico', '.woff2', '.gz', '.tar'].includes(extname(file));
const inProduct = (file: string) => product.includes(file.split('/')[0] ?? '');
const folders = [...new Set(files.map(dirname))];
const has = (path: string) => folders.some((folder) => folder === path || folder.startsWith(`${path}/`));

/** Lines of the text files that match, as `file:line`. */
const grep = (pattern: RegExp, among = files): string[] =>
  among.filter(isText).flatMap((file) =>
    textOf(file)
      .split('\n')
      .flatMap((line, index) =>
        pattern.test(line) ? [`${file}:${index + 1}: ${line.trim().slice(0, 120)}`] : [],
      ),
  );

test('every folder of the product says what it owns and what it refuses', (t) => {
  // Two levels, as server/accounts; deeper folders belong to the one above.
  const own = folders.filter((folder) => inProduct(`${folder}/`) && folder.split('/').length <= 2);
  const silent = own.filter((folder) => {
    const here = files.filter((file) => dirname(file) === folder);
    const code = here.filter((file) => file.endsWith('.ts'));
    return (
      code.length > 0 &&
      !here.includes(`${folder}/README.md`) &&
      !code.some((file) => textOf(file).startsWith('/**'))
    );
  });
  t.deepEqual(
    silent,
    [],
    'Open the main file of the folder with a /** block, or add a README.md of 5 to 15 lines.',
  );
});

test('files are named in kebab-case', (t) => {
  const code = files.filter((file) => /\.(ts|css|sql)$/.test(file));
  const odd = code.filter((file) => !/^_?[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9-]+)*$/.test(basename(file)));
  t.deepEqual(odd, [], 'Rename: lower case, words joined by hyphens.');
});

test('test files mirror the folders they test, and helpers start with an underscore', (t) => {
  const code = files.filter((file) => file.startsWith('test/') && file.endsWith('.ts'));
  const misplaced = code
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => dirname(file).split('/').slice(1))
    .filter((path) => path.length > 0 && !['flows', 'mutants', 'shots'].includes(path[0] ?? ''))
    .map((path) => path.join('/'))
    // test/web and test/server/web both say clearly what they test.
    .filter((path) => ![path, `server/${path}`].some((tested) => has(tested)));
  t.deepEqual(
    [...new Set(misplaced)],
    [],
    'test/<folder>/x.test.ts tests <folder>/ or server/<folder>/; a whole protocol is tested under test/flows/.',
  );
  const helpers = code.filter((file) => !file.endsWith('.test.ts') && !/^test\/(mutants|shots)\//.test(file));
  const unmarked = helpers.filter((file) => !file.split('/').some((part) => part.startsWith('_')));
  t.deepEqual(unmarked, [], 'A helper starts with _, so that nobody takes it for a test: test/_app.ts.');
});

test('the lock file names no registry', (t) => {
  const named = grep(/"resolved"|registry\./, ['package-lock.json']);
  t.deepEqual(
    named.slice(0, 3),
    [],
    'Install with the .npmrc of this project (omit-lockfile-registry-resolved=true).',
  );
});

test('dependencies are pinned to one version', (t) => {
  const { dependencies, devDependencies } = JSON.parse(textOf('package.json')) as Record<
    string,
    Record<string, string>
  >;
  const loose = Object.entries({ ...dependencies, ...devDependencies }).filter(
    ([, range]) => !/^\d+\.\d+\.\d+$/.test(range),
  );
  t.deepEqual(loose, [], 'Write the exact version: a newer one is a decision, not an accident.');
});

test('no file names a folder of somebody’s machine', (t) => {
  const found = grep(/(^|["'`\s(=:])(\/(work|root|home\/[a-z]+|Users\/[A-Za-z]+)\/|[A-Z]:\\Users\\)/);
  t.deepEqual(found, [], 'Use a path relative to the project, or import.meta.dirname.');
});

test('the environment is read in server/config.ts only', (t) => {
  // The linter sees process.env; this sees the ways around it.
  const code = files.filter(
    (file) => inProduct(file) && file.endsWith('.ts') && !/^(cli\/|server\/config\.ts)/.test(file),
  );
  const found = grep(
    /\bprocess\s*(\?\.)?\[\s*['"`]env|\{[^}]*\benv\b[^}]*\}\s*=\s*(globalThis\.)?process\b|globalThis\.process|\bprocess\.env[.[]/,
    code,
  );
  t.deepEqual(found, [], 'Add the variable to server/config.ts and take the value as an argument.');
});

test('no file only passes on what others export', (t) => {
  t.deepEqual(
    grep(
      /^export \* from/,
      files.filter((file) => file.endsWith('.ts')),
    ),
    [],
    'No barrels: import from the file that defines it.',
  );
});

test('no test is skipped, left to do or run alone', (t) => {
  const tests = files.filter((file) => file.endsWith('.test.ts'));
  t.deepEqual(
    grep(/^\s*test(\.serial)?\.(only|skip|todo|failing)\b/, tests),
    [],
    'Write it, fix it or delete it.',
  );
});

test('documents name scripts and files that exist', (t) => {
  const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> };
  const documents = files.filter((file) => file.endsWith('.md'));
  const dead = documents.flatMap((file) => {
    const text = textOf(file);
    const runs = [...text.matchAll(/npm run ([a-z:-]+)/g)]
      .map(([, name]) => name ?? '')
      .filter((name) => !(name in scripts));
    const links = [...text.matchAll(/(?<!!)\[[^\]]*\]\(([^)#\s]+)(#[^)]*)?\)/g)]
      .map(([, link]) => link ?? '')
      .filter(
        (link) => !/^[a-z]+:/.test(link) && !existsSync(join(root, normalize(join(dirname(file), link)))),
      );
    return [...runs.map((name) => `${file}: npm run ${name}`), ...links.map((link) => `${file}: ${link}`)];
  });
  t.deepEqual(dead, [], 'Correct the document, or add what it promises.');
});

test('a change that must be caught names tests that exist', (t) => {
  const patches = files.filter((file) => /^test\/mutants\/.*\.patch$/.test(file));
  const wrong = patches.flatMap((file) => {
    const tests = /^# tests: (.+)$/m.exec(textOf(file))?.[1]?.trim().split(/\s+/) ?? [];
    if (!/^# title: \S/m.test(textOf(file)) || tests.length === 0) return [`${file}: no title or no tests`];
    return tests.filter((name) => !existsSync(join(root, name))).map((name) => `${file}: ${name}`);
  });
  t.deepEqual(wrong, [], 'A patch opens with "# title: ..." and "# tests: test/...".');
});
