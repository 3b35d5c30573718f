/** The socket: limits against slow clients, and an end that finishes what is in flight. */
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Config } from './config.ts';

/** The port cannot be used; `message` says what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

export interface Listening extends AsyncDisposable {
  port: number;
}

/** Longest time that requests in flight get to finish after a stop was asked for. */
const DRAIN_MS = 20_000;

/** @throws {ListenError} when the port is taken or not allowed */
export async function listen(
  answer: (...args: Parameters<RequestListener>) => void | Promise<void>,
  { host, port, tls }: Config['listen'],
): Promise<Listening> {
  const listener: RequestListener = (request, response) => void answer(request, response);
  const server: Server = tls
    ? createTlsServer(
        { cert: readFileSync(tls.certFile), key: readFileSync(tls.keyFile), minVersion: 'TLSv1.2' },
        listener,
      )
    : createServer(listener);
  server.headersTimeout = 10_000;
  server.requestTimeout = 30_000;
  server.keepAliveTimeout = 65_000;
  server.maxRequestsPerSocket = 0;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(explain(error, host, port)));
    server.listen(port, host, () => {
      // Errors while accepting (no descriptors left, for instance) pass; without a listener they would end the process.
      server.on('error', () => undefined);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => drain(server),
  };
}

function explain(error: NodeJS.ErrnoException, host: string, port: number): ListenError {
  if (error.code === 'EADDRINUSE') {
    return new ListenError(
      `Port ${port} is in use. Stop what uses it, or choose another address that people will use: ISSUER=http://localhost:${port + 1}`,
      { cause: error },
    );
  }
  if (error.code === 'EACCES') {
    return new ListenError(
      `Port ${port} needs more rights. Set PORT to one above 1023 and put a proxy in front.`,
      {
        cause: error,
      },
    );
  }
  return new ListenError(`Cannot listen on ${host}:${port}: ${error.message}. Correct HOST or PORT.`, {
    cause: error,
  });
}

function drain(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const force = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
    server.close(() => {
      clearTimeout(force);
      resolve();
    });
    server.closeIdleConnections();
  });
}
