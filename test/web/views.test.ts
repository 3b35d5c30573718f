import test from 'ava';
import { everyState, mapTexts, readTags, readTexts, testPage, views } from './_views.ts';

const injection = `x<x-evil onpwn=1>"onpwn="1" '><script>onpwn()</script><!-- \ue000 {client} &lt;`;
const address = 'javascript:onpwn()';
/** Props that are addresses: another text in them changes what the page offers. */
const addressProps = new Set([
  'action',
  'cancel',
  'docs',
  'homepage',
  'href',
  'logoUrl',
  'privacy',
  'signIn',
  'signOut',
  'startAgain',
  'switchAccount',
  'terms',
]);
const addressKeys = ['href', 'src', 'srcset', 'action', 'formaction'];

test('every view has states', (t) => {
  t.true(views.length >= 9);
  for (const { file, states } of views) t.true(Object.keys(states).length > 0, file);
});

for (const { name, view, props } of everyState) {
  test(`${name}: is a whole document with one heading and one main landmark`, (t) => {
    for (const locale of ['en', 'zh-CN'] as const) {
      const markup = String(view.render(testPage(locale), props));
      t.regex(markup, new RegExp(`^<!doctype html>\\n<html lang="${locale}">`));
      t.is(markup.match(/<h1>/g)?.length, 1);
      t.is(markup.match(/<main /g)?.length, 1);
      t.notRegex(markup, /undefined|\[object|NaN|about:invalid|\sstyle=|<style|\son\w+=/);
      const ids = readTags(markup).flatMap(({ attributes }) => attributes.get('id') ?? []);
      t.deepEqual(ids, [...new Set(ids)], 'an id stands twice');
    }
  });

  test(`${name}: hostile texts stay inert`, (t) => {
    const hostile = mapTexts(props, () => injection);
    const branding = {
      productName: injection,
      logoUrl: injection,
      logoDarkUrl: injection,
      brandColour: injection,
      legal: { terms: injection, privacy: injection, imprint: injection },
    };
    const tags = readTags(
      String(view.render(testPage('en', { branding, here: `/${injection}`, requestId: injection }), hostile)),
    );
    t.deepEqual(
      tags.filter(({ name, attributes }) => name === 'x-evil' || attributes.has('onpwn')),
      [],
    );
    for (const { name, attributes } of tags)
      if (name === 'script') t.regex(attributes.get('src') ?? '', /^\/assets\//);
  });

  test(`${name}: hostile addresses lead nowhere`, (t) => {
    const branding = {
      productName: 'x',
      logoUrl: address,
      logoDarkUrl: address,
      legal: { terms: address, privacy: address },
    };
    const tags = readTags(
      String(
        view.render(
          testPage('en', { branding }),
          mapTexts(props, () => address),
        ),
      ),
    );
    for (const { attributes } of tags)
      for (const key of addressKeys) t.regex(attributes.get(key) ?? '/', /^(\/|https?:|#|about:invalid$)/);
  });

  test(`${name}: says nothing in English to a Chinese reader`, (t) => {
    const chosen = mapTexts(props, (text, key) => (addressProps.has(key) ? text : '某'));
    const texts = readTexts(String(view.render(testPage('zh-CN'), chosen)));
    const words =
      texts
        .join('\n')
        .replaceAll('name@example.com', '')
        .match(/[A-Za-z]+/g) ?? [];
    t.deepEqual(
      words.filter((word) => !['English', 'Gatehouse', 'Cookie'].includes(word)),
      [],
    );
  });

  test(`${name}: every form posts a token`, (t) => {
    const markup = String(view.render(testPage('en'), props));
    const forms = [...markup.matchAll(/<form [^]*?<\/form>/g)].map(([form]) => form);
    t.deepEqual(
      forms.filter(
        (form) =>
          !/^<form method="post" [^]*<input type="hidden" name="(csrf|xsrf)" value="[^"]+">/.test(form),
      ),
      [],
    );
  });
}
