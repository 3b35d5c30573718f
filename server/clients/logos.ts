/** Logos of applications, kept and served here. */
import type { Knex } from 'knex';
import { findClientLogo } from '../../db/clients.ts';
import type { ClientLogo } from '../../db/clients.ts';

/** Where the logo of a client is served; undefined without one. */
export function clientLogoPath(clientId: string, logoHash: string | null): string | undefined {
  return logoHash === null ? undefined : `/logos/${encodeURIComponent(clientId)}/${logoHash}`;
}

/** The logo of this address, unless it was replaced. */
export async function findLogo(db: Knex, clientId: string, hash: string): Promise<ClientLogo | undefined> {
  const logo = clientId.includes('\0') ? undefined : await findClientLogo(db, clientId);
  return logo?.logo_hash === hash ? logo : undefined;
}
