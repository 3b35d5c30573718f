/** Named statements: compiled once here, prepared once by each connection. */
import type { Knex } from 'knex';

type Binding = Knex.RawBinding | Buffer | Date | readonly string[] | null | undefined;

/** What a pool or a transaction hands out; the driver's own client. */
interface DriverConnection {
  query(query: { text: string; values: readonly unknown[]; name?: string }): Promise<{ rows: unknown[] }>;
}

/** The part of the query builder under which connections are taken and given back. */
interface ConnectionSource {
  client: {
    acquireConnection(): Promise<DriverConnection>;
    releaseConnection(connection: DriverConnection): Promise<void>;
  };
  userParams: { prepared?: boolean };
  /** Transactions only. */
  isCompleted?(): boolean;
}

/**
 * Makes a function that runs one SQL text as a named prepared statement. `?` marks a binding. `db` may be a transaction.
 *
 * It takes a connection from the builder's pool and talks to the driver itself: the builder costs as much as the query
 * (69 against 37 microseconds when measured), which counts on the token path.
 */
export function statement<Row>(name: string, sql: string) {
  let position = 0;
  const text = sql.replaceAll('?', () => `$${++position}`);
  return async (db: Knex, bindings: readonly Binding[]): Promise<Row[]> => {
    const { client, userParams, isCompleted } = db as unknown as ConnectionSource;
    // The driver would not notice: the connection may serve somebody else by now.
    if (isCompleted?.call(db)) throw new Error(`${name}: the transaction is over`);
    const connection = await client.acquireConnection();
    try {
      const query =
        userParams.prepared === false ? { text, values: bindings } : { text, values: bindings, name };
      return (await connection.query(query)).rows as Row[];
    } finally {
      await client.releaseConnection(connection);
    }
  };
}
