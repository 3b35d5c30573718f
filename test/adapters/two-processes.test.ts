/** Two nodes on one database; the embedded one refuses a second process, so these need a server. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import test from 'ava';
import { newSecret } from '../../server/keys/identifiers.ts';
import { onServer, openTestDatabase, type TestDatabase } from '../_database.ts';
import { nowSeconds, openStores, race, randomText, type TestStores } from './_stores.ts';
import type { Report, Task } from './_worker.ts';

const ROUNDS = Number(process.env['ROUNDS'] ?? 10);
const ATTEMPTS = 4;

if (onServer) {
  let database: TestDatabase;
  let at: TestStores;
  let workers: ChildProcess[] = [];

  test.before(async () => {
    database = await openTestDatabase();
    at = await openStores(database.knex);
    workers = [1, 2].map(() =>
      fork(join(import.meta.dirname, '_worker.ts'), [database.url!], {
        execArgv: ['--disable-warning=ExperimentalWarning'],
      }),
    );
    await Promise.all(workers.map((worker) => once(worker, 'message')));
  });
  test.after.always(async () => {
    await Promise.all(
      workers.map(async (worker) => {
        if (worker.exitCode !== null) return;
        const gone = once(worker, 'exit');
        worker.disconnect();
        await gone;
      }),
    );
    await database?.[Symbol.asyncDispose]();
  });

  const runOnBoth = async (task: Task): Promise<Report> => {
    const reports = await Promise.all(
      workers.map(async (worker) => {
        const answer = once(worker, 'message') as Promise<[Report]>;
        worker.send(task);
        return (await answer)[0];
      }),
    );
    return {
      won: reports.flatMap(({ won }) => won),
      refused: reports.reduce((sum, { refused }) => sum + refused, 0),
      failures: reports.flatMap(({ failures }) => failures),
    };
  };

  const storeToken = async (model: 'AuthorizationCode' | 'RefreshToken'): Promise<Task> => {
    const id = newSecret(model === 'RefreshToken' ? 'refreshToken' : 'authorizationCode');
    const grantId = `grn_${randomText()}`;
    const payload = {
      kind: model,
      jti: id,
      exp: nowSeconds() + 60,
      accountId: 'sub-1',
      clientId: 'app_1',
      grantId,
    };
    await at.factory(model).upsert(id, payload, 60);
    return { kind: 'consume', id, grantId, attempts: ATTEMPTS };
  };

  const oneWinner: [string, () => Promise<Task>][] = [
    ['a code is spent', () => storeToken('AuthorizationCode')],
    [
      'a one-time id is accepted',
      async () => ({ kind: 'unique', id: randomText(), grantId: '', attempts: ATTEMPTS }),
    ],
    [
      'a refresh token is rotated without a grace',
      async () => ({ ...(await storeToken('RefreshToken')), kind: 'rotate-strict' }),
    ],
  ];
  for (const [what, prepare] of oneWinner) {
    test.serial(`${what} by one attempt of two processes, in each of ${ROUNDS} rounds`, async (t) => {
      for (let round = 0; round < ROUNDS; round += 1) {
        const { won, refused, failures } = await runOnBoth(await prepare());
        t.deepEqual(failures, []);
        t.is(won.length, 1);
        t.is(refused, 2 * ATTEMPTS - 1);
      }
    });
  }

  test.serial(
    `a refresh token gets one successor from two processes within the grace, in each of ${ROUNDS} rounds`,
    async (t) => {
      for (let round = 0; round < ROUNDS; round += 1) {
        const task: Task = { ...(await storeToken('RefreshToken')), kind: 'rotate' };
        const { won, refused, failures } = await runOnBoth(task);
        t.deepEqual(failures, []);
        t.is(refused, 0);
        t.is(won.length, 2 * ATTEMPTS);
        t.is(new Set(won).size, 1);
        const { rows } = await database.knex.raw<{ rows: unknown[] }>(
          'select 1 from refresh_tokens where grant_id = ?',
          [task.grantId],
        );
        t.is(rows.length, 2);
      }
    },
  );
} else {
  // A file needs a test on either database; on this one, two nodes can only share a process.
  test('of two sets of stores in one process, one spends a code', async (t) => {
    await using database = await openTestDatabase();
    const [one, two] = [await openStores(database.knex), await openStores(database.knex)];
    const id = newSecret('authorizationCode');
    await one.factory('AuthorizationCode').upsert(id, { jti: id, exp: nowSeconds() + 60 }, 60);
    const { won, lost } = await race(8, async (index) =>
      (index % 2 ? one : two).factory('AuthorizationCode').consume(id),
    );
    t.is(won.length, 1);
    t.is(lost.length, 7);
  });
}
