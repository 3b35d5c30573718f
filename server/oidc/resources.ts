/** Resource servers (RFC 8707): which API a token is for, and which scopes its holder may have there. */
import type { Knex } from 'knex';
import type { Client, KoaContextWithOIDC, ResourceServer } from 'oidc-provider';
import { errors } from 'oidc-provider';
import { findAccountBySubject } from '../../db/accounts.ts';
import { connectionOf } from '../../db/unit-of-work.ts';
import type { ApiDirectory } from '../access/api-directory.ts';
import { type Holder, listAllowedScopes } from '../access/apis.ts';
import { accountOf } from './account.ts';

export function createResourceIndicators(db: Knex, apis: ApiDirectory) {
  return {
    enabled: true,

    /** The API that a client names in its metadata, when the request names none. */
    defaultResource: async (_ctx: KoaContextWithOIDC, client: Client, oneOf?: readonly string[]) => {
      const named = client['default_resource'] as string | undefined;
      if (oneOf) return named !== undefined && oneOf.includes(named) ? named : oneOf;
      return named;
    },

    // With "openid" a token without `resource` stays the opaque one for userinfo; the API's token is asked for by name.
    useGrantedResource: async () => false,

    /** @throws {InvalidTarget} for an API that is not registered (RFC 8707 section 2) */
    getResourceServerInfo: async (
      ctx: KoaContextWithOIDC,
      identifier: string,
      client: Client,
    ): Promise<ResourceServer> => {
      const connection = connectionOf(db);
      const api = await apis.find(identifier);
      if (!api) throw new errors.InvalidTarget('no API is registered under this resource indicator');
      const scopes = await listAllowedScopes(connection, api, await holderOf(ctx, db, client));
      return {
        audience: api.identifier,
        scope: scopes.join(' '),
        accessTokenTTL: api.ttl_seconds,
        accessTokenFormat: api.token_format,
        ...(api.token_format === 'jwt' ? { jwt: { sign: { alg: 'ES256' } } } : {}),
      } as ResourceServer;
    },
  };
}

/** Roles are read now, at every issue and refresh, so that a lost role is lost in the next token. */
async function holderOf(ctx: KoaContextWithOIDC, db: Knex, client: Client): Promise<Holder> {
  if (ctx.oidc.params?.['grant_type'] === 'client_credentials') return { clientId: client.clientId };
  const account = accountOf(ctx);
  if (account) return { accountId: account.id };
  const subject = ctx.oidc.session?.accountId;
  const row = subject ? await findAccountBySubject(connectionOf(db), subject) : undefined;
  return row && { accountId: row.id };
}
