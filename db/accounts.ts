/** Statements of accounts: found by subject on the protocol paths, by identifier at sign-in. */
import type { Knex } from 'knex';
import { statement } from './statement.ts';
import type { AccountRow, IdentifierRow } from './tables.ts';

export type StoredAccount = Pick<
  AccountRow,
  'id' | 'subject' | 'status' | 'name' | 'locale' | 'zone' | 'profile' | 'updated_at'
> & {
  identifiers: { kind: IdentifierRow['kind']; value: string; verified: boolean }[];
  roles: string[];
};

const columns = `
  a.id, a.subject, a.status, a.name, a.locale, a.zone, a.profile, a.updated_at,
  coalesce((select json_agg(json_build_object('kind', i.kind, 'value', i.value, 'verified', i.verified_at is not null)
                            order by i.kind, i.created_at)
              from identifiers i where i.account_id = a.id), '[]') as identifiers,
  coalesce((select json_agg(r.role order by r.role) from account_roles r where r.account_id = a.id), '[]') as roles`;

const findBySubject = statement<StoredAccount>(
  'accounts_find_by_subject',
  `select ${columns} from accounts a where a.subject = ?`,
);
const findById = statement<StoredAccount>(
  'accounts_find_by_id',
  `select ${columns} from accounts a where a.id = ?`,
);

export async function findAccountBySubject(db: Knex, subject: string): Promise<StoredAccount | undefined> {
  return (await findBySubject(db, [subject]))[0];
}

export async function findAccount(db: Knex, id: string): Promise<StoredAccount | undefined> {
  return (await findById(db, [id]))[0];
}

export interface SignInRow {
  id: AccountRow['id'];
  subject: string;
  status: AccountRow['status'];
  hash: string | null;
}

const forSignIn = statement<SignInRow>(
  'accounts_for_sign_in',
  `select a.id, a.subject, a.status, p.hash from identifiers i
   join accounts a on a.id = i.account_id left join passwords p on p.account_id = a.id
   where i.normalised = ? and (i.kind = 'username' or i.verified_at is not null)`,
);

/** The account that an identifier resolves to: usernames, and others once verified. */
export async function findForSignIn(db: Knex, normalised: string): Promise<SignInRow | undefined> {
  return (await forSignIn(db, [normalised]))[0];
}

export type ListedAccount = Pick<AccountRow, 'id' | 'subject' | 'status' | 'name' | 'created_at'> &
  Pick<StoredAccount, 'identifiers' | 'roles'>;

const list = statement<ListedAccount>(
  'accounts_list',
  `select ${columns}, a.created_at from accounts a order by a.created_at desc, a.id limit ?`,
);

/** Accounts, latest first; nothing of their credentials. */
export function listAccounts(db: Knex, limit: number): Promise<ListedAccount[]> {
  return list(db, [limit]);
}
