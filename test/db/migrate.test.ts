import test from 'ava';
import type { Knex } from 'knex';
import { type Migration, migrate, migrations } from '../../db/migrate.ts';
import { onServer } from '../_database.ts';
import { openEmptyDatabase } from './_empty.ts';

const good: Migration = { name: '9001-good', sql: 'create table kept (id integer primary key)' };
const bad: Migration = {
  name: '9002-bad',
  sql: `create table half (id integer primary key);
        insert into half values (1);
        insert into half values (1);`,
};

async function tables(db: Knex): Promise<string[]> {
  const { rows } = await db.raw<{ rows: { tablename: string }[] }>(
    `select tablename from pg_tables where schemaname = 'public' order by 1`,
  );
  return rows.map(({ tablename }) => tablename);
}

test.serial('a migration that fails leaves nothing, and those before it stay', async (t) => {
  await using database = await openEmptyDatabase();
  const { knex: db } = database;
  await t.throwsAsync(() => migrate(db, [good, bad, { ...good, name: '9003-never' }]), {
    message: /duplicate key/,
  });
  t.deepEqual(await tables(db), ['kept', 'migrations']);
  t.deepEqual(await db('migrations').pluck('name'), [good.name]);
  // Once it is mended, the next start goes on from there.
  const mended = { ...bad, sql: 'create table half (id integer primary key)' };
  t.deepEqual(await migrate(db, [good, mended]), [mended.name]);
  t.deepEqual(await tables(db), ['half', 'kept', 'migrations']);
});

test.serial('a statement that cannot run inside a transaction is refused, not applied by half', async (t) => {
  await using database = await openEmptyDatabase();
  const { knex: db } = database;
  const outside = {
    name: '9004-outside',
    sql: 'create table a (id integer); create index concurrently on a (id);',
  };
  await t.throwsAsync(() => migrate(db, [outside]));
  t.deepEqual(await tables(db), ['migrations']);
});

test.serial(
  'every migration is applied once, in order, and nothing is left for a second start',
  async (t) => {
    await using database = await openEmptyDatabase();
    const { knex: db } = database;
    const names = migrations.map(({ name }) => name);
    t.deepEqual(names, names.toSorted());
    t.is(new Set(names).size, names.length);
    t.deepEqual(await migrate(db), names);
    t.deepEqual(await migrate(db), []);
  },
);

test.serial('two starts at once on an empty database apply every migration once', async (t) => {
  // Each round is a new chance for the two to meet in the same statement.
  for (let round = 0; round < (onServer ? 5 : 1); round += 1) {
    await using database = await openEmptyDatabase();
    const { knex: db } = database;
    const applied = await Promise.all(Array.from({ length: onServer ? 4 : 2 }, () => migrate(db)));
    t.deepEqual(
      applied.flat().sort(),
      migrations.map(({ name }) => name),
    );
    t.deepEqual(
      await db('migrations').orderBy('name').pluck('name'),
      migrations.map(({ name }) => name),
    );
  }
});

test.serial('of two starts with one new migration, one applies it and the other finds it done', async (t) => {
  await using database = await openEmptyDatabase();
  const { knex: db } = database;
  await migrate(db, []);
  const applied = await Promise.all([1, 2, 3].map(() => migrate(db, [good])));
  t.deepEqual(applied.flat(), [good.name]);
});
