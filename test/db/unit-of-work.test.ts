import test from 'ava';
import type { Knex } from 'knex';
import {
  connectionOf,
  currentUnit,
  runInUnit,
  UnitOfWork,
  writeConnectionOf,
} from '../../db/unit-of-work.ts';
import { openTestDatabase } from '../_database.ts';

const database = await openTestDatabase();
const { knex: db } = database;

test.before(() => db.raw('create table marks (id integer primary key)'));
test.after.always(() => database[Symbol.asyncDispose]());

const mark = async (id: number) => (await writeConnectionOf(db))('marks').insert({ id });
const marks = async (...ids: number[]): Promise<number[]> =>
  (await db('marks').whereIn('id', ids).orderBy('id').pluck('id')) as number[];

/** How often a pool was asked to begin. */
function counting(pool: Knex): { pool: Knex; begun: () => number } {
  let begun = 0;
  const counted = new Proxy(pool, {
    get(target, property) {
      if (property === 'transaction') {
        return (...args: []) => {
          begun += 1;
          return target.transaction(...args);
        };
      }
      return Reflect.get(target, property) as unknown;
    },
  });
  return { pool: counted, begun: () => begun };
}

test.serial('what was written is gone after a rollback', async (t) => {
  const unit = new UnitOfWork(db, true);
  await runInUnit(unit, async () => {
    await mark(1);
    t.is((await connectionOf(db)('marks').where({ id: 1 })).length, 1, 'the unit reads its own writes');
    await unit.settle('rollback');
  });
  t.deepEqual(await marks(1), []);
});

test.serial('a write after the end is refused: it belongs to no outcome', async (t) => {
  for (const outcome of ['commit', 'rollback'] as const) {
    const unit = new UnitOfWork(db, true);
    await runInUnit(unit, async () => {
      await mark(outcome === 'commit' ? 10 : 11);
      await unit.settle(outcome);
      await t.throwsAsync(() => mark(12), { message: /over/ });
      // And the refusal leaves the reads alone.
      t.is(connectionOf(db), db);
      t.deepEqual(await marks(12), []);
    });
  }
  const unused = new UnitOfWork(db, true);
  await unused.settle('commit');
  // Nobody would end a transaction that opened now.
  await t.throwsAsync(() => unused.write(), { message: /over/ });
  t.deepEqual(await marks(10, 11, 12), [10]);
});

test.serial('what was written is there after a commit, and not before, for others', async (t) => {
  const unit = new UnitOfWork(db, true);
  await runInUnit(unit, async () => {
    await mark(2);
    await unit.settle('commit');
  });
  t.deepEqual(await marks(2), [2]);
});

test.serial('a transaction opens at the first write, and first writes at once open one', async (t) => {
  const { pool, begun } = counting(db);
  const unit = new UnitOfWork(pool, true);
  await runInUnit(unit, async () => {
    await connectionOf(pool)('marks').select();
    t.is(begun(), 0);
    t.is(unit.connection, pool);
    const connections = await Promise.all(Array.from({ length: 10 }, () => writeConnectionOf(pool)));
    t.is(begun(), 1);
    t.is(new Set(connections).size, 1);
    t.is(connectionOf(pool), connections[0]!);
    for (const id of [20, 21, 22]) await mark(id);
    await unit.settle('rollback');
  });
  t.deepEqual(await marks(20, 21, 22), []);
  const idle = new UnitOfWork(pool, true);
  await runInUnit(idle, async () => idle.settle('commit'));
  t.is(begun(), 1, 'a unit that writes nothing opens nothing');
});

test.serial('after it is settled the connection is the pool, and a second end does nothing', async (t) => {
  for (const outcome of ['commit', 'rollback'] as const) {
    const unit = new UnitOfWork(db, true);
    await runInUnit(unit, async () => {
      await writeConnectionOf(db);
      t.not(unit.connection, db);
      await unit.settle(outcome);
      t.is(unit.connection, db);
      t.is(connectionOf(db), db);
      await t.notThrowsAsync(() => unit.settle('rollback'));
      await t.notThrowsAsync(() => connectionOf(db)('marks').select());
    });
  }
});

test.serial('an end that comes while the transaction is still opening leaves none open', async (t) => {
  const unit = new UnitOfWork(db, true);
  const writing = unit.write();
  await unit.settle('rollback');
  await writing.catch(() => undefined);
  t.is(unit.connection, db);
  // On one connection, an open transaction would make this wait until it gives up.
  t.deepEqual(await marks(), []);
});

test.serial('a failed statement takes all of its unit with it', async (t) => {
  const unit = new UnitOfWork(db, true);
  await runInUnit(unit, async () => {
    await mark(30);
    await t.throwsAsync(() => mark(30));
    await t.throwsAsync(() => mark(31), undefined, 'the transaction is aborted');
    await unit.settle('rollback');
  });
  t.deepEqual(await marks(30, 31), []);
});

test.serial('a unit that is not transactional writes at once', async (t) => {
  const unit = new UnitOfWork(db, false);
  await runInUnit(unit, async () => {
    await mark(40);
    t.is(unit.connection, db);
    await unit.settle('rollback');
  });
  t.deepEqual(await marks(40), [40]);
});

test.serial('two units at once are two transactions, and outside there is none', async (t) => {
  t.is(currentUnit(), undefined);
  t.is(connectionOf(db), db);
  t.is(await writeConnectionOf(db), db);
  const run = (id: number, outcome: 'commit' | 'rollback') => {
    const unit = new UnitOfWork(db, true);
    return runInUnit(unit, async () => {
      t.is(currentUnit(), unit);
      await mark(id);
      t.is(currentUnit(), unit);
      await unit.settle(outcome);
    });
  };
  await Promise.all([run(50, 'commit'), run(51, 'rollback'), run(52, 'commit')]);
  t.deepEqual(await marks(50, 51, 52), [50, 52]);
});

test.serial('the first failure of the store is kept', (t) => {
  const unit = new UnitOfWork(db, true);
  t.is(unit.failure, undefined);
  unit.fail(new Error('first'));
  unit.fail(new Error('second'));
  t.like(unit.failure, { message: 'first' });
});
