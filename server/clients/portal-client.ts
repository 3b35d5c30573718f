/** The built-in first-party client by which people reach sign-in for the pages of this server itself. */
import type { Knex } from 'knex';

export const PORTAL_CLIENT_ID = 'portal';

/** Where the engine returns to; the code is thrown away, because the engine's session is the only one. */
export function portalRedirectUri(issuer: string): string {
  return `${issuer}/account/callback`;
}

/** Registers the portal on an empty database; follows a changed issuer or name on a later start. */
export async function ensurePortalClient(db: Knex, issuer: string, productName: string): Promise<void> {
  const metadata = {
    client_name: productName,
    application_type: 'web',
    grant_types: ['authorization_code'],
    response_types: ['code'],
    redirect_uris: [portalRedirectUri(issuer)],
    post_logout_redirect_uris: [],
    token_endpoint_auth_method: 'client_secret_basic',
  };
  // It never redeems its code and has no secret, so no one can.
  await db.raw(
    `insert into clients as c (id, kind, first_party, metadata) values (?, 'web', true, ?::jsonb)
     on conflict (id) do update set metadata = excluded.metadata, metadata_version = c.metadata_version + 1
     where c.metadata <> excluded.metadata`,
    [PORTAL_CLIENT_ID, JSON.stringify(metadata)],
  );
}
