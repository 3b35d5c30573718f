/** The admin socket: who may use it, what it refuses, what it never says. */
import { spawnSync } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import test from 'ava';
import { adminSocketPath, listenAdminSocket } from '../../server/api/admin-socket.ts';
import { createLogger } from '../../server/logger.ts';
import { makeFolder, startTestServer, type TestServer } from '../cli/_cli.ts';

let server: TestServer;
test.before(async () => {
  server = await startTestServer();
});
test.after.always(() => server[Symbol.asyncDispose]());

interface Answer {
  status: number | undefined;
  type: string | undefined;
  body: Record<string, unknown>;
}

function call(
  path: string,
  { method = 'POST', body = '{}', type = 'application/json', dataDir = server.dataDir } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { socketPath: adminSocketPath(dataDir), path, method, agent: false, headers: { 'Content-Type': type } },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () =>
          resolve({
            status: response.statusCode,
            type: response.headers['content-type'],
            body: JSON.parse(text) as Record<string, unknown>,
          }),
        );
      },
    );
    sent.once('error', reject).end(method === 'GET' ? undefined : body);
  });
}

const silent = createLogger('silent');

for (const [title, path, options, status, code] of [
  ['an unknown command', '/commands/apps.paint', {}, 404, 'not_found'],
  ['another address', '/healthz', {}, 404, 'not_found'],
  ['another method', '/commands/apps.list', { method: 'GET' }, 405, 'method_not_allowed'],
  [
    'a form',
    '/commands/apps.list',
    { type: 'application/x-www-form-urlencoded' },
    415,
    'unsupported_media_type',
  ],
  ['a body that is not JSON', '/commands/apps.list', { body: '{' }, 400, 'malformed_body'],
  ['an empty body', '/commands/apps.list', { body: '' }, 400, 'malformed_body'],
  [
    'a NUL character',
    '/commands/users.add',
    { body: '{"name":"a\\u0000b","identifier":"nul"}' },
    400,
    'malformed_body',
  ],
  [
    'a body over 64 KiB',
    '/commands/apps.list',
    { body: `{"a":"${'x'.repeat(65_536)}"}` },
    413,
    'body_too_large',
  ],
  ['a body that is no object', '/commands/apps.list', { body: '[]' }, 422, 'invalid_input'],
] as const) {
  test(`${title} is refused with ${status} ${code}`, async (t) => {
    const answer = await call(path, options);
    t.is(answer.status, status);
    t.is(answer.type, 'application/problem+json');
    t.like(answer.body, { code, status });
    t.is(typeof answer.body['title'], 'string');
  });
}

test('every member that is wrong is named', async (t) => {
  const body = JSON.stringify({ kind: 'toaster', colour: 'red', redirectUris: [1] });
  const answer = await call('/commands/apps.add', { body });
  t.is(answer.status, 422);
  const fields = answer.body['fields'] as { field: string; code: string }[];
  t.deepEqual(fields.map(({ field, code }) => `${field} ${code}`).sort(), [
    'colour unknown',
    'kind invalid',
    'name required',
    'redirectUris.0 invalid',
  ]);
});

test('a defect is answered without its message, which is in the log', async (t) => {
  await using folder = await makeFolder();
  const log: string[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      log.push(String(chunk));
      done();
    },
  });
  const db = (() => {
    throw new Error('a detail of the inside');
  }) as never;
  await using _socket = await listenAdminSocket({
    services: { ...server.app.services, db },
    dataDir: folder.path,
    logger: createLogger('info', destination),
  });
  const answer = await call('/commands/admin.link', { dataDir: folder.path });
  t.like(answer.body, { code: 'server_error', status: 500 });
  t.false(JSON.stringify(answer.body).includes('inside'));
  t.regex(log.join(''), /a detail of the inside/);
});

test('a path that the system would cut is refused with its limit', async (t) => {
  await using folder = await makeFolder();
  const dataDir = join(folder.path, 'x'.repeat(100));
  const error = await t.throwsAsync(
    listenAdminSocket({ services: server.app.services, dataDir, logger: silent }),
  );
  t.is(error?.name, 'ListenError');
  t.regex(String(error?.message), /has \d+ bytes; this system allows 10[37]/);
});

test('a folder that cannot be made is said so', async (t) => {
  const error = await t.throwsAsync(
    listenAdminSocket({ services: server.app.services, dataDir: '/dev/null/data', logger: silent }),
  );
  t.is(error?.name, 'ListenError');
  t.regex(String(error?.message), /Set DATA_DIR/);
});

test('the socket of a living server is not taken', async (t) => {
  const { services } = server.app;
  const error = await t.throwsAsync(listenAdminSocket({ services, dataDir: server.dataDir, logger: silent }));
  t.is(error?.name, 'ListenError');
  t.regex(String(error?.message), /Another server listens on/);
  t.is((await call('/commands/apps.list')).status, 200);
});

test('the file that a killed server left behind is replaced', async (t) => {
  await using folder = await makeFolder();
  const path = adminSocketPath(folder.path);
  const script = `require('node:net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', script, path]);
  t.true((await stat(path)).isSocket());
  await using _socket = await listenAdminSocket({
    services: server.app.services,
    dataDir: folder.path,
    logger: silent,
  });
  t.is((await call('/commands/apps.list', { dataDir: folder.path })).status, 200);
});

test.serial('only the owner may open the socket, whatever the umask, which is left as it was', async (t) => {
  await using folder = await makeFolder();
  const before = process.umask(0);
  try {
    const socket = await listenAdminSocket({
      services: server.app.services,
      dataDir: folder.path,
      logger: silent,
    });
    t.is((await stat(adminSocketPath(folder.path))).mode & 0o777, 0o600);
    t.is(process.umask(), 0);
    await socket[Symbol.asyncDispose]();
    await t.throwsAsync(stat(adminSocketPath(folder.path)), { code: 'ENOENT' });
  } finally {
    process.umask(before);
  }
});

test('bodies and answers are not logged', async (t) => {
  const password = 'never in the log';
  const body = JSON.stringify({ name: 'Carol', identifier: 'carol', password });
  t.is((await call('/commands/users.add', { body })).status, 200);
  t.is((await call('/commands/users.add', { body })).status, 409);
  const added = await call('/commands/apps.add', { body: JSON.stringify({ kind: 'machine', name: 'M' }) });
  const log = [...server.log, ...server.app.log].join('');
  t.regex(log, /"refusal":"identifier_taken"/);
  t.false(log.includes(password));
  t.false(log.includes(String(added.body['secret'])));
});
