import test from 'ava';
import Koa from 'koa';
import { type PageKind, pageHeaders } from '../../server/web/csp.ts';
import { html } from '../../server/web/html.ts';
import { layout, sendPage } from '../../server/web/page.ts';
import { nameOf, rich } from '../../server/web/parts.ts';
import { serve } from './_serve.ts';
import { readTags, testPage } from './_views.ts';

const body = html`<h1>Hi</h1>`;
const links = (markup: string) => readTags(markup).flatMap(({ attributes }) => attributes.get('href') ?? []);

test('a page is sent with its status and the headers of its kind', async (t) => {
  const app = new Koa();
  app.use((ctx) => {
    const page = layout(testPage('en'), { title: 'Hi', kind: 'auth', body });
    sendPage(ctx, page, { status: 422, kind: ctx.path.slice(1) as PageKind });
  });
  const origin = await serve(app);
  for (const kind of ['interaction', 'portal'] as const) {
    const response = await fetch(`${origin}/${kind}`);
    t.is(response.status, 422);
    t.is(response.headers.get('content-type'), 'text/html; charset=utf-8');
    for (const [name, value] of Object.entries(pageHeaders(kind))) t.is(response.headers.get(name), value);
  }
});

test('pages of a journey may redirect anywhere after a form and keep their opener; portal pages may not', (t) => {
  const interaction = pageHeaders('interaction');
  const portal = pageHeaders('portal');
  t.is(
    interaction['Content-Security-Policy'],
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'",
  );
  t.is(portal['Content-Security-Policy'], `${interaction['Content-Security-Policy']}; form-action 'self'`);
  t.is(interaction['Cross-Origin-Opener-Policy'], 'unsafe-none');
  t.is(portal['Cross-Origin-Opener-Policy'], 'same-origin');
  for (const headers of [interaction, portal])
    t.like(headers, {
      'X-Frame-Options': 'DENY',
      'Referrer-Policy': 'no-referrer',
      'X-Content-Type-Options': 'nosniff',
      'Cache-Control': 'no-store',
    });
});

test('the title of a page that failed says so first, in its language', (t) => {
  const title = (locale: 'en' | 'zh-CN', failed: boolean) =>
    /<title>(.*)<\/title>/.exec(
      String(layout(testPage(locale), { title: 'Hi', kind: 'auth', failed, body })),
    )?.[1];
  t.is(title('en', false), 'Hi · Gatehouse');
  t.is(title('en', true), 'Error: Hi · Gatehouse');
  t.is(title('zh-CN', true), '错误：Hi · Gatehouse');
});

test('the appearance is rendered by the server, so that nothing flashes', (t) => {
  const markup = (theme: 'system' | 'dark') =>
    String(layout(testPage('en', { theme }), { title: 'Hi', kind: 'auth', body }));
  t.regex(markup('dark'), /<html lang="en" data-theme="dark">/);
  t.regex(markup('dark'), /<meta name="color-scheme" content="dark">/);
  t.regex(markup('system'), /<html lang="en">/);
  t.regex(markup('system'), /<meta name="color-scheme" content="light dark">/);
});

test('the language and appearance links return to this page', (t) => {
  const here = '/interaction/1?a=b&c=d';
  const found = links(String(layout(testPage('en', { here }), { title: 'Hi', kind: 'auth', body })))
    .filter((href) => href.startsWith('/preferences'))
    .map((href) => Object.fromEntries(new URL(href, 'http://x').searchParams));
  t.deepEqual(found, [
    { locale: 'zh-CN', return_to: here },
    { theme: 'system', return_to: here },
    { theme: 'light', return_to: here },
    { theme: 'dark', return_to: here },
  ]);
});

test('legal links are there when they are set', (t) => {
  const legal = { terms: '/terms', privacy: 'https://example.test/privacy' };
  const with_ = links(
    String(
      layout(testPage('en', { branding: { productName: 'x', legal } }), { title: 'Hi', kind: 'shell', body }),
    ),
  );
  t.true(with_.includes('/terms') && with_.includes('https://example.test/privacy'));
  const without = String(
    layout(testPage('en', { branding: { productName: 'x', legal: {} } }), {
      title: 'Hi',
      kind: 'shell',
      body,
    }),
  );
  t.notRegex(without, /Legal/);
});

test('a message takes markup in its holes, and a value cannot stand in for a hole', (t) => {
  t.is(
    String(rich(testPage('en').t, 'signIn.continueTo', { client: nameOf('<b>') })),
    'Sign in to continue to <bdi class="name">&lt;b&gt;</bdi>',
  );
  t.is(
    String(rich(testPage('en').t, 'signIn.throttled', {}, { wait: '\ue001<' })),
    'Too many attempts. Try again in \ue001&lt;.',
  );
});
