import { once } from 'node:events';
import { connect } from 'node:net';
import test from 'ava';
import Koa from 'koa';
import { AppError } from '../../server/errors.ts';
import { readForm } from '../../server/web/body.ts';
import { serve } from './_serve.ts';

const type = 'application/x-www-form-urlencoded';
let origin: string;

test.before(async () => {
  const app = new Koa();
  app.silent = true;
  app.use(async (ctx) => {
    try {
      const form = await readForm(ctx, { limitBytes: 1000 });
      ctx.body = {
        a: form.has('a') ? form.getAll('a') : null,
        b: form.get('b'),
        proto: form.getAll('__proto__'),
        polluted: ({} as Record<string, unknown>).x ?? null,
      };
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      ctx.status = error.status;
      ctx.body = { code: error.code, message: error.message };
    }
  });
  origin = await serve(app);
});

async function post(body: RequestInit['body'], headers: Record<string, string> = { 'Content-Type': type }) {
  const streamed = body instanceof ReadableStream ? { duplex: 'half' as const } : {};
  const response = await fetch(origin, { method: 'POST', body: body ?? null, headers, ...streamed });
  return { status: response.status, ...((await response.json()) as Record<string, unknown>) };
}

test('another media type is refused', async (t) => {
  t.like(await post('{}', { 'Content-Type': 'application/json' }), {
    status: 415,
    code: 'unsupported_media_type',
  });
  t.like(await post('a=1', { 'Content-Type': 'text/plain' }), { status: 415 });
  t.like(await post(new Uint8Array([97]), {}), { status: 415 });
});

test('another charset and a compressed body are refused', async (t) => {
  t.like(await post('a=1', { 'Content-Type': `${type}; charset=utf-16` }), { status: 415 });
  t.like(await post('a=1', { 'Content-Type': type, 'Content-Encoding': 'gzip' }), { status: 415 });
});

test('a body that announces to be too large is refused', async (t) => {
  t.like(await post(`a=${'x'.repeat(999)}`), { status: 413, code: 'body_too_large' });
});

test('a body that turns out to be too large is refused, without its length being announced', async (t) => {
  const chunks = Array.from({ length: 40 }, () => new TextEncoder().encode('x'.repeat(500)));
  const stream = new ReadableStream({
    pull(controller) {
      const chunk = chunks.pop();
      if (chunk) controller.enqueue(chunk);
      else controller.close();
    },
  });
  t.like(await post(stream), { status: 413, code: 'body_too_large' });
});

test('a body of exactly the limit is read', async (t) => {
  t.like(await post(`b=${'x'.repeat(998)}`), { status: 200, b: 'x'.repeat(998) });
});

for (const [what, body] of Object.entries({
  'an encoded NUL': 'a=1%00',
  'a raw NUL': 'a=1\0',
  'a NUL in a name': 'a%00=1',
  'a broken percent-encoding': 'a=%zz',
  'a percent-encoding cut off': 'a=%e',
  'a percent-encoding that is not UTF-8': 'a=%ff%fe',
  'an encoded surrogate': 'a=%ed%a0%80',
  'an overlong encoding': 'a=%c0%af',
}))
  test(`${what} is refused`, async (t) => {
    t.like(await post(body), { status: 400, code: 'malformed_body' });
  });

test('raw bytes that are not UTF-8 are refused', async (t) => {
  t.like(await post(new Uint8Array([0x61, 0x3d, 0xff])), { status: 400, code: 'malformed_body' });
});

test('more than 200 fields are refused', async (t) => {
  t.like(await post('x&'.repeat(201)), { status: 400, code: 'malformed_body' });
  t.like(await post('x&'.repeat(200)), { status: 200 });
});

test('a field sent twice is refused where one value is expected, and listed where several are', async (t) => {
  t.like(await post('b=1&b=2'), { status: 400, code: 'malformed_body' });
  t.like(await post('a=1&a=2&b=3'), { status: 200, a: ['1', '2'], b: '3' });
});

test('an absent field is empty, and an empty field is not absent', async (t) => {
  t.like(await post(''), { status: 200, a: null, b: '' });
  t.like(await post('a='), { a: [''] });
  t.like(await post('a'), { a: [''] });
});

test('plus signs, percent-encodings and raw UTF-8 are decoded', async (t) => {
  t.like(await post('b=1+2%2B3%3D%26'), { b: '1 2+3=&' });
  t.like(await post('b=%E6%9D%8E&a=李'), { b: '李', a: ['李'] });
  t.like(await post('b=x=y'), { b: 'x=y' });
});

test('__proto__ is a name like any other', async (t) => {
  t.like(await post('__proto__=x&constructor=y'), { status: 200, proto: ['x'], polluted: null });
});

test('a request that breaks off in the middle does not hang and does not end the process', async (t) => {
  const socket = connect(Number(new URL(origin).port), '127.0.0.1');
  await once(socket, 'connect');
  socket.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\nContent-Length: 100\r\n\r\na=1`);
  await new Promise((resolve) => setTimeout(resolve, 50));
  socket.destroy();
  await once(socket, 'close');
  t.like(await post('b=1'), { status: 200, b: '1' });
});
