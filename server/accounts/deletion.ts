/** Deleting an account at once, as an operator does; nothing that it signed in to lives on. */
import type { Knex } from 'knex';
import { endSubjectSessions } from '../../db/sessions.ts';
import type { AccountId } from '../../db/tables.ts';
import type { Actor, Audit } from '../audit/audit.ts';
import { conflict, notFound } from '../errors.ts';
import type { GrantRevocation } from '../grants/revocation.ts';

const OPERATOR = 'operator';

/**
 * Deletes an account with its identifiers, credentials, roles and consents, and ends its sessions and tokens, in one transaction
 * with its audit event. Its subject is random and never given again.
 *
 * @throws {AppError} not_found (404); owns_apps (409) naming them; last_operator (409)
 */
export async function deleteAccount(
  db: Knex,
  { audit, grants }: { audit: Audit; grants: GrantRevocation },
  actor: Actor,
  id: string,
): Promise<void> {
  await db.transaction(async (trx) => {
    const account = await trx('accounts')
      .where({ id: id as AccountId })
      .forUpdate()
      .first('id', 'subject');
    if (!account) throw notFound('user');
    const apps = await trx('clients').where({ owner_id: account.id }).orderBy('id').pluck('id');
    if (apps.length > 0) {
      throw conflict(
        'owns_apps',
        `This user owns apps; delete them or give them away first: ${apps.join(', ')}.`,
      );
    }
    if (await isLastOperator(trx, account.id)) {
      throw conflict('last_operator', 'This is the only operator. Give the role to somebody else first.');
    }
    await endSubjectSessions(trx, account.subject, 'account_deleted');
    await grants.endSubjectGrants(trx, account.subject, 'account_deleted');
    await trx('one_time_secrets').where({ account_id: account.id }).delete();
    await trx('accounts').where({ id: account.id }).delete();
    await audit.record(trx, { kind: 'account_deleted', actor, accountId: account.id });
  });
}

/** Every operator's row is locked, so that two who delete each other at the same moment do not both succeed. */
async function isLastOperator(db: Knex, id: string): Promise<boolean> {
  const operators = await db('account_roles')
    .where({ role: OPERATOR })
    .orderBy('account_id')
    .forUpdate()
    .pluck('account_id');
  return operators.length === 1 && operators[0] === id;
}
