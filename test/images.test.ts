import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { AppError } from '../server/errors.ts';
import { startTestApp } from './_app.ts';
import { authorizeUrl, newJar, request } from './_walk.ts';

const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);
const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>');
const redirectUri = 'https://shop.test/cb';

test('a logo that is no image, or too large, is refused', async (t) => {
  await using app = await startTestApp();
  for (const logo of [Buffer.from('<html><svg></html>'), Buffer.concat([png, Buffer.alloc(50_000)])]) {
    const error = await t.throwsAsync(
      app.createClient({ kind: 'web', name: 'S', redirectUris: [redirectUri], logo }),
    );
    t.true(error instanceof AppError && error.status === 422);
  }
});

test("an application's logo is shown and served from here, inert", async (t) => {
  await using app = await startTestApp();
  const client = {
    ...(await app.createClient({ kind: 'web', name: 'S', redirectUris: [redirectUri], logo: svg })),
    redirectUri,
  };
  const jar = newJar();
  const begun = await request(jar, authorizeUrl(app, client));
  const page = await request(jar, `${app.url}${begun.headers.get('location')}`);
  const path = /<img[^>]+src="(\/logos\/[^"]+)"/.exec(page.text)?.[1];
  t.truthy(path);
  const logo = await fetch(`${app.url}${path}`);
  t.is(logo.headers.get('content-type'), 'image/svg+xml');
  t.true(logo.headers.get('content-security-policy')?.includes('sandbox'));
  t.is(logo.headers.get('x-content-type-options'), 'nosniff');
  t.is((await fetch(`${app.url}/logos/${client.id}/other`)).status, 404);
  t.is((await fetch(`${app.url}/logos/%00/other`)).status, 404);
});

test("the operator's logo, colour and links are on the pages", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-logo-'));
  const file = join(folder, 'logo.png');
  writeFileSync(file, png);
  await using app = await startTestApp({
    env: {
      LOGO_FILE: file,
      PRODUCT_NAME: 'Acme ID',
      BRAND_COLOUR: '#ffee00',
      TERMS_URL: 'https://acme.test/terms',
      PRIVACY_URL: 'https://acme.test/privacy',
    },
  });
  const page = await (
    await fetch(`${app.url}/interaction/unknown`, { headers: { accept: 'text/html' } })
  ).text();
  const path = /src="(\/brand\/[^"]+)"/.exec(page)?.[1];
  t.is((await fetch(`${app.url}${path}`)).headers.get('content-type'), 'image/png');
  for (const text of [
    'Acme ID',
    'https://acme.test/terms',
    'https://acme.test/privacy',
    '/assets/brand-ffee00.',
  ]) {
    t.true(page.includes(text), text);
  }
  await t.throwsAsync(startTestApp({ env: { LOGO_FILE: join(folder, 'missing.png') } }), {
    message: /LOGO_FILE/,
  });
  rmSync(folder, { recursive: true });
});
