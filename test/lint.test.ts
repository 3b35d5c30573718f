/**
 * Proves the lint rules: one run of the linter over a scratch tree in which each file breaks one rule, or shows what is allowed.
 * A rule that refuses nothing looks the same as a rule that nobody broke, so every boundary of the house has its file here.
 */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test from 'ava';

const root = join(import.meta.dirname, '..');

interface Case {
  /** Where the file stands; its folder decides which rules hold. */
  at: string;
  code: string;
  /** Text that the report must contain, or undefined when the file must pass. */
  refused?: RegExp;
}

const use = (what: string, from: string) =>
  `import { ${what} } from '${from}';\nexport const used = ${what.split(' ').at(-1)};\n`;
const useType = (what: string, from: string) =>
  `import type { ${what} } from '${from}';\nexport type Used = ${what};\n`;

/** Modules that the cases import. */
const modules: Record<string, string> = {
  'db/accounts.ts':
    'export interface AccountRow { id: string }\nexport const findAccount = 1;\nexport const insertAccount = 2;\n',
  'db/unit-of-work.ts': 'export const runInUnit = 1;\n',
  'server/app.ts': 'export const buildApp = 1;\n',
  'server/config.ts':
    'export interface Config { port: number }\nexport const MAX = 1;\nexport const config = process.env.PORT;\n',
  'server/errors.ts': 'export const notFound = 1;\n',
  'server/logger.ts': 'export interface Logger { level: string }\nexport const logger = 1;\n',
  'server/web/html.ts': 'export const html = 1;\n',
  'server/web/i18n/text.ts': 'export const text = 1;\n',
  'server/api/clients.ts': 'export const api = 1;\n',
  'server/gateway/forward.ts': 'export const forward = 1;\n',
  'server/accounts/register.ts': 'export interface Account { id: string }\nexport const register = 1;\n',
  'server/accounts/other-half.ts': `import { whole } from './circle.ts';\nexport const half = (): number => whole();\n`,
  'server/audit/events.ts': 'export const audit = 1;\n',
  'server/keys/seal.ts': 'export const seal = 1;\n',
  'interactions/sign-in.ts': 'export const signIn = 1;\n',
  'portal/account/home.ts': 'export const home = 1;\n',
  'adapters/mail/smtp.ts': 'export const smtp = 1;\n',
  'cli/main.ts': 'export const cli = process.env.HOME;\n',
  'sdk/verify.ts': 'export const verify = 1;\n',
  'test/_app.ts': 'export const app = process.env.DATABASE_URL;\n',
};

const cases: Record<string, Case> = {
  'a page does not import an adapter': {
    at: 'interactions/a.ts',
    code: use('smtp', '../adapters/mail/smtp.ts'),
    refused: /interactions\/ imports server\//,
  },
  'a page of a journey does not import the portal': {
    at: 'interactions/b.ts',
    code: use('home', '../portal/account/home.ts'),
    refused: /interactions\/ imports server\//,
  },
  'the portal does not import interactions': {
    at: 'portal/account/a.ts',
    code: use('signIn', '../../interactions/sign-in.ts'),
    refused: /portal\/ imports server\//,
  },
  'the portal does not import an adapter': {
    at: 'portal/b.ts',
    code: use('smtp', '../adapters/mail/smtp.ts'),
    refused: /portal\/ imports server\//,
  },
  'a page does not write through db/': {
    at: 'portal/account/c.ts',
    code: use('insertAccount', '../../db/accounts.ts'),
    refused: /plain reads/,
  },
  'a page does not take a whole query module': {
    at: 'interactions/c.ts',
    code: use('* as accounts', '../db/accounts.ts').replace('{ * as accounts }', '* as accounts'),
    refused: /plain reads/,
  },
  'a page does not import app.ts': {
    at: 'interactions/d.ts',
    code: use('buildApp', '../server/app.ts'),
    refused: /nothing imports them/,
  },
  'a page reads from db/ and calls a domain': {
    at: 'interactions/e.ts',
    code:
      use('findAccount', '../db/accounts.ts') +
      `import { register } from '../server/accounts/register.ts';\nimport { html } from '../server/web/html.ts';\n` +
      `import type { AccountRow } from '../db/accounts.ts';\nexport const more: [number, number, AccountRow?] = [register, html];\n`,
  },
  'a page opens a unit of work': {
    at: 'portal/account/e.ts',
    code: use('runInUnit', '../../db/unit-of-work.ts'),
  },
  'the JSON API does not write through db/': {
    at: 'server/api/a.ts',
    code: use('insertAccount', '../../db/accounts.ts'),
    refused: /plain reads/,
  },
  'the JSON API does not import a page': {
    at: 'server/api/b.ts',
    code: use('home', '../../portal/account/home.ts'),
    refused: /server\/api imports domains/,
  },
  'the JSON API does not import an adapter': {
    at: 'server/api/c.ts',
    code: use('smtp', '../../adapters/mail/smtp.ts'),
    refused: /server\/api imports domains/,
  },
  'the JSON API does not import the gateway': {
    at: 'server/api/d.ts',
    code: use('forward', '../gateway/forward.ts'),
    refused: /do not call each other/,
  },
  'the gateway does not import the JSON API': {
    at: 'server/gateway/a.ts',
    code: use('api', '../api/clients.ts'),
    refused: /do not call each other/,
  },
  'the gateway does not import a page': {
    at: 'server/gateway/b.ts',
    code: use('signIn', '../../interactions/sign-in.ts'),
    refused: /server\/gateway imports domains/,
  },
  'the JSON API calls a domain and reads from db/': {
    at: 'server/api/e.ts',
    code:
      use('register', '../accounts/register.ts') + `export { findAccount } from '../../db/accounts.ts';\n`,
  },
  'an adapter does not take a value from a domain': {
    at: 'adapters/oidc/a.ts',
    code: use('register', '../../server/accounts/register.ts'),
    refused: /takes types only/,
  },
  'an adapter does not import a domain dynamically': {
    at: 'adapters/oidc/b.ts',
    code: `export const late = await import('../../server/accounts/register.ts');\n`,
    refused: /takes types only/,
  },
  'an adapter does not import a page': {
    at: 'adapters/oidc/c.ts',
    code: use('signIn', '../../interactions/sign-in.ts'),
    refused: /adapters\/ imports db\//,
  },
  'an adapter takes types from a domain, and values from keys and db': {
    at: 'adapters/oidc/d.ts',
    code:
      useType('Account', '../../server/accounts/register.ts') +
      use('seal', '../../server/keys/seal.ts') +
      `export { insertAccount } from '../../db/accounts.ts';\n`,
  },
  'a domain does not import a page': {
    at: 'server/accounts/a.ts',
    code: use('signIn', '../../interactions/sign-in.ts'),
    refused: /A domain imports db\//,
  },
  'a domain does not import an adapter': {
    at: 'server/accounts/b.ts',
    code: use('smtp', '../../adapters/mail/smtp.ts'),
    refused: /A domain imports db\//,
  },
  'a domain does not import the page toolkit': {
    at: 'server/accounts/c.ts',
    code: use('html', '../web/html.ts'),
    refused: /A domain knows nothing/,
  },
  'a domain does not import the JSON API': {
    at: 'server/accounts/d.ts',
    code: use('api', '../api/clients.ts'),
    refused: /A domain knows nothing/,
  },
  'a nested file of a domain does not import the gateway': {
    at: 'server/accounts/deep/a.ts',
    code: use('forward', '../../gateway/forward.ts'),
    refused: /A domain knows nothing/,
  },
  'a domain does not import main.ts': {
    at: 'server/accounts/e.ts',
    code: use('main', '../main.ts'),
    refused: /nothing imports them/,
  },
  'a domain does not read the configuration by itself': {
    at: 'server/accounts/f.ts',
    code: use('config', '../config.ts'),
    refused: /handed down/,
  },
  'a domain does not import test helpers': {
    at: 'server/accounts/g.ts',
    code: use('app', '../../test/_app.ts'),
    refused: /A domain imports db\//,
  },
  'a domain writes through db/, calls other domains and knows the type of the configuration': {
    at: 'server/accounts/h.ts',
    code:
      use('insertAccount', '../../db/accounts.ts') +
      `import type { Config } from '../config.ts';\nimport { MAX } from '../config.ts';\nexport const c = (config: Config) => config.port < MAX;\n` +
      `export { audit } from '../audit/events.ts';\nexport { seal } from '../keys/seal.ts';\nexport { notFound } from '../errors.ts';\n`,
  },
  'the page toolkit does not import a domain': {
    at: 'server/web/a.ts',
    code: use('register', '../accounts/register.ts'),
    refused: /toolkit of every page/,
  },
  'the page toolkit does not import db/': {
    at: 'server/web/b.ts',
    code: use('findAccount', '../../db/accounts.ts'),
    refused: /toolkit of every page/,
  },
  'a nested file of the page toolkit does not import a domain': {
    at: 'server/web/i18n/a.ts',
    code: use('register', '../../accounts/register.ts'),
    refused: /toolkit of every page/,
  },
  'the page toolkit imports errors.ts and itself': {
    at: 'server/web/c.ts',
    code: use('notFound', '../errors.ts') + `export { text } from './i18n/text.ts';\n`,
  },
  'a nested file of the page toolkit imports the toolkit': {
    at: 'server/web/i18n/b.ts',
    code: use('html', '../html.ts') + `export { notFound } from '../../errors.ts';\n`,
  },
  'the ground floor imports no folder': {
    at: 'server/errors.ts',
    code: use('register', './accounts/register.ts'),
    refused: /ground floor/,
  },
  'db/ imports nothing of ours': {
    at: 'db/a.ts',
    code: use('notFound', '../server/errors.ts'),
    refused: /import nothing of ours/,
  },
  'a migration imports nothing of ours': {
    at: 'db/migrations/a.ts',
    code: useType('Account', '../../server/accounts/register.ts'),
    refused: /import nothing of ours/,
  },
  'sdk/ imports nothing of ours': {
    at: 'sdk/a.ts',
    code: use('findAccount', '../db/accounts.ts'),
    refused: /import nothing of ours/,
  },
  'db/ imports itself': {
    at: 'db/migrations/b.ts',
    code: use('findAccount', '../accounts.ts'),
  },
  'cli/, examples/, bench/ and test/ import anything': {
    at: 'cli/a.ts',
    code: use('smtp', '../adapters/mail/smtp.ts') + `export { buildApp } from '../server/app.ts';\n`,
  },
  'the internals of the library stay behind one file': {
    at: 'server/oidc/a.ts',
    code: use('internals', 'oidc-provider/lib/helpers/grants.js'),
    refused: /internals\.ts, the one file/,
  },
  'tests do not reach into the library either': {
    at: 'test/a.ts',
    code: use('internals', 'oidc-provider/lib/helpers/grants.js'),
    refused: /internals\.ts, the one file/,
  },
  'internals.ts may reach into the library': {
    at: 'server/oidc/internals.ts',
    code: use('internals', 'oidc-provider/lib/helpers/grants.js'),
  },
  'ciphers stay in server/keys': {
    at: 'server/credentials/a.ts',
    code: use('createCipheriv', 'node:crypto'),
    refused: /Ciphers live in server\/keys/,
  },
  'ciphers do not come in through the whole of node:crypto': {
    at: 'adapters/upstream/a.ts',
    code: `import crypto from 'node:crypto';\nexport const used = crypto;\n`,
    refused: /Ciphers live in server\/keys/,
  },
  'ciphers do not come in through a namespace': {
    at: 'server/credentials/b.ts',
    code: `import * as crypto from 'node:crypto';\nexport const used = crypto;\n`,
    refused: /Ciphers live in server\/keys/,
  },
  'server/keys uses ciphers': {
    at: 'server/keys/a.ts',
    code: use('createDecipheriv', 'node:crypto'),
  },
  'other functions of node:crypto are free': {
    at: 'server/credentials/c.ts',
    code: use('randomBytes', 'node:crypto'),
  },
  'the environment is read in config.ts only': {
    at: 'server/accounts/i.ts',
    code: 'export const home = process.env.HOME;\n',
    refused: /process\.env/,
  },
  'the environment does not come in through node:process': {
    at: 'portal/d.ts',
    code: use('env', 'node:process'),
    refused: /config\.ts only/,
  },
  'main.ts hands the environment over': {
    at: 'server/main.ts',
    code: 'export const main = (read: (env: NodeJS.ProcessEnv) => void) => read(process.env);\n',
  },
  'nothing is exported as default': {
    at: 'db/migrations/c.ts',
    code: 'export default 1;\n',
    refused: /default/,
  },
  'the server does not write to the console': {
    at: 'server/accounts/j.ts',
    code: 'console.log(1);\n',
    refused: /console/,
  },
  'the command line writes to the console': {
    at: 'cli/b.ts',
    code: 'console.log(1);\n',
  },
  'a promise is not left floating': {
    at: 'server/accounts/k.ts',
    code: 'const later = async () => 1;\nlater();\n',
    refused: /[Pp]romise/,
  },
  'a promise is not a condition': {
    at: 'server/accounts/l.ts',
    code: 'const later = async () => true;\nexport const used = () => (later() ? 1 : 2);\n',
    refused: /[Pp]romise/,
  },
  'modules do not import each other in a circle': {
    at: 'server/accounts/circle.ts',
    code: `import { half } from './other-half.ts';\nexport const whole = (): number => half();\n`,
    refused: /cycle/i,
  },
};
/** Lints the scratch tree once and returns what was reported, by file. */
async function lint(folder: string): Promise<Map<string, string>> {
  // Named, because the linter would walk into node_modules otherwise.
  const folders = ['server', 'interactions', 'portal', 'adapters', 'db', 'cli', 'sdk', 'test'];
  const linter = join(root, 'node_modules/oxlint/bin/oxlint');
  const stdout = await new Promise<string>((resolve, reject) =>
    execFile(
      process.execPath,
      [linter, '--type-aware', '--format=json', ...folders],
      { cwd: folder, maxBuffer: 1 << 26 },
      (error, out, err) => (out.startsWith('{') ? resolve(out) : reject(error ?? new Error(out + err))),
    ),
  );
  const reports = new Map<string, string>();
  for (const found of JSON.parse(stdout).diagnostics) {
    reports.set(
      found.filename,
      `${reports.get(found.filename) ?? ''}${found.code}: ${found.message} ${found.help ?? ''}\n`,
    );
  }
  return reports;
}

let reports: Map<string, string>;

test.before(async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-lint-'));
  try {
    for (const file of ['oxlint.config.ts', 'tsconfig.json', 'package.json'])
      await cp(join(root, file), join(folder, file));
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
    const files = {
      ...modules,
      ...Object.fromEntries(Object.values(cases).map(({ at, code }) => [at, code])),
    };
    for (const [path, code] of Object.entries(files)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), code);
    }
    reports = await lint(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
  t.log(`${reports.size} files refused`);
});

for (const [title, { at, refused }] of Object.entries(cases)) {
  test(title, (t) => {
    const report = reports.get(at) ?? '';
    if (refused) t.regex(report, refused, `oxlint.config.ts lets ${at} pass`);
    else t.is(report, '', `oxlint.config.ts refuses ${at}, which is allowed`);
  });
}

test('no file of the scratch tree is refused by accident', (t) => {
  const expected = new Set(
    Object.values(cases)
      .filter(({ refused }) => refused)
      .map(({ at }) => at),
  );
  expected.add('server/accounts/other-half.ts');
  t.deepEqual(
    [...reports.keys()].filter((file) => !expected.has(file)),
    [],
  );
});
