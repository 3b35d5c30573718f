/**
 * The unit of work of one protocol request, carried by AsyncLocalStorage.
 *
 * A transaction opens at the first conditional write and not before, so that reads and plain inserts cost no extra round trips.
 * It commits unless the answer is a 5xx: an OAuth error is an outcome whose effects count (a reused refresh token ends its family).
 * Inside it there is no second connection (the embedded database has one), no outbound call and no password hash.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Knex } from 'knex';

const storage = new AsyncLocalStorage<UnitOfWork>();

export class UnitOfWork {
  readonly #pool: Knex;
  readonly #transactional: boolean;
  #opening: Promise<Knex.Transaction> | undefined;
  #transaction: Knex.Transaction | undefined;
  #settled = false;
  #failure: unknown;
  /** Facts that parts of one request leave for each other; keys are owned by the part that sets them. */
  readonly notes = new Map<symbol, unknown>();
  /** Version of the cached configuration, once a statement of this request has read it. */
  configVersion: string | undefined;

  constructor(pool: Knex, transactional: boolean) {
    this.#pool = pool;
    this.#transactional = transactional;
  }

  /** The connection to read through: the transaction once there is one. */
  get connection(): Knex {
    return this.#transaction ?? this.#pool;
  }

  /**
   * The connection for a conditional write; opens the transaction.
   *
   * @throws {Error} when the unit was settled
   */
  async write(): Promise<Knex> {
    if (!this.#transactional) return this.#pool;
    this.#refuseWhenSettled();
    this.#opening ??= this.#pool.transaction();
    const transaction = await this.#opening;
    this.#refuseWhenSettled();
    this.#transaction = transaction;
    return transaction;
  }

  /** Its outcome is known, and a transaction that opened now would never be ended. */
  #refuseWhenSettled(): void {
    if (this.#settled) throw new Error('the unit of work is over');
  }

  /** What the store failed with; once set, the request is answered 503 and rolled back. */
  get failure(): unknown {
    return this.#failure;
  }

  fail(error: unknown): void {
    this.#failure ??= error;
  }

  /** Ends the transaction, if one was opened. */
  async settle(outcome: 'commit' | 'rollback'): Promise<void> {
    this.#settled = true;
    // A begin that is still under way must not be left open behind the answer.
    const transaction = await this.#opening?.catch(() => undefined);
    this.#transaction = undefined;
    if (!transaction || transaction.isCompleted()) return;
    await (outcome === 'commit' ? transaction.commit() : transaction.rollback());
  }
}

/** Runs `work` with `unit` as the current unit of work. */
export function runInUnit<T>(unit: UnitOfWork, work: () => Promise<T>): Promise<T> {
  return storage.run(unit, work);
}

/** The unit of work of the current request, or undefined outside one. */
export function currentUnit(): UnitOfWork | undefined {
  return storage.getStore();
}

/** The connection to use now: the current request's, or the pool. */
export function connectionOf(pool: Knex): Knex {
  return storage.getStore()?.connection ?? pool;
}

/** The connection for a conditional write now. */
export async function writeConnectionOf(pool: Knex): Promise<Knex> {
  return storage.getStore()?.write() ?? pool;
}
