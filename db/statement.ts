/** Named statements: compiled once here, prepared once by each connection. */
import type { Knex } from 'knex';

type Binding = Knex.RawBinding | Buffer | Date | readonly string[] | null | undefined;

/**
 * Makes a function that runs one SQL text as a named prepared statement.
 *
 * The query builder costs more than the query on the token path, so hot queries are written as SQL.
 * `?` marks a binding. `db` may be a transaction.
 */
export function statement<Row>(name: string, sql: string) {
  return async (db: Knex, bindings: readonly Binding[]): Promise<Row[]> => {
    const query = db.raw<{ rows: Row[] }>(sql, bindings as readonly Knex.RawBinding[]);
    const { prepared } = (db as Knex & { userParams: { prepared?: boolean } }).userParams;
    const { rows } = await (prepared === false ? query : query.options({ name }));
    return rows;
  };
}
