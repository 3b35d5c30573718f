/** oidc-provider as it comes, with its in-memory adapter and the features that the scenarios use. */
import Koa from 'koa';
import Provider from 'oidc-provider';
import { exportJWK, generateKeyPair } from 'jose';
import { resource, stockClients } from './settings.ts';

const port = Number(process.argv[2]);
const issuer = `http://localhost:${port}`;

async function key(alg: string) {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), alg, use: 'sig' };
}

const provider = new Provider(issuer, {
  clients: stockClients as never,
  jwks: { keys: [await key('ES256'), await key('RS256')] } as never,
  cookies: { keys: ['a key for the bench'] },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: async () => true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: async (_ctx, indicator) =>
        ({
          scope: 'bench:read',
          audience: indicator,
          accessTokenTTL: 3600,
          accessTokenFormat: indicator === resource.jwt ? 'jwt' : 'opaque',
          ...(indicator === resource.jwt ? { jwt: { sign: { alg: 'ES256' } } } : {}),
        }) as never,
    },
  },
  issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed('refresh_token'),
  pkce: { required: () => true },
  findAccount: async (_ctx, sub) => ({ accountId: sub, claims: async () => ({ sub, name: 'Alice' }) }),
  interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
});

// Signs everybody in and grants everything, so that only the protocol endpoints are measured.
const app = new Koa({ keys: ['a key for the bench'] });
app.use(async (ctx, next) => {
  if (!ctx.path.startsWith('/interaction/')) return next();
  const { params } = await provider.interactionDetails(ctx.req, ctx.res);
  const grant = new provider.Grant({ accountId: 'alice', clientId: String(params['client_id']) });
  grant.addOIDCScope(String(params['scope']));
  const returnTo = await provider.interactionResult(ctx.req, ctx.res, {
    login: { accountId: 'alice' },
    consent: { grantId: await grant.save() },
  });
  ctx.redirect(returnTo);
});
app.use(provider.middleware[0] as never);
app.listen(port, '127.0.0.1', () => process.send?.({ ready: true }));
