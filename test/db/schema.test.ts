import { readFile } from 'node:fs/promises';
import test from 'ava';
import { dumpSchema, schemaPath } from '../../db/dump-schema.ts';
import { openTestDatabase } from '../_database.ts';

test('db/schema.sql is what the migrations add up to, on this database', async (t) => {
  await using database = await openTestDatabase();
  const written = await readFile(schemaPath, 'utf8');
  t.is(
    await dumpSchema(database.knex),
    written,
    'db/schema.sql is stale: run "node --disable-warning=ExperimentalWarning db/dump-schema.ts" and look at the difference',
  );
});

test('a change of a table, a column, a default, a constraint or an index shows', async (t) => {
  await using database = await openTestDatabase();
  const { knex: db } = database;
  let before = await dumpSchema(db);
  for (const change of [
    'create table added (id integer)',
    'alter table added add column name text',
    'alter table added alter column name set not null',
    `alter table added alter column name set default 'x'`,
    'alter table added alter column id type bigint',
    'alter table added add primary key (id)',
    'alter table added add constraint short check (length(name) < 9)',
    'create index added_name on added (name)',
    'drop index added_name; create index added_name on added (name) where id > 5',
    'drop index grants_live; create index grants_live on grants (session_uid_hash, client_id) where ended_at is null',
  ]) {
    await db.raw(change);
    const after = await dumpSchema(db);
    t.not(after, before, change);
    before = after;
  }
});
