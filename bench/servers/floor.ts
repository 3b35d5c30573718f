/**
 * The floor: what the same HTTP, one prepared insert and one ES256 signature cost on this machine, with nothing around them.
 */
import { createServer } from 'node:http';
import { createHash, randomBytes } from 'node:crypto';
import { generateKeyPair, SignJWT } from 'jose';
import pg from 'pg';

const [portText, databaseUrl] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: databaseUrl, max: 10 });
await pool.query(
  'create table if not exists bench_floor (id_hash bytea primary key, payload bytea not null, expires_at timestamptz)',
);
const { privateKey } = await generateKeyPair('ES256');

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on(
    'end',
    () => void answer(request.url ?? '', new URLSearchParams(Buffer.concat(chunks).toString())),
  );

  async function answer(path: string, _form: URLSearchParams): Promise<void> {
    const token = path === '/jwt' ? await sign() : await store();
    const body = JSON.stringify({ access_token: token, token_type: 'Bearer', expires_in: 3600 });
    response
      .writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) })
      .end(body);
  }
});

async function store(): Promise<string> {
  const token = randomBytes(32).toString('base64url');
  await pool.query({
    name: 'floor',
    text: `insert into bench_floor values ($1, $2, now() + interval '1 hour')`,
    values: [createHash('sha256').update(token).digest(), randomBytes(200)],
  });
  return token;
}

function sign(): Promise<string> {
  return new SignJWT({ client_id: 'machine', scope: 'bench:read' })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' })
    .setIssuedAt()
    .setExpirationTime('1h')
    .setJti(randomBytes(16).toString('base64url'))
    .sign(privateKey);
}

server.listen(Number(portText), '127.0.0.1', () => process.send?.({ ready: true }));
