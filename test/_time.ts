/** Lets time pass: the node's clock moves forward and every `*_at` column moves that far back. The product has no clock switch. */
import type { Knex } from 'knex';

const realNow = Date.now.bind(Date);
const RealDate = Date;
let offsetMs = 0;

class MovedDate extends RealDate {
  constructor(...parts: unknown[]) {
    if (parts.length === 0) super(realNow() + offsetMs);
    else super(...(parts as [number]));
  }

  static override now(): number {
    return realNow() + offsetMs;
  }
}

/**
 * Moves time forward by `seconds`, for this process and for the rows of this database.
 *
 * The embedded database takes its clock from this process, so there the rows stay as they are: moving both would let twice the
 * time pass.
 */
export async function passTime(db: Knex, seconds: number): Promise<void> {
  offsetMs += seconds * 1000;
  globalThis.Date = MovedDate as DateConstructor;
  if (await followsProcess(db, seconds)) return;
  const { rows } = await db.raw<{ rows: { table_name: string; columns: string[] }[] }>(
    `select table_name, array_agg(column_name::text) as columns from information_schema.columns
     where table_schema = 'public' and column_name like '%\\_at' and data_type = 'timestamp with time zone'
       and table_name <> 'migrations'
     group by table_name`,
  );
  for (const { table_name, columns } of rows) {
    const moved = columns.map((column) => `${column} = ${column} - interval '${seconds} seconds'`).join(', ');
    await db.raw(`update ${table_name} set ${moved}`);
  }
}

/** Whether the database's clock has moved with the node's. */
async function followsProcess(db: Knex, seconds: number): Promise<boolean> {
  const { rows } = await db.raw<{ rows: [{ now: number }] }>(
    'select extract(epoch from clock_timestamp())::float8 as now',
  );
  return Math.abs(rows[0].now * 1000 - Date.now()) < seconds * 500;
}

/** Back to the real clock, at the end of a test file. */
export function resetTime(): void {
  offsetMs = 0;
  globalThis.Date = RealDate;
}
