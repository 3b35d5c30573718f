import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import Koa from 'koa';
import { assetUrl, brandUrl, serveAssets } from '../../server/web/assets/assets.ts';
import { serve } from './_serve.ts';

let origin: string;

test.before(async () => {
  const app = new Koa();
  app.use(serveAssets);
  origin = await serve(app);
});

const get = (path: string, method = 'GET') => fetch(origin + path, { method });

test('what is no asset is not answered', async (t) => {
  for (const path of [
    '/assets/',
    '/assets/nothing.aaaaaaaaaaaa.css',
    '/assets/../server.aaaaaaaaaaaa.css',
    '/assets/assets.aaaaaaaaaaaa.ts',
    '/assets/brand-red.aaaaaaaaaaaa.css',
    '/assets/app.css',
    '/x',
  ])
    t.is((await get(path)).status, 404, path);
  t.is((await get(assetUrl('app.css'), 'POST')).status, 404);
  t.throws(() => assetUrl('nothing.css'), { message: /nothing.css/ });
});

test('an asset is kept for ever under its hash, with its type', async (t) => {
  for (const [name, type] of Object.entries({
    'app.css': 'text/css; charset=utf-8',
    'favicon.svg': 'image/svg+xml',
    'setup.js': 'text/javascript; charset=utf-8',
  })) {
    const response = await get(assetUrl(name));
    t.is(response.status, 200, name);
    t.is(response.headers.get('content-type'), type);
    t.is(response.headers.get('cache-control'), 'public, max-age=31536000, immutable');
    t.is(response.headers.get('x-content-type-options'), 'nosniff');
  }
  t.is((await get(assetUrl('app.css'), 'HEAD')).status, 200);
});

test('another hash gets the file of this version, which nobody may keep', async (t) => {
  const response = await get('/assets/app.aaaaaaaaaaaa.css');
  t.is(response.status, 200);
  t.is(response.headers.get('cache-control'), 'no-store');
});

test('every element is served as JavaScript without types', async (t) => {
  const elements = readdirSync(join(import.meta.dirname, '../../server/web/assets/elements'));
  t.true(elements.length >= 4);
  for (const element of elements) {
    const text = await (await get(assetUrl(element.replace('.ts', '.js')))).text();
    t.notRegex(text, /: void|<HTML/, element);
    t.notRegex(text, /^import /m, `${element} imports, and the address of what it imports has a hash`);
    t.true(text.split('\n').length < 100, element);
  }
});

test('a brand colour has a stylesheet of its own, on every node', async (t) => {
  const address = brandUrl('#FFD400') ?? '';
  t.regex(address, /^\/assets\/brand-ffd400\.[\w-]{12}\.css$/);
  const response = await get(address);
  t.is(response.headers.get('cache-control'), 'public, max-age=31536000, immutable');
  t.regex(await response.text(), /--brand-dark: #ffd400/);
  t.is(brandUrl('red; }'), undefined);
});
