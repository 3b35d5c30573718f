/** Statements of leases: one holder at a time, until a moment by the database's clock. */
import type { Knex } from 'knex';

/** Takes or renews a lease; false when another holder has it. */
export async function takeLease(db: Knex, name: string, holder: string, seconds: number): Promise<boolean> {
  const { rows } = await db.raw<{ rows: unknown[] }>(
    `insert into leases as l (name, holder, expires_at) values (?, ?, now() + ?::float8 * interval '1 second')
     on conflict (name) do update set holder = excluded.holder, expires_at = excluded.expires_at
     where l.holder = excluded.holder or l.expires_at <= now()
     returning holder`,
    [name, holder, seconds],
  );
  return rows.length === 1;
}

/** Gives a lease up, so that another node need not wait for its end. */
export async function releaseLeases(db: Knex, holder: string): Promise<void> {
  await db('leases').where({ holder }).delete();
}
