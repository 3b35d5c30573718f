/**
 * A small closed-loop load generator over plain sockets: N connections, each sending its next request when the answer is there.
 *
 * Node's own HTTP clients cost more per request than the servers under test, so the request text is made once.
 */
import { connect, type Socket } from 'node:net';

export interface Sample {
  requestsPerSecond: number;
  p50Ms: number;
  p99Ms: number;
  /** Answers with another status than expected; a run with any is worth nothing. */
  failures: number;
  /** Bodies of the first few answers. */
  bodies: string[];
}

export interface Load {
  port: number;
  connections: number;
  /** Text of the next request, or undefined when there are no more. */
  next(): string | undefined;
  seconds: number;
  status: number;
}

/** HTTP/1.1 text of a form POST. */
export function post(
  path: string,
  port: number,
  form: Record<string, string>,
  headers: Record<string, string> = {},
): string {
  const body = new URLSearchParams(form).toString();
  const lines = Object.entries({
    Host: `localhost:${port}`,
    'Content-Type': 'application/x-www-form-urlencoded',
    'Content-Length': String(Buffer.byteLength(body)),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}`);
  return `POST ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${body}`;
}

/** HTTP/1.1 text of a GET. */
export function get(path: string, port: number, headers: Record<string, string> = {}): string {
  const lines = Object.entries({ Host: `localhost:${port}`, ...headers }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  return `GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`;
}

export async function run(load: Load): Promise<Sample> {
  const times: number[] = [];
  const bodies: string[] = [];
  let failures = 0;
  const start = performance.now();
  const end = start + load.seconds * 1000;
  await Promise.all(Array.from({ length: load.connections }, worker));
  const elapsed = (performance.now() - start) / 1000;
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.min(Math.floor(times.length * share), times.length - 1)] ?? 0;
  return { requestsPerSecond: times.length / elapsed, p50Ms: at(0.5), p99Ms: at(0.99), failures, bodies };

  async function worker(): Promise<void> {
    const socket = await open(load.port);
    const exchange = createExchange(socket);
    while (performance.now() < end) {
      const request = load.next();
      if (request === undefined) break;
      const sent = performance.now();
      const { status, body } = await exchange(request);
      times.push(performance.now() - sent);
      if (status !== load.status) failures += 1;
      if (bodies.length < 50 || status !== load.status) bodies.push(body);
    }
    socket.destroy();
  }
}

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => resolve(socket));
    socket.once('error', reject);
  });
}

/** Sends one request and reads one answer that has a Content-Length (or none and no body). */
export function createExchange(socket: Socket) {
  let buffered = Buffer.alloc(0);
  let waiting: { resolve(answer: Answer): void; reject(error: Error): void } | undefined;
  socket.on('data', (chunk) => {
    buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk]);
    const answer = parse(buffered);
    if (!answer) return;
    buffered = buffered.subarray(answer.length);
    waiting?.resolve(answer);
  });
  socket.on('close', () => waiting?.reject(new Error('the server closed the connection')));
  return (request: string): Promise<Answer> =>
    new Promise((resolve, reject) => {
      waiting = { resolve, reject };
      socket.write(request);
    });
}

interface Answer {
  status: number;
  headers: string;
  body: string;
  length: number;
}

function parse(buffer: Buffer): Answer | undefined {
  const head = buffer.indexOf('\r\n\r\n');
  if (head < 0) return undefined;
  const headers = buffer.toString('latin1', 0, head);
  const contentLength = Number(/^content-length: (\d+)/im.exec(headers)?.[1] ?? 0);
  const length = head + 4 + contentLength;
  if (buffer.length < length) return undefined;
  return {
    status: Number(headers.slice(9, 12)),
    headers,
    body: buffer.toString('utf8', head + 4, length),
    length,
  };
}
