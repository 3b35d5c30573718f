/**
 * Lint rules, and above all who may import whom. `docs/architecture.md` says why; `test/lint.test.ts` proves that each ban below
 * refuses what it should. An override replaces the options of a rule, so every folder gets its complete list from `imports()`.
 */
import { defineConfig } from 'oxlint';

/** One thing a folder may not import: a regular expression or gitignore-like globs, matched against the text of the import. */
interface Ban {
  regex?: string;
  group?: string[];
  message: string;
  allowTypeImports?: boolean;
  allowImportNamePattern?: string;
  importNames?: string[];
}

/** Imports that climb out of their folder into one of the named ones, from any depth. */
const climb = (...folders: string[]) => `^(\\.\\./)+(${folders.join('|')})/`;

/** Imports of a file or folder directly under server/, from inside server/ or from elsewhere. */
const inServer = (...entries: string[]) => `^(\\.\\./)+(server/)?(${entries.join('|')})`;

const tools = ['cli', 'sdk', 'examples', 'test', 'bench', 'docs'];

// Bans that hold nearly everywhere.
const engineInternals: Ban = {
  group: ['oidc-provider/*', 'oidc-provider/**'],
  message:
    'Deep imports of the library go through server/oidc/internals.ts, the one file to read when the library is updated.',
};
const ciphers: Ban = {
  regex: '^(node:)?crypto$',
  importNames: ['createCipheriv', 'createDecipheriv', 'default'],
  message: 'Ciphers live in server/keys. Import the other functions of node:crypto by name.',
};
const processModule: Ban = {
  regex: '^(node:)?process$',
  message: 'Use the global `process`; the environment is read in server/config.ts only.',
};
const everywhere = [engineInternals, ciphers, processModule];

// Bans that several folders share.
const entry: Ban = {
  regex: inServer('main\\.ts', 'app\\.ts'),
  message:
    'main.ts and app.ts see both sides of an interface; nothing imports them. Take what you need as an argument.',
};
// Opening a unit of work is no write: the caller decides in plain sight what is atomic.
const plainReads: Ban = {
  regex: climb('db'),
  allowImportNamePattern:
    '^((find|get|list|count|is|has|may)([A-Z]|$)|[A-Z]|runInUnit$|currentUnit$|connectionOf$)',
  message:
    'Only plain reads (find, get, list, count, is, has, may) come straight from db/; a change goes through a domain function.',
};
const configAndLogger: Ban = {
  regex: inServer('config\\.ts', 'logger\\.ts'),
  allowTypeImports: true,
  allowImportNamePattern: '^[A-Z]',
  message: 'Configuration and logger are handed down; import their types and constants only.',
};
const ban = (message: string, ...folders: string[]): Ban => ({ regex: climb(...folders), message });

/** The complete rule for the files of one folder. */
const imports = (files: string[], ...bans: Ban[]) => ({
  files,
  rules: { 'no-restricted-imports': ['error', { patterns: [...bans] }] as never },
});

const page = (self: 'interactions' | 'portal', other: string) =>
  imports(
    [`${self}/**`],
    ...everywhere,
    entry,
    plainReads,
    ban(`${self}/ imports server/ and db/ only, never ${other}/ or adapters/.`, other, 'adapters', ...tools),
  );

const domain = [
  entry,
  configAndLogger,
  ban('A domain imports db/ and other domains.', 'interactions', 'portal', 'adapters', ...tools),
  {
    regex: inServer('web/', 'api/', 'gateway/'),
    message: 'A domain knows nothing of pages, the JSON API or the gateway: these call the domain.',
  },
];

const boundaries = [
  page('interactions', 'portal'),
  page('portal', 'interactions'),
  imports(
    ['adapters/**'],
    ...everywhere,
    {
      group: ['../**/server/**', '!../**/server/keys/**'],
      allowTypeImports: true,
      message:
        'adapters/ imports values from db/ and server/keys; from the rest of server/ it takes types only.',
    },
    ban('adapters/ imports db/, server/keys and types.', 'interactions', 'portal', ...tools),
  ),
  imports(
    ['db/**', 'sdk/**'],
    ...everywhere,
    ban(
      'db/ and sdk/ import nothing of ours.',
      'server',
      'interactions',
      'portal',
      'adapters',
      'db',
      ...tools,
    ),
  ),

  // server/: a domain, unless a later entry says otherwise.
  imports(['server/*/**'], ...everywhere, ...domain),
  imports(['server/oidc/internals.ts'], ciphers, processModule, ...domain),
  // The engine's HTTP edge reads bodies with the same limits as every form.
  imports(
    ['server/oidc/request-body.ts'],
    ...everywhere,
    entry,
    configAndLogger,
    ban('A domain imports db/ and other domains.', 'interactions', 'portal', 'adapters', ...tools),
    {
      regex: inServer('api/', 'gateway/'),
      message: 'A domain knows nothing of the JSON API or the gateway.',
    },
  ),
  imports(['server/keys/**'], engineInternals, processModule, ...domain),
  ...(['api', 'gateway'] as const).map((self) =>
    imports(
      [`server/${self}/**`],
      ...everywhere,
      entry,
      configAndLogger,
      plainReads,
      ban(
        `server/${self} imports domains, server/web and db/.`,
        'interactions',
        'portal',
        'adapters',
        ...tools,
      ),
      {
        regex: inServer(self === 'api' ? 'gateway/' : 'api/'),
        message: 'The JSON API and the gateway do not call each other.',
      },
    ),
  ),
  // server/web: two depths, because `../` is server/ for a file of web/ and web/ for a file of web/i18n.
  ...(['server/web/*', 'server/web/*/**'] as const).map((files, depth) => {
    const up = '../'.repeat(depth + 1);
    return imports(
      [files],
      ...everywhere,
      {
        group: [`${up}**`, `!${up}errors.ts`, `!${up}config.ts`, `!${up}logger.ts`],
        message: 'server/web is the toolkit of every page: it imports server/errors.ts only.',
      },
      configAndLogger,
    );
  }),
  imports(
    ['server/config.ts', 'server/errors.ts', 'server/logger.ts'],
    ...everywhere,
    {
      regex: '^(\\.\\./|\\./[^/]+/)',
      message: 'config.ts, errors.ts and logger.ts are the ground floor: they import no folder of ours.',
    },
    {
      regex: '^\\./(main|app)\\.ts$',
      message: 'main.ts and app.ts see both sides of an interface; nothing imports them.',
    },
  ),
  imports(['server/main.ts', 'server/app.ts'], ...everywhere),
  imports(['test/server/keys/**', 'test/keys/**'], engineInternals, processModule),
];

export default defineConfig({
  plugins: ['typescript', 'import', 'node', 'promise', 'unicorn', 'oxc'],
  categories: { correctness: 'error' },
  rules: {
    'import/no-cycle': 'error',
    'import/no-default-export': 'error',
    'import/no-self-import': 'error',
    'node/no-process-env': 'error',
    'no-console': 'off',
    // The compiler reports these, and knows that `{ secret, ...rest }` leaves something out on purpose.
    'no-unused-vars': 'off',
    eqeqeq: 'error',
    'no-var': 'error',
    'prefer-const': 'error',
    'no-restricted-properties': [
      'error',
      { object: 'crypto', property: 'subtle', message: 'Ciphers live in server/keys.' },
      { object: 'process', property: 'binding', message: 'Not an API.' },
    ],
    'typescript/no-floating-promises': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/no-explicit-any': 'error',
    'typescript/only-throw-error': 'error',
    'typescript/switch-exhaustiveness-check': 'error',
    'typescript/consistent-type-imports': 'error',
    // The pages and the library pass bound handlers around; Koa and knex types make this rule report correct code.
    'typescript/unbound-method': 'off',
    // Parameters of the library are `unknown` text; the rule takes them for objects.
    'typescript/no-base-to-string': 'off',
    // Spreading text into code points is how lengths of names and passwords are counted.
    'typescript/no-misused-spread': ['error', { allow: [{ from: 'lib', name: 'string' }, 'string'] }],
  },
  overrides: [
    imports(['**/*.ts'], ...everywhere),
    ...boundaries,
    {
      files: ['server/**', 'interactions/**', 'portal/**', 'adapters/**', 'db/**'],
      rules: { 'no-console': 'error' },
    },
    // The start screen is written for a person at a terminal.
    { files: ['server/main.ts'], rules: { 'no-console': 'off' } },
    {
      // main.ts hands the environment to parseConfig as a whole; test/house.test.ts sees that it reads nothing from it.
      files: ['server/config.ts', 'server/main.ts', 'cli/**', 'examples/**', 'test/**', 'bench/**'],
      rules: { 'node/no-process-env': 'off' },
    },
    // axe-core, browser scripts and hostile inputs are as untyped as they come.
    { files: ['test/**', 'bench/**', 'examples/**'], rules: { 'typescript/no-explicit-any': 'off' } },
    { files: ['server/keys/**'], rules: { 'no-restricted-properties': 'off' } },
  ],
});
