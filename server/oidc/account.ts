/** The engine's view of a person: found by subject at every use, so that a suspended account fails at once. */
import type { Knex } from 'knex';
import type { Account, AccountClaims, KoaContextWithOIDC } from 'oidc-provider';
import { findAccountBySubject, type StoredAccount } from '../../db/accounts.ts';
import { connectionOf, currentUnit } from '../../db/unit-of-work.ts';

/** An engine account that knows the row behind it. */
export interface GatehouseAccount extends Account {
  row: StoredAccount;
}

const ACCOUNTS = Symbol('accounts of this request');

/** `findAccount` of the engine: undefined for accounts that are not active, which ends sign-in, refresh and userinfo. */
export function createFindAccount(db: Knex) {
  return async (_ctx: KoaContextWithOIDC, subject: string): Promise<GatehouseAccount | undefined> => {
    const row = await readOncePerRequest(db, subject);
    if (row?.status !== 'active') return undefined;
    return { accountId: subject, row, claims: async () => claimsOf(row) };
  };
}

/** The account that the engine has loaded for this request. */
export function accountOf(ctx: KoaContextWithOIDC): StoredAccount | undefined {
  return (ctx.oidc.account as GatehouseAccount | undefined)?.row;
}

/**
 * Whether the person whom a token is for, if it is for one, may use it. The subject of a JWT may be a pairwise one, which names no
 * account: such a token ends by its handles alone.
 */
export async function isOfActivePerson(
  db: Knex,
  { accountId, extra }: { accountId?: string | undefined; extra?: Record<string, unknown> | undefined },
): Promise<boolean> {
  const subject = accountId ?? extra?.['sub'];
  const row = typeof subject === 'string' ? await readOncePerRequest(db, subject) : undefined;
  return row ? row.status === 'active' : accountId === undefined;
}

async function readOncePerRequest(db: Knex, subject: string): Promise<StoredAccount | undefined> {
  const notes = currentUnit()?.notes;
  const known = notes?.get(ACCOUNTS) as StoredAccount | undefined;
  if (known?.subject === subject) return known;
  const row = await findAccountBySubject(connectionOf(db), subject);
  notes?.set(ACCOUNTS, row);
  return row;
}

/** Standard claims that are kept as they were given; everything else has a column or table of its own. */
export const profileClaims = [
  'given_name',
  'family_name',
  'middle_name',
  'nickname',
  'profile',
  'picture',
  'website',
  'gender',
  'birthdate',
] as const;

/** The claims that a scope gives (OpenID Connect Core 5.4); "roles" is ours. */
export const claimsOfScope: Readonly<Record<string, readonly string[]>> = {
  profile: ['name', 'preferred_username', 'locale', 'zoneinfo', 'updated_at', ...profileClaims],
  email: ['email', 'email_verified'],
  phone: ['phone_number', 'phone_number_verified'],
  address: ['address'],
  roles: ['roles'],
};

function pickProfile(profile: Record<string, unknown>): Record<string, unknown> {
  const known = [...profileClaims, 'address'];
  return Object.fromEntries(Object.entries(profile).filter(([name]) => known.includes(name)));
}

/** Claims of OpenID Connect Core 5.1; the engine releases only what scope and claims parameter allow. */
export function claimsOf(row: StoredAccount): AccountClaims {
  const email = row.identifiers.find(({ kind }) => kind === 'email');
  const phone = row.identifiers.find(({ kind }) => kind === 'phone');
  const username = row.identifiers.find(({ kind }) => kind === 'username');
  return {
    ...pickProfile(row.profile),
    sub: row.subject,
    name: row.name,
    preferred_username: username?.value ?? email?.value,
    locale: row.locale ?? undefined,
    zoneinfo: row.zone ?? undefined,
    updated_at: Math.floor(new Date(row.updated_at).getTime() / 1000),
    ...(email ? { email: email.value, email_verified: email.verified } : {}),
    ...(phone ? { phone_number: phone.value, phone_number_verified: phone.verified } : {}),
    roles: row.roles,
  };
}
