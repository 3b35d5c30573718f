import { randomBytes } from 'node:crypto';
import { createServer, type AddressInfo } from 'node:net';
import test from 'ava';
import { listenMetrics } from '../server/metrics.ts';
import { startTestApp } from './_app.ts';
import { basic, post } from './_walk.ts';

test('metrics are not served beside the pages', async (t) => {
  await using app = await startTestApp();
  t.is((await fetch(`${app.url}/metrics`)).status, 404);
});

test('requests are counted by route and never by path, tokens by grant', async (t) => {
  await using app = await startTestApp();
  const api = 'https://api.test/';
  await app.createApi({ identifier: api, title: 'API', scopes: [] });
  const machine = await app.createClient({ kind: 'machine', name: 'M', defaultResource: api });
  const form = { grant_type: 'client_credentials' };
  t.is((await post(app, '/token', form, basic(machine.id, machine.secret))).status, 200);
  t.is((await post(app, '/token', { ...form, ignored: 'x' }, basic(machine.id, machine.secret))).status, 200);
  t.is((await post(app, '/token', form, basic(machine.id, 'wrong'))).status, 401);
  const canary = randomBytes(8).toString('hex');
  await fetch(`${app.url}/${canary}?${canary}`);
  await fetch(`${app.url}/interaction/${canary}`);
  const text = await app.app.metrics.render();
  t.regex(text, /gatehouse_token_responses_total\{grant_type="client_credentials"\} 2/);
  t.regex(text, /gatehouse_http_request_seconds_count\{route="\/token",method="POST",status="4xx"\} 1/);
  t.regex(text, /route="\/interaction\/:uid"/);
  t.regex(text, /gatehouse_database_connections\{state="free"\}/);
  t.regex(text, /nodejs_eventloop_lag/);
  t.false(text.includes(canary));
  t.false(app.log.join('').includes(canary));
});

test('the metrics port answers /metrics, and says what to do when it is taken', async (t) => {
  await using app = await startTestApp();
  const other = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  const { port } = other.address() as AddressInfo;
  await t.throwsAsync(listenMetrics(app.app.metrics, '127.0.0.1', port), { message: /METRICS_PORT/ });
  await new Promise((resolve) => other.close(resolve));
  await using _ = await listenMetrics(app.app.metrics, '127.0.0.1', port);
  t.is((await fetch(`http://127.0.0.1:${port}/metrics`)).status, 200);
  t.is((await fetch(`http://127.0.0.1:${port}/`)).status, 404);
});

test('a log line carries the trace of the request', async (t) => {
  await using app = await startTestApp();
  const trace = randomBytes(16).toString('hex');
  await fetch(`${app.url}/healthz`, { headers: { traceparent: `00-${trace}-${'1'.repeat(16)}-01` } });
  t.true(app.log.some((line) => line.includes(trace)));
});
