/** The loopback address at which a native app waits for its answer (RFC 8252 section 7.3). */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Surprise } from './report.ts';

export interface Callback extends AsyncDisposable {
  /** http://127.0.0.1:PORT */
  origin: string;
  /**
   * The query of the first request to a path.
   *
   * @throws {Surprise} when none comes in time, or the person interrupts
   */
  arrival(path: '/callback' | '/signed-out'): Promise<URLSearchParams>;
}

const PAGE =
  '<!doctype html><html lang="en"><meta charset="utf-8"><title>Done</title><p>Done. Close this window and go back to the terminal.</p>';

export async function listenCallback(waitSeconds: number): Promise<Callback> {
  const arrivals = {
    '/callback': Promise.withResolvers<URLSearchParams>(),
    '/signed-out': Promise.withResolvers<URLSearchParams>(),
  };
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://127.0.0.1');
    const known = request.method === 'GET' && Object.hasOwn(arrivals, pathname);
    response.writeHead(known ? 200 : 404, {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Security-Policy': "default-src 'none'",
      'Referrer-Policy': 'no-referrer',
      Connection: 'close',
    });
    response.end(known ? PAGE : '');
    if (known) arrivals[pathname as keyof typeof arrivals].resolve(searchParams);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const interrupted = Promise.withResolvers<never>();
  interrupted.promise.catch(() => undefined);
  const interrupt = () => interrupted.reject(new Surprise('the try', 'that it ends', 'an interruption'));
  process.once('SIGINT', interrupt);
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async arrival(path) {
      const late = Promise.withResolvers<never>();
      const timer = setTimeout(
        () => late.reject(new Surprise(`a request to ${path}`, `one within ${waitSeconds} seconds`, 'none')),
        waitSeconds * 1000,
      );
      try {
        return await Promise.race([arrivals[path].promise, late.promise, interrupted.promise]);
      } finally {
        clearTimeout(timer);
      }
    },
    async [Symbol.asyncDispose]() {
      process.off('SIGINT', interrupt);
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
