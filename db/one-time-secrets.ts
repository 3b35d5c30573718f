/** Statements of our own one-time links and codes: only hashes are kept, and one conditional statement spends them. */
import type { Knex } from 'knex';
import { statement } from './statement.ts';

const consume = statement<{ purpose: string }>(
  'one_time_secrets_consume',
  `update one_time_secrets set consumed_at = now()
   where id_hash = ? and purpose = ? and consumed_at is null and expires_at > now() returning purpose`,
);

/** Spends a secret; false when it is unknown, was spent, or has expired. */
export async function consumeOneTimeSecret(db: Knex, purpose: string, hash: Buffer): Promise<boolean> {
  return (await consume(db, [hash, purpose])).length === 1;
}

/** Makes a secret the only one of its purpose. */
export async function replaceOneTimeSecret(
  db: Knex,
  purpose: string,
  hash: Buffer,
  seconds: number,
): Promise<void> {
  await db('one_time_secrets').where({ purpose }).delete();
  await db.raw(
    `insert into one_time_secrets (id_hash, purpose, expires_at) values (?, ?, now() + ?::float8 * interval '1 second')`,
    [hash, purpose, seconds],
  );
}
