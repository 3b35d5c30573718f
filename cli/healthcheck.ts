/** Asks the server on this machine whether it is alive; made for the health check of a container. */
import { request } from 'node:http';
import { request as secureRequest } from 'node:https';
import type { Config } from '../server/config.ts';
import { Unreachable } from './admin.ts';

const TIMEOUT_MS = 4000;

/** @throws {Unreachable} when it is not */
export async function checkHealth({ listen }: Config): Promise<void> {
  const at = `${hostOf(listen.host)}:${listen.port}`;
  const status = await getStatus(`${listen.tls ? 'https' : 'http'}://${at}/healthz`).catch((error: Error) => {
    throw new Unreachable(`No server answers on ${at}: ${error.message}.`, { cause: error });
  });
  if (status !== 200) throw new Unreachable(`The server on ${at} answered ${status}.`);
}

/** An address that stands for all of them is asked through loopback. */
function hostOf(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

function getStatus(url: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const send = url.startsWith('https:') ? secureRequest : request;
    const call = send(url, {
      agent: false,
      // The certificate is for the issuer's name, and nothing is told or believed here.
      ...(send === secureRequest ? { rejectUnauthorized: false } : {}),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    call.once('error', reject);
    call.once('response', (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    call.end();
  });
}
