/** Creating accounts and signing in with a password. */
import type { Knex } from 'knex';
import { findForSignIn } from '../../db/accounts.ts';
import type { AccountId } from '../../db/tables.ts';
import { type Actor, type Audit, systemActor } from '../audit/audit.ts';
import type { PasswordHasher } from '../credentials/password-hasher.ts';
import { type FieldProblem, invalidInput } from '../errors.ts';
import { newId } from '../keys/identifiers.ts';
import { normaliseIdentifier, parseIdentifier } from './identifiers.ts';

export interface NewAccount {
  name: string;
  identifier: string;
  password: string;
  roles: readonly string[];
  locale?: string;
}

export interface AccountDeps {
  audit: Audit;
  hasher: PasswordHasher;
  passwordMinLength: number;
}

/** A checked account whose password is hashed already, so that no hash is made inside a transaction. */
export interface PreparedAccount {
  id: AccountId;
  subject: string;
  insert(
    db: Knex,
    actor: Actor,
  ): Promise<{ ok: true } | { ok: false; reason: 'identifier_taken' | 'unknown_role' }>;
}

/**
 * Checks the input and hashes the password.
 *
 * @throws {AppError} invalid_input (422) naming each field
 */
export async function prepareAccount(deps: AccountDeps, input: NewAccount): Promise<PreparedAccount> {
  const problems: FieldProblem[] = [];
  const name = input.name.normalize('NFC').trim();
  if (name.length === 0) problems.push({ field: 'name', code: 'required', message: 'is required' });
  if (name.length > 200)
    problems.push({ field: 'name', code: 'too_long', message: 'is longer than 200 characters' });
  const identifier = parseIdentifier(input.identifier);
  if ('problem' in identifier) problems.push({ field: 'identifier', ...identifier.problem });
  const passwordProblem = checkPassword(input.password, deps.passwordMinLength);
  if (passwordProblem) problems.push({ field: 'password', ...passwordProblem });
  if (problems.length > 0 || 'problem' in identifier) throw invalidInput(problems);

  const hash = await deps.hasher.hash(input.password);
  const id = newId('acc');
  // Not the account's id: internal ids stay inside, and an import can bring the subject that clients know already.
  const subject = newId('sub').slice('sub_'.length);
  return {
    id,
    subject,
    async insert(db, actor) {
      const known = await db('roles')
        .whereIn('name', [...input.roles])
        .pluck('name');
      if (known.length < new Set(input.roles).size) return { ok: false, reason: 'unknown_role' };
      await db('accounts').insert({ id, subject, name, locale: input.locale ?? null });
      // No conflict target: the partial unique index over usernames and verified identifiers decides.
      const taken = await db.raw(
        `insert into identifiers (account_id, kind, value, normalised, verified_at)
         values (?, ?, ?, ?, now()) on conflict do nothing returning account_id`,
        [id, identifier.kind, identifier.value, identifier.normalised],
      );
      if (taken.rows.length === 0) {
        await db('accounts').where({ id }).delete();
        return { ok: false, reason: 'identifier_taken' };
      }
      await db('passwords').insert({ account_id: id, hash });
      if (known.length > 0) {
        await db('account_roles').insert(known.map((role) => ({ account_id: id, role })));
      }
      await deps.audit.record(db, {
        kind: 'account_created',
        actor,
        accountId: id,
        detail: { roles: known, identifier_kind: identifier.kind },
      });
      return { ok: true };
    },
  };
}

/** Creates an account in a transaction of its own. */
export async function createAccount(
  db: Knex,
  deps: AccountDeps,
  input: NewAccount,
  actor: Actor = systemActor,
) {
  const account = await prepareAccount(deps, input);
  const outcome = await db.transaction((trx) => account.insert(trx, actor));
  return outcome.ok ? { ok: true as const, id: account.id, subject: account.subject } : outcome;
}

/** What is wrong with a new password, or undefined (SP 800-63B-4 section 3.1.1: length, no composition rules). */
export function checkPassword(password: string, minLength: number): Omit<FieldProblem, 'field'> | undefined {
  const { length } = [...password];
  if (length === 0) return { code: 'required', message: 'is required' };
  if (length < minLength) return { code: 'too_short', message: `needs at least ${minLength} characters` };
  if (length > 128) return { code: 'too_long', message: 'is longer than 128 characters' };
  return undefined;
}

export type SignIn =
  | { ok: true; accountId: AccountId; subject: string }
  | { ok: false; reason: 'mismatch' }
  /** Told only after the right password. */
  | { ok: false; reason: 'suspended'; accountId: AccountId };

/** Checks identifier and password; unknown names take as long as known ones. */
export async function signInWithPassword(
  db: Knex,
  hasher: PasswordHasher,
  identifier: string,
  password: string,
): Promise<SignIn> {
  const row = await findForSignIn(db, normaliseIdentifier(identifier));
  const matches = await hasher.verify(row?.hash, password);
  if (!row || !matches) return { ok: false, reason: 'mismatch' };
  if (row.status !== 'active') return { ok: false, reason: 'suspended', accountId: row.id };
  return { ok: true, accountId: row.id, subject: row.subject };
}
