import test from 'ava';
import { startTestApp } from '../_app.ts';

test("a method that an engine's route does not answer is 405, in the language of the route", async (t) => {
  await using app = await startTestApp();
  for (const [method, path] of [
    ['GET', '/token'],
    ['PUT', '/token'],
    ['DELETE', '/token/introspection'],
    ['POST', '/jwks'],
  ]) {
    const response = await fetch(app.url + path, { method: String(method) });
    t.is(response.status, 405, `${method} ${path}`);
    t.is(((await response.json()) as { error: string }).error, 'invalid_request');
  }
  const page = await fetch(`${app.url}/session/end/confirm`);
  t.is(page.status, 405);
  t.true((await page.text()).includes('id="error-code"'));
});

test('an unknown address is 404, as a page or as problem+json', async (t) => {
  await using app = await startTestApp();
  const html = await fetch(`${app.url}/nowhere`, { headers: { accept: 'text/html' } });
  t.is(html.status, 404);
  t.true((await html.text()).includes('<h1'));
  const json = await fetch(`${app.url}/nowhere`, { headers: { accept: 'application/json' } });
  t.is(json.headers.get('content-type'), 'application/problem+json');
  t.is(((await json.json()) as { code: string }).code, 'not_found');
});
