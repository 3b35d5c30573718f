import { readFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import test from 'ava';
import { startTestApp } from '../_app.ts';

const root = join(import.meta.dirname, '../..');

test('every error code has a section in docs/errors.md, and no section is left over', (t) => {
  const files = execFileSync(
    'git',
    ['ls-files', '-co', '--exclude-standard', 'server', 'interactions', 'portal'],
    {
      cwd: root,
      encoding: 'utf8',
    },
  );
  const source = files
    .split('\n')
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(join(root, file), 'utf8'))
    .join('\n');
  const ours = [...source.matchAll(/(?:new AppError|conflict|gone)\(\s*'([a-z_]+)'/g)].map(([, code]) =>
    String(code),
  );
  const sections = [...readFileSync(join(root, 'docs/errors.md'), 'utf8').matchAll(/^## ([a-z_]+)$/gm)].map(
    ([, code]) => String(code),
  );
  t.true(ours.length > 15);
  t.deepEqual(
    [...new Set(ours)].filter((code) => !sections.includes(code)),
    [],
  );
  t.deepEqual(sections, [...new Set(sections)]);
});

test('an error leads to its section', async (t) => {
  await using app = await startTestApp();
  const page = await (
    await fetch(`${app.url}/auth?client_id=unknown`, { headers: { accept: 'text/html' } })
  ).text();
  const link = /href="(\/docs\/errors#invalid_client)"/.exec(page)?.[1];
  t.truthy(link);
  const docs = await fetch(new URL(String(link), app.url));
  t.is(docs.status, 200);
  t.true((await docs.text()).includes('id="invalid_client"'));
});
