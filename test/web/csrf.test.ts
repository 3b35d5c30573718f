import { createHmac, randomBytes } from 'node:crypto';
import test from 'ava';
import type { Context } from 'koa';
import { createCsrf } from '../../server/web/csrf.ts';

const key = randomBytes(32);
const csrf = createCsrf(key);
const binding = 'interaction:abc';

const request = (headers: Record<string, string> = {}, origin = 'https://id.example'): Context =>
  ({ state: { origin }, get: (name: string) => headers[name.toLowerCase()] ?? '' }) as unknown as Context;

const mismatch = { code: 'csrf_mismatch', message: /./ };
const crossSite = { code: 'cross_site_request', message: /./ };

test('a missing, cut, changed or foreign token is refused', (t) => {
  const token = csrf.token(binding);
  for (const given of [
    '',
    'x',
    token.slice(1),
    `${token}AA`,
    token.replace(/^./, (c) => (c === 'A' ? 'B' : 'A')),
  ])
    t.like(
      t.throws(() => csrf.check(request(), binding, given)),
      { code: 'csrf_mismatch', status: 403 },
    );
  t.throws(() => csrf.check(request(), binding, createCsrf(randomBytes(32)).token(binding)), mismatch);
});

test('the token of another interaction or session is refused', (t) => {
  t.throws(() => csrf.check(request(), binding, csrf.token('interaction:abd')), mismatch);
  t.throws(() => csrf.check(request(), binding, csrf.token('session:abc')), mismatch);
});

test('a request that the browser calls cross-site or same-site is refused, with the right token', (t) => {
  for (const site of ['cross-site', 'same-site', 'Same-Origin', 'x'])
    t.throws(() => csrf.check(request({ 'sec-fetch-site': site }), binding, csrf.token(binding)), crossSite);
});

test('another Origin is refused, with the right token', (t) => {
  for (const origin of [
    'https://evil.example',
    'http://id.example',
    'https://id.example:8443',
    'https://id.example.evil.example',
  ])
    for (const headers of [{ origin }, { origin, 'sec-fetch-site': 'same-origin' }])
      t.throws(() => csrf.check(request(headers), binding, csrf.token(binding)), crossSite);
});

test('an Origin of null is refused when the browser does not vouch for it', (t) => {
  t.throws(() => csrf.check(request({ origin: 'null' }), binding, csrf.token(binding)), crossSite);
  t.throws(
    () =>
      csrf.check(request({ origin: 'null', 'sec-fetch-site': 'cross-site' }), binding, csrf.token(binding)),
    crossSite,
  );
});

test('the form of our own page passes, whose Origin is null because it sends no referrer', (t) => {
  const token = csrf.token(binding);
  t.notThrows(() => csrf.check(request({ origin: 'null', 'sec-fetch-site': 'same-origin' }), binding, token));
  // A plain http name: browsers send no Sec-Fetch-Site there.
  t.notThrows(() => csrf.check(request({ origin: 'null' }, 'http://id.lan:3000'), binding, token));
});

test('a request from our own page, and one of a client that sends neither header, pass', (t) => {
  const token = csrf.token(binding);
  for (const headers of [
    {},
    { origin: 'https://id.example' },
    { 'sec-fetch-site': 'none' },
    { origin: 'https://id.example', 'sec-fetch-site': 'same-origin' },
  ])
    t.notThrows(() => csrf.check(request(headers), binding, token));
});

test('the token is a keyed digest of the binding', (t) => {
  t.is(csrf.token(binding), createHmac('sha256', key).update('csrf\0interaction:abc').digest('base64url'));
});
