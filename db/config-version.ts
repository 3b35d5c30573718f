/** The one number that every change of cached configuration raises. */
import type { Knex } from 'knex';
import { statement } from './statement.ts';

const read = statement<{ version: string }>('config_version_read', 'select version from config_version');

export async function findConfigVersion(db: Knex): Promise<string> {
  return (await read(db, []))[0]?.version ?? '0';
}
