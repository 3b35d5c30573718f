/** Probes: alive, and ready to serve. */
import type Router from '@koa/router';
import type { Knex } from 'knex';

/** The engine expires tokens by the node's clock, the store by the database's; further apart than this, neither can be trusted. */
const MAX_CLOCK_DIFFERENCE_MS = 5000;

export function health(router: Router, db: Knex): void {
  router.get('/healthz', (ctx) => {
    ctx.set('Cache-Control', 'no-store');
    ctx.body = { status: 'ok' };
  });

  router.get('/readyz', async (ctx) => {
    ctx.set('Cache-Control', 'no-store');
    const problem = await findProblem(db);
    if (problem) ctx.set('Retry-After', '2');
    ctx.status = problem ? 503 : 200;
    ctx.body = problem ? { status: 'unavailable', problem } : { status: 'ok' };
  });
}

async function findProblem(db: Knex): Promise<string | undefined> {
  try {
    const { rows } = await db.raw<{ rows: [{ now: number }] }>(
      'select extract(epoch from clock_timestamp()) * 1000 as now',
    );
    const difference = Math.abs(Number(rows[0].now) - Date.now());
    return difference > MAX_CLOCK_DIFFERENCE_MS ? 'clock' : undefined;
  } catch {
    return 'database';
  }
}
