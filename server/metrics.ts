/**
 * Numbers for whoever runs the service, as Prometheus text on a port of their own.
 *
 * Owns: what is counted. Refuses: labels that a client chooses (a flood of them would be a flood of series) and anything about a person.
 */
import { createServer } from 'node:http';
import type { Knex } from 'knex';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { ListenError } from './listen.ts';

export interface Metrics {
  /** One answered request; `route` is the pattern of its path, never the path. */
  request(route: string, method: string, status: number, seconds: number): void;
  /** One successful token request. */
  tokenIssued(grantType: string): void;
  job(name: string, result: 'done' | 'failed' | 'not_mine'): void;
  /** Rows that the expiry job removed. */
  expired(table: string, count: number): void;
  /** The exposition format. */
  render(): Promise<string>;
}

/** The part of the pool that tells how full it is. */
interface Pool {
  client: { pool: { numUsed(): number; numFree(): number; numPendingAcquires(): number } };
}

export function createMetrics(db: Knex): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const requests = new Histogram({
    name: 'gatehouse_http_request_seconds',
    help: 'Answered requests by route, method and class of status.',
    labelNames: ['route', 'method', 'status'],
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10],
    registers,
  });
  const tokens = new Counter({
    name: 'gatehouse_token_responses_total',
    help: 'Successful token requests by grant type.',
    labelNames: ['grant_type'],
    registers,
  });
  const jobs = new Counter({
    name: 'gatehouse_job_runs_total',
    help: 'Turns of background jobs on this node.',
    labelNames: ['job', 'result'],
    registers,
  });
  const expiredRows = new Counter({
    name: 'gatehouse_expired_rows_total',
    help: 'Rows removed by the expiry job on this node.',
    labelNames: ['table'],
    registers,
  });
  new Gauge({
    name: 'gatehouse_database_connections',
    help: 'Connections of the pool, and requests that wait for one.',
    labelNames: ['state'],
    registers,
    collect() {
      const { pool } = (db as unknown as Pool).client;
      this.set({ state: 'used' }, pool.numUsed());
      this.set({ state: 'free' }, pool.numFree());
      this.set({ state: 'waiting' }, pool.numPendingAcquires());
    },
  });
  return {
    request: (route, method, status, seconds) =>
      requests.observe({ route, method, status: `${Math.floor(status / 100)}xx` }, seconds),
    tokenIssued: (grantType) => tokens.inc({ grant_type: grantType }),
    job: (job, result) => jobs.inc({ job, result }),
    expired: (table, count) => expiredRows.inc({ table }, count),
    render: () => registry.metrics(),
  };
}

/**
 * Serves the metrics under /metrics on their own port: they are for the operator's network, not for the internet.
 *
 * @throws {ListenError} when the port is taken
 */
export async function listenMetrics(metrics: Metrics, host: string, port: number): Promise<AsyncDisposable> {
  const server = createServer((request, response) => {
    if (request.url !== '/metrics') return void response.writeHead(404).end();
    metrics.render().then(
      (text) => response.writeHead(200, { 'Content-Type': 'text/plain; version=0.0.4' }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new ListenError(`METRICS_PORT=${port} cannot be used: ${error.message}. Choose another one.`, {
          cause: error,
        }),
      ),
    );
    server.listen(port, host, resolve);
  });
  return {
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
