/**
 * Makes a value when it is first needed, and keeps it. A failure is not kept: Gatehouse may still be starting, and the next visitor
 * tries again.
 */
export function lazy<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make().catch((error: unknown) => {
      made = undefined;
      throw error;
    });
    return made;
  };
}
