import test from 'ava';
import { type Html, html, isLocalPath, url } from '../../server/web/html.ts';

const hostile = `"><svg onload='x'>&`;

test('a child is escaped as text and in both kinds of attribute', (t) => {
  const escaped = '&quot;&gt;&lt;svg onload=&#39;x&#39;&gt;&amp;';
  t.is(
    String(html`<p title="${hostile}" lang='${hostile}'>${hostile}</p>`),
    `<p title="${escaped}" lang='${escaped}'>${escaped}</p>`,
  );
});

test('only what the tag made passes unescaped', (t) => {
  const inner = html`<b>${'<i>'}</b>`;
  t.is(String(html`<p>${inner}</p>`), '<p><b>&lt;i&gt;</b></p>');
  const lookalike = { toString: () => '<b>' } as unknown as string;
  t.throws(() => String(html`<p>${lookalike}</p>`));
});

test('numbers, lists and absent children render as expected', (t) => {
  t.is(String(html`${1}${[2, html`<i>`, ['<']]}${null}${undefined}${false}${0}`), '12<i>&lt;0');
});

test('a date, an object, a promise or true as a child does not compile', (t) => {
  // @ts-expect-error a Date has no text that a page wants
  const date = () => html`${new Date()}`;
  // @ts-expect-error an object is not a text
  const object = () => html`${{ name: 'x' }}`;
  // @ts-expect-error somebody forgot to await
  const promise = () => html`${Promise.resolve('x')}`;
  // @ts-expect-error `true` would be printed
  const yes = () => html`${true}`;
  // @ts-expect-error Html is made by the tag only
  const forged: Html = { toString: () => '<b>' };
  t.truthy([date, object, promise, yes, forged]);
});

test('an attribute without quotes is refused, since escaping does not protect it', (t) => {
  t.throws(() => html`<p title=${'x onclick=y'}>`, { message: /without quotes/ });
});

test('a text between the attributes of a tag is refused', (t) => {
  t.throws(() => html`<p ${'onclick=x'}>`, { message: /inside a tag/ });
  t.is(String(html`<p ${html`hidden`}>`), '<p hidden>');
  t.is(String(html`<p${false}${undefined}>`), '<p>');
});

test('an address in a link, a form or an image is checked without being asked', (t) => {
  const evil = 'javascript:alert(1)';
  t.is(String(html`<a href="${evil}">`), '<a href="about:invalid">');
  t.is(
    String(html`<form action="${evil}"><button formaction='${evil}'></button></form>`),
    `<form action="about:invalid"><button formaction='about:invalid'></button></form>`,
  );
  t.is(String(html`<img src="${'//evil.example/x'}">`), '<img src="about:invalid">');
  t.is(String(html`<a href="${'/a?b=1&c=2'}">`), '<a href="/a?b=1&amp;c=2">');
  t.is(String(html`<a href="/preferences?to=${'x:y'}">`), '<a href="/preferences?to=x:y">');
});

for (const address of [
  'https://shop.example/a?b#c',
  'http://localhost:3001/',
  'mailto:help@example.test',
  '/account',
  '/',
])
  test(`${address} may stand in a link`, (t) => {
    t.is(url(address), address);
  });

for (const address of [
  'javascript:alert(1)',
  'JaVaScRiPt:alert(1)',
  ' javascript:alert(1)',
  'java\nscript:alert(1)',
  'data:text/html,<script>',
  'vbscript:x',
  'blob:https://x.example/1',
  'file:///etc/passwd',
  'ftp://x.example/',
  'com.example.app:/callback',
  '//evil.example',
  '///evil.example',
  '/\\evil.example',
  '\\\\evil.example',
  '/\t/evil.example',
  'https:evil.example',
  'https:///evil.example',
  'https://',
  'https://exa mple.test/',
  'https://x.example\\@evil.example',
  'evil.example',
  '',
])
  test(`${JSON.stringify(address)} may not stand in a link`, (t) => {
    t.is(url(address), undefined);
  });

for (const path of ['/', '/account', '/interaction/x?a=%2F%2Fevil#y', '/a//b', '/设置'])
  test(`${path} is a path of this site`, (t) => {
    t.true(isLocalPath(path));
  });

for (const path of [
  '//evil.example',
  '/\\evil.example',
  '\\/evil.example',
  '/\t/evil.example',
  '/\n/evil.example',
  '\t//evil.example',
  '/a\r\nSet-Cookie: x',
  '/a\0',
  '/a b',
  '/a\\b',
  'https://evil.example/',
  'javascript:alert(1)',
  'account',
  '?a=b',
  '',
])
  test(`${JSON.stringify(path)} is not a path of this site`, (t) => {
    t.false(isLocalPath(path));
  });
