import { readFileSync } from 'node:fs';
import test from 'ava';
import { configurationFile, renderConfiguration } from '../docs/generate-configuration.ts';
import { ConfigError, parseConfig } from '../server/config.ts';

const production = {
  MODE: 'production',
  ISSUER: 'https://id.example.com',
  DATABASE_URL: 'postgres://db/gatehouse',
  ENCRYPTION_KEY: Buffer.alloc(32).toString('base64url'),
};

const problemsOf = (env: Record<string, string>) => {
  try {
    parseConfig(env);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
};

test('production names everything that is missing at once, with the line to add', (t) => {
  const problems = problemsOf({ NODE_ENV: 'production' });
  t.is(problems.length, 3);
  for (const name of ['ISSUER', 'DATABASE_URL', 'ENCRYPTION_KEY']) {
    t.true(
      problems.some((problem) => problem.startsWith(name) && problem.includes(`add ${name}`)),
      name,
    );
  }
  t.deepEqual(problemsOf(production), []);
});

test('settings that do not fit together are refused', (t) => {
  const refused: [Record<string, string>, RegExp][] = [
    [{ ...production, ISSUER: 'http://id.example.com' }, /must be https/],
    [{ ISSUER: 'https://id.example.com/path' }, /origin only/],
    [{ ...production, ALLOW_PRIVATE_NETWORK_FETCH: 'true' }, /ALLOW_PRIVATE_NETWORK_FETCH/],
    [{ ...production, DEMO: 'true' }, /DEMO/],
    [{ TLS_CERT_FILE: '/cert.pem' }, /go together/],
    [{ SESSION_IDLE: '2d', SESSION_ABSOLUTE: '1d' }, /SESSION_IDLE/],
    [{ ACCESS_TOKEN_TTL: '2d' }, /24h/],
    [{ SESSION_IDLE: '60' }, /SESSION_IDLE/],
    [{ PORT: 'http' }, /PORT/],
    [{ ENCRYPTION_KEY: 'short' }, /ENCRYPTION_KEY/],
    [{ ENCRYPTION_KEY_FILE: '/does/not/exist' }, /ENCRYPTION_KEY_FILE/],
  ];
  for (const [env, expected] of refused) {
    t.true(
      problemsOf(env).some((problem) => expected.test(problem)),
      JSON.stringify(env),
    );
  }
});

test('what is read is frozen', (t) => {
  const config = parseConfig({});
  t.throws(() => Object.assign(config.session, { idleSeconds: 1 }));
});

test('docs/configuration.md is fresh', (t) => {
  t.is(readFileSync(configurationFile, 'utf8'), renderConfiguration(), 'run: npm run docs');
});
