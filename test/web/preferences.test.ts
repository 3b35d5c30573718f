import test from 'ava';
import Koa from 'koa';
import { preferences, readPreferences } from '../../server/web/preferences.ts';
import { serve } from './_serve.ts';

let origin: string;

test.before(async () => {
  const app = new Koa({ keys: ['k'] });
  app.use((ctx) => {
    if (ctx.path === '/preferences') preferences(ctx);
    else ctx.body = readPreferences(ctx, { uiLocales: ctx.get('X-Ui-Locales') });
  });
  origin = await serve(app);
});

const choose = (query: Record<string, string>) =>
  fetch(`${origin}/preferences?${new URLSearchParams(query)}`, { redirect: 'manual' });

test('it leads to no other site', async (t) => {
  for (const target of [
    'https://evil.example/',
    '//evil.example',
    '/\\evil.example',
    '/\t/evil.example',
    'javascript:alert(1)',
    '',
  ]) {
    const response = await choose({ theme: 'dark', return_to: target });
    t.is(response.status, 303);
    t.is(response.headers.get('location'), '/', target);
  }
});

test('an unknown choice sets nothing', async (t) => {
  const response = await choose({ theme: 'pink', locale: 'tlh', return_to: '/account' });
  t.is(response.headers.get('location'), '/account');
  t.is(response.headers.get('set-cookie'), null);
});

test('a choice is kept for a year, out of reach of scripts, and leads back', async (t) => {
  const response = await choose({ theme: 'dark', return_to: '/interaction/1?a=b' });
  t.is(response.status, 303);
  t.is(response.headers.get('location'), '/interaction/1?a=b');
  const [cookie = '', ...others] = response.headers.getSetCookie();
  t.is(others.length, 0);
  t.regex(cookie, /^gatehouse_theme=dark; path=\/; expires=.* samesite=lax; httponly$/);
  const days = (Date.parse(/expires=([^;]+)/.exec(cookie)?.[1] ?? '') - Date.now()) / 86_400_000;
  t.true(days > 364 && days < 366);
});

test('what was chosen is read again, and outweighs the language that the application asked for', async (t) => {
  const cookies = await Promise.all([choose({ locale: 'zh-CN' }), choose({ theme: 'light' })]);
  const cookie = cookies.map((response) => response.headers.getSetCookie()[0]?.split(';')[0]).join('; ');
  const read = async (headers: Record<string, string>) => (await fetch(origin, { headers })).json();
  t.deepEqual(await read({ cookie, 'X-Ui-Locales': 'en' }), { locale: 'zh-CN', theme: 'light' });
  t.deepEqual(await read({ cookie: 'gatehouse_theme=pink; gatehouse_locale=x' }), {
    locale: 'en',
    theme: 'system',
  });
});
