/**
 * The administrative commands over a unix socket in the data folder: whoever may open the file operates the server.
 *
 * `POST /commands/:name` with a JSON object answers JSON, or problem+json. Bodies are never logged: they may hold a password, and
 * answers may hold a secret.
 */
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { isStoreFailure } from '../../db/store-failure.ts';
import {
  AppError,
  bodyTooLarge,
  malformedBody,
  methodNotAllowed,
  notFound,
  storeUnavailable,
  unsupportedMediaType,
} from '../errors.ts';
import { ListenError } from '../listen.ts';
import { runCommand } from './commands.ts';
import type { CommandServices } from './commands/command.ts';

export interface AdminSocketDeps {
  services: CommandServices;
  dataDir: string;
  logger: Logger;
}

const LIMIT_BYTES = 65_536;
/** How long commands in flight get to finish after a stop was asked for. */
const DRAIN_MS = 5000;
/** `sun_path` less its final NUL. A longer path would be cut without a word, and the socket be somewhere else. */
const LONGEST_PATH = process.platform === 'linux' ? 107 : 103;

/** Where the socket of a data folder is. */
export function adminSocketPath(dataDir: string): string {
  return join(dataDir, 'admin.sock');
}

/**
 * Listens for commands until disposed.
 *
 * @throws {ListenError} when the path is too long, another process listens there, or the folder cannot be written
 */
export async function listenAdminSocket({
  services,
  dataDir,
  logger,
}: AdminSocketDeps): Promise<AsyncDisposable> {
  const path = adminSocketPath(dataDir);
  const bytes = Buffer.byteLength(path);
  if (bytes > LONGEST_PATH) {
    throw new ListenError(
      `The path of the admin socket, ${path}, has ${bytes} bytes; this system allows ${LONGEST_PATH}. Set DATA_DIR to a shorter path.`,
    );
  }
  const server = createServer((request, response) => void answer(services, logger, request, response));
  server.headersTimeout = 5000;
  server.requestTimeout = 10_000;
  makeFolder(dataDir);
  await bind(server, path).catch((error) => takeOver(server, path, error as NodeJS.ErrnoException));
  server.on('error', (error) => logger.error({ err: error }, 'admin socket failed'));
  return { [Symbol.asyncDispose]: () => close(server) };
}

function makeFolder(dataDir: string): void {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new ListenError(
      `The folder ${dataDir}, where the admin socket goes, cannot be made: ${(error as Error).message}. Set DATA_DIR to one that can.`,
      { cause: error },
    );
  }
}

/** The file appears when the path is bound, which happens inside `listen`, so the umask holds for nothing else. */
function bind(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const before = process.umask(0o177);
    try {
      server.listen(path, () => {
        server.off('error', reject);
        chmodSync(path, 0o600);
        resolve();
      });
    } finally {
      process.umask(before);
    }
  });
}

/** A process that was killed leaves its file behind; one that lives answers on it. */
async function takeOver(server: Server, path: string, error: NodeJS.ErrnoException): Promise<void> {
  if (error.code !== 'EADDRINUSE') {
    throw new ListenError(
      `Cannot listen on ${path}: ${error.message}. Make the folder writable, or set DATA_DIR.`,
      {
        cause: error,
      },
    );
  }
  if (await isAnswered(path)) {
    throw new ListenError(
      `Another server listens on ${path}. Stop it, or set DATA_DIR to a folder of this server's own.`,
      { cause: error },
    );
  }
  rmSync(path, { force: true });
  await bind(server, path);
}

/** Only a refusal says that nobody is there: a busy server or one of another user must not lose its socket. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', ({ code }: NodeJS.ErrnoException) =>
      resolve(code !== 'ECONNREFUSED' && code !== 'ENOENT'),
    );
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const force = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
    server.close(() => {
      clearTimeout(force);
      resolve();
    });
    server.closeIdleConnections();
  });
}

async function answer(
  services: CommandServices,
  logger: Logger,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const name = /^\/commands\/([a-z.-]{1,60})$/.exec(request.url ?? '')?.[1];
  try {
    if (name === undefined) throw notFound('address');
    if (request.method !== 'POST') throw methodNotAllowed();
    const result = await runCommand(services, name, await readJson(request));
    logger.info({ command: name }, 'admin command done');
    send(response, 200, 'application/json', result);
  } catch (thrown) {
    const error = toAppError(thrown);
    const { code, status, message, fields, cause } = error;
    if (status >= 500) logger.error({ err: cause ?? error, command: name }, code);
    // Not under "code", which the log takes for an authorization code.
    else logger.info({ command: name, refusal: code }, 'admin command refused');
    send(response, status, 'application/problem+json', {
      code,
      title: message,
      status,
      ...(fields.length > 0 ? { fields } : {}),
    });
  }
}

function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  if (isStoreFailure(thrown)) return storeUnavailable(thrown);
  return new AppError(
    'server_error',
    500,
    'Something went wrong on our side; the log of the server says what.',
    {
      cause: thrown,
    },
  );
}

function send(response: ServerResponse, status: number, type: string, body: unknown): void {
  response.writeHead(status, { 'Content-Type': type, 'Cache-Control': 'no-store' }).end(JSON.stringify(body));
}

/** Events instead of `for await`: leaving such a loop early destroys the socket, and the 413 would never arrive. */
async function readJson(request: IncomingMessage): Promise<unknown> {
  if (request.headers['content-type']?.split(';')[0]?.trim() !== 'application/json') {
    request.resume();
    throw unsupportedMediaType('application/json');
  }
  const bytes = await new Promise<Buffer>((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= LIMIT_BYTES) chunks.push(chunk);
      else reject(bodyTooLarge());
    });
    request.once('end', () => resolve(Buffer.concat(chunks)));
    request.once('close', () => reject(malformedBody('it broke off')));
    request.once('error', () => reject(malformedBody('it broke off')));
  });
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw malformedBody('it is not JSON in UTF-8');
  }
}
