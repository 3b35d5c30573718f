/** The one-use link by which the first operator makes an account. It can be replaced as long as there is no operator. */
import type { Knex } from 'knex';
import { consumeOneTimeSecret, replaceOneTimeSecret } from '../../db/one-time-secrets.ts';
import { type Audit, systemActor } from '../audit/audit.ts';
import { idHash } from '../keys/hash.ts';
import { newSecret } from '../keys/identifiers.ts';

const PURPOSE = 'setup';
export const SETUP_LINK_SECONDS = 30 * 60;

/** Whether somebody operates this server already. */
export async function hasOperator(db: Knex): Promise<boolean> {
  const row = await db('account_roles').where({ role: 'operator' }).first('account_id');
  return row !== undefined;
}

/**
 * Makes a setup link and voids the one before. The key is in the fragment, which browsers send to nobody.
 *
 * @returns undefined when there is an operator
 */
export async function createSetupLink(db: Knex, audit: Audit, issuer: string): Promise<string | undefined> {
  if (await hasOperator(db)) return undefined;
  const key = newSecret('setupKey');
  await db.transaction(async (trx) => {
    await replaceOneTimeSecret(trx, PURPOSE, idHash(PURPOSE, key), SETUP_LINK_SECONDS);
    await audit.record(trx, { kind: 'setup_link_created', actor: systemActor });
  });
  return `${issuer}/setup#k=${key}`;
}

/** Spends a setup key; false when it is wrong, was used, replaced, or has expired. */
export function consumeSetupKey(db: Knex, key: string): Promise<boolean> {
  return consumeOneTimeSecret(db, PURPOSE, idHash(PURPOSE, key.trim()));
}
