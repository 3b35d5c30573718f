/** Commands about people. */
import { randomInt } from 'node:crypto';
import { z } from 'zod';
import { findForSignIn, type ListedAccount, listAccounts } from '../../../db/accounts.ts';
import { findUnknownRoles } from '../../access/roles.ts';
import { createAccount } from '../../accounts/accounts.ts';
import { deleteAccount } from '../../accounts/deletion.ts';
import { normaliseIdentifier } from '../../accounts/identifiers.ts';
import { systemActor } from '../../audit/audit.ts';
import { conflict, invalidInput, notFound } from '../../errors.ts';
import { defineCommand } from './command.ts';

export const addUser = defineCommand({
  name: 'users.add',
  about: 'add a person; a generated password is answered once',
  input: z.strictObject({
    name: z.string().describe('name of the person'),
    identifier: z.string().describe('e-mail address or username to sign in with'),
    password: z.string().optional().describe('password; generated when it is left out'),
    roles: z.array(z.string()).max(100).default(['user']).describe('role of the person; repeat for several'),
  }),
  async run({ db, accounts }, { name, identifier, password, roles }) {
    const generated = password === undefined ? generatePassword(accounts.passwordMinLength) : undefined;
    const outcome = await createAccount(
      db,
      accounts,
      { name, identifier, password: password ?? generated ?? '', roles },
      systemActor,
    );
    if (outcome.ok) {
      const { id, subject } = outcome;
      return {
        id,
        subject,
        name,
        identifier: identifier.trim(),
        roles,
        ...(generated ? { password: generated } : {}),
      };
    }
    if (outcome.reason === 'identifier_taken') {
      throw conflict(
        'identifier_taken',
        `Somebody signs in as ${identifier} already. Choose another identifier.`,
      );
    }
    throw invalidInput(await findUnknownRoles(db, roles));
  },
});

export const listUsers = defineCommand({
  name: 'users.list',
  about: 'list people, latest first',
  input: z.strictObject({
    limit: z.number().int().min(1).max(1000).default(100).describe('how many, 1000 at most'),
  }),
  async run({ db }, { limit }) {
    const rows = await listAccounts(db, limit + 1);
    return { users: rows.slice(0, limit).map(presentUser), more: rows.length > limit };
  },
});

export const deleteUser = defineCommand({
  name: 'users.delete',
  about: 'delete a person and end all sessions and tokens',
  input: z.strictObject({ user: z.string().describe('id, or what the person signs in with') }),
  async run({ db, audit, grants }, { user }) {
    const id = user.startsWith('acc_') ? user : (await findForSignIn(db, normaliseIdentifier(user)))?.id;
    if (!id) throw notFound('user');
    await deleteAccount(db, { audit, grants }, systemActor, id);
    return { id };
  },
});

function presentUser({ id, subject, status, name, identifiers, roles, created_at }: ListedAccount) {
  return { id, subject, status, name, identifiers, roles, createdAt: created_at.toISOString() };
}

/** Without the letters and digits that are taken for one another when read aloud or copied by hand; 5 bits each. */
const LETTERS = 'abcdefghijkmnpqrstuvwxyz23456789';
const GROUP = 5;
const GROUPS = 4;

/** Four groups of five (100 bits), or as many as the least length needs. */
function generatePassword(minLength: number): string {
  const groups = Math.max(GROUPS, Math.ceil((minLength + 1) / (GROUP + 1)));
  const group = () => Array.from({ length: GROUP }, () => LETTERS[randomInt(LETTERS.length)]).join('');
  return Array.from({ length: groups }, group).join('-');
}
