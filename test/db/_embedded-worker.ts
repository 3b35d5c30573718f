/** A process that opens the embedded database of a folder; with "write" it adds rows until it is killed, and says each that was acknowledged. */
import { DatabaseError, openDatabase } from '../../db/connect.ts';

const [folder, task] = process.argv.slice(2);

try {
  const { knex: db } = await openDatabase({ kind: 'pglite', url: folder!, poolSize: 1, prepared: true });
  process.stdout.write('open\n');
  if (task === 'write') {
    await db.raw('create table if not exists kept (id bigint primary key, filler text not null)');
    const { rows } = await db.raw<{ rows: [{ last: string }] }>(
      'select coalesce(max(id), 0) as last from kept',
    );
    for (let id = Number(rows[0].last) + 1; ; id += 1) {
      await db.transaction(async (trx) => {
        await trx.raw('insert into kept (id, filler) values (?, ?)', [id, 'x'.repeat(2000)]);
        await trx.raw('update kept set filler = filler || ? where id = ?', ['y', id]);
      });
      process.stdout.write(`${id}\n`);
    }
  }
  // Until the parent goes or kills it.
  process.stdin.resume();
} catch (error) {
  process.stdout.write(
    `${error instanceof DatabaseError ? 'refused' : 'failed'}: ${(error as Error).message}\n`,
  );
  process.exitCode = 3;
}
