/**
 * Proofs of who somebody is.
 *
 * Owns: hashing and comparing. Refuses: deciding whether one may try (server/guard) and whom a name belongs to (server/accounts).
 *
 * This file: argon2id in a bounded queue. A hash takes tens of milliseconds and megabytes, so an unbounded queue would let
 * anybody starve the token endpoint.
 */
import argon2 from 'argon2';
import { busy } from '../errors.ts';

export interface PasswordHasher {
  /** @throws {AppError} busy (503) when the queue is full */
  hash(password: string): Promise<string>;
  /**
   * Compares; without a hash it works as long on a decoy and answers false, so that an unknown name takes as long as a known one.
   *
   * @throws {AppError} busy (503) when the queue is full
   */
  verify(hash: string | null | undefined, password: string): Promise<boolean>;
}

export interface HasherOptions {
  memoryMib: number;
  passes: number;
  /** Hashes at the same time. */
  concurrency?: number;
  /** Hashes that may wait. */
  queue?: number;
}

export async function createPasswordHasher({
  memoryMib,
  passes,
  concurrency = 2,
  queue = 64,
}: HasherOptions): Promise<PasswordHasher> {
  const options = { type: 2 as const, memoryCost: memoryMib * 1024, timeCost: passes, parallelism: 1 };
  const limit = boundedQueue(concurrency, queue);
  const decoy = await argon2.hash('a password that nobody has', options);
  return {
    hash: (password) => limit(() => argon2.hash(normalise(password), options)),
    verify: (hash, password) =>
      limit(async () => {
        const matches = await argon2.verify(hash ?? decoy, normalise(password));
        return matches && typeof hash === 'string';
      }),
  };
}

/** One form for every way of typing the same text (SP 800-63B-4 section 3.1.1.2). */
function normalise(password: string): string {
  return password.normalize('NFKC');
}

function boundedQueue(concurrency: number, capacity: number) {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (running >= concurrency) {
      if (waiting.length >= capacity) throw busy();
      // The slot is handed over by who finishes, so `running` stays as it is.
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else {
      running += 1;
    }
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  };
}
