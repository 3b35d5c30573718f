/** Tells a store that failed from a statement that was wrong: the first is answered 503 and may be tried again. */

/** SQLSTATE classes: connection, resources, operator intervention, transaction rollback, system error; 25006 is a read-only standby. */
const transientStates = /^(08|53|57|40|58|55P03|25006)/;
const transientMessages =
  /Timeout acquiring a connection|Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|aborted|closed the connection|pool is draining|is not queryable|PGlite is (closed|closing)/i;
const transientSystemErrors = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EHOSTUNREACH',
]);

/** Whether `error`, or what caused it, says that the store did not do its work. */
export function isStoreFailure(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as { code?: unknown };
  if (typeof code === 'string' && (transientStates.test(code) || transientSystemErrors.has(code)))
    return true;
  return transientMessages.test(error.message) || isStoreFailure(error.cause);
}
