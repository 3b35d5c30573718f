import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { KeyError, loadKeyFile } from '../../server/keys/key-encryption.ts';

const folders: string[] = [];

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-key-'));
  folders.push(folder);
  return folder;
}

test.after.always(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

test('a key file that holds no key is refused and left as it is', (t) => {
  for (const content of ['', 'short', `${'A'.repeat(42)}\n`, 'A'.repeat(86)]) {
    const folder = newFolder();
    const path = join(folder, 'encryption.key');
    writeFileSync(path, content);
    const refused = t.throws(() => loadKeyFile(folder), { instanceOf: KeyError });
    t.regex(refused.message, /backup/);
    if (content) t.false(refused.message.includes(content.trim()));
    t.is(readFileSync(path, 'utf8'), content);
  }
});

test('a folder that cannot hold the key file is named', (t) => {
  const folder = newFolder();
  const taken = join(folder, 'data');
  writeFileSync(taken, 'a file in place of the folder');
  const refused = t.throws(() => loadKeyFile(taken), { instanceOf: KeyError });
  t.true(refused.message.includes(taken));
});

test('the key file is made once, for its owner only, and read again at the next start', (t) => {
  const folder = join(newFolder(), 'data');
  const key = loadKeyFile(folder);
  const path = join(folder, 'encryption.key');
  t.is(key.length, 32);
  t.is(statSync(path).mode & 0o777, 0o600);
  t.is(statSync(folder).mode & 0o777, 0o700);
  t.deepEqual(readdirSync(folder), ['encryption.key']);
  t.deepEqual(loadKeyFile(folder), key);
  t.notDeepEqual(loadKeyFile(newFolder()), key);
});

test('a key file that others could read is closed to them', (t) => {
  const folder = newFolder();
  loadKeyFile(folder);
  const path = join(folder, 'encryption.key');
  chmodSync(path, 0o644);
  loadKeyFile(folder);
  t.is(statSync(path).mode & 0o777, 0o600);
});

test('a missing key file of a database that has data is refused, and no other key takes its place', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-key-'));
  t.throws(() => loadKeyFile(folder, false), { instanceOf: KeyError, message: /missing.*Restore/ });
  t.deepEqual(readdirSync(folder), []);
  loadKeyFile(folder, true);
  t.deepEqual(readdirSync(folder), ['encryption.key']);
  rmSync(folder, { recursive: true });
});
