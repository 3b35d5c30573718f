/**
 * Forward-only migrations from a static list.
 *
 * Each migration and its entry in the list of applied ones are one transaction that holds a table lock, so a process that is
 * killed half-way leaves nothing, and a second process that migrates at the same moment waits and then finds it done.
 */
import type { Knex } from 'knex';
import { migration as people } from './migrations/0001-people.ts';
import { migration as applications } from './migrations/0002-applications.ts';
import { migration as sessionsAndGrants } from './migrations/0003-sessions-and-grants.ts';
import { migration as engineModels } from './migrations/0004-engine-models.ts';
import { migration as operation } from './migrations/0005-operation.ts';

export interface Migration {
  /** Unique for ever; its number gives the order. */
  name: string;
  sql: string;
}

export const migrations: readonly Migration[] = [
  people,
  applications,
  sessionsAndGrants,
  engineModels,
  operation,
];

/** Applies what is missing and returns the names that this call applied. */
export async function migrate(db: Knex, list: readonly Migration[] = migrations): Promise<string[]> {
  // PostgreSQL gives an error to one of two sessions that create a table at the same moment, "if not exists" or not. It gives it
  // once the other has committed, so the second attempt finds the table.
  await createList(db).catch(() => createList(db));
  const done = new Set(await db('migrations').pluck('name'));
  const applied: string[] = [];
  for (const migration of list) {
    if (!done.has(migration.name) && (await apply(db, migration))) applied.push(migration.name);
  }
  return applied;
}

async function createList(db: Knex): Promise<void> {
  await db.raw(
    'create table if not exists migrations (name text primary key, applied_at timestamptz not null default now())',
  );
}

function apply(db: Knex, { name, sql }: Migration): Promise<boolean> {
  return db.transaction(async (trx) => {
    await trx.raw('lock table migrations in exclusive mode');
    if (await trx('migrations').where({ name }).first()) return false;
    await trx.raw(sql);
    await trx('migrations').insert({ name });
    return true;
  });
}
