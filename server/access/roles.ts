/** Roles: names that are given to people and machines, and that hold restricted scopes. */
import type { Knex } from 'knex';
import type { FieldProblem } from '../errors.ts';

/** A problem for each name that is no role, saying which there are. */
export async function findUnknownRoles(db: Knex, names: readonly string[]): Promise<FieldProblem[]> {
  if (names.length === 0) return [];
  const known = await db('roles').orderBy('created_at').orderBy('name').pluck('name');
  return names
    .filter((name) => !known.includes(name))
    .map((name) => ({
      field: 'roles',
      code: 'unknown',
      message: `there is no role ${name}; there are ${known.join(', ')}`,
    }));
}
