/** Commands about registered applications. */
import { z } from 'zod';
import { type ListedClient, listClients } from '../../../db/clients.ts';
import { systemActor } from '../../audit/audit.ts';
import { createClient, deleteClient } from '../../clients/clients.ts';
import { defineCommand, given } from './command.ts';

const uri = z.string().max(2000);

export const addApp = defineCommand({
  name: 'apps.add',
  about: 'register an app; its secret is answered once',
  input: z.strictObject({
    kind: z
      .enum(['web', 'spa', 'native', 'machine', 'api'])
      .default('web')
      .describe(
        'web: has a server; spa: in the browser; native: on a device; machine: acts by itself; api: introspects tokens',
      ),
    name: z.string().describe('name that people see'),
    redirectUris: z.array(uri).max(100).optional().describe('where sign-in returns to; repeat for several'),
    postLogoutRedirectUris: z
      .array(uri)
      .max(100)
      .optional()
      .describe('where sign-out returns to; repeat for several'),
    firstParty: z.boolean().optional().describe('your own app: people are not asked for consent'),
    requirePkce: z
      .boolean()
      .optional()
      .describe('false for a legacy website with a secret that cannot do PKCE'),
    defaultResource: uri.optional().describe('API whose tokens it gets when it names none'),
    api: uri.optional().describe('kind api: the API whose tokens it introspects'),
    roles: z
      .array(z.string())
      .max(100)
      .optional()
      .describe('role that a machine acts with; repeat for several'),
    authMethod: z
      .enum(['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'])
      .optional()
      .describe('how it proves itself at the token endpoint'),
    jwks: z
      .strictObject({ keys: z.array(z.record(z.string(), z.unknown())).min(1).max(20) })
      .optional()
      .describe('its public keys'),
    jwksUri: uri.optional().describe('where its public keys are'),
    idTokenAlg: z.enum(['RS256', 'ES256']).optional().describe('how its ID tokens are signed'),
    subjectType: z
      .enum(['public', 'pairwise'])
      .optional()
      .describe('pairwise: it knows people by a number that no other app has'),
    clientUri: uri.optional().describe('its home page'),
    policyUri: uri.optional().describe('its privacy policy'),
    tosUri: uri.optional().describe('its terms of service'),
    logo: z.base64().max(60_000).optional().describe('its logo: PNG, WebP or SVG, 40 kB at most'),
    initiateLoginUri: uri.optional().describe('https address of the app that starts a sign-in'),
  }),
  async run({ db, audit }, input) {
    const { logo, ...rest } = given(input);
    const { client, secret } = await createClient(db, audit, systemActor, {
      ...rest,
      ...(logo === undefined ? {} : { logo: Buffer.from(logo, 'base64') }),
    });
    const { id, kind, metadata } = client;
    return {
      id,
      kind,
      name: String(metadata['client_name']),
      authMethod: String(metadata['token_endpoint_auth_method']),
      redirectUris: metadata['redirect_uris'] as string[],
      ...(secret ? { secret } : {}),
    };
  },
});

export const listApps = defineCommand({
  name: 'apps.list',
  about: 'list the apps, oldest first',
  input: z.strictObject({}),
  run: async ({ db }) => ({ apps: (await listClients(db)).map(presentApp) }),
});

export const deleteApp = defineCommand({
  name: 'apps.delete',
  about: 'delete an app and end every token of it',
  input: z.strictObject({ id: z.string().describe('id of the app') }),
  async run({ db, audit, grants }, { id }) {
    await deleteClient(db, { audit, grants }, systemActor, id);
    return { id };
  },
});

function presentApp({ id, kind, first_party, status, metadata, created_at, api, roles }: ListedClient) {
  const text = (name: string) => metadata[name] as string | undefined;
  return {
    id,
    kind,
    name: text('client_name') ?? '',
    firstParty: first_party,
    status,
    authMethod: text('token_endpoint_auth_method') ?? '',
    requirePkce: metadata['require_pkce'] !== false,
    redirectUris: (metadata['redirect_uris'] ?? []) as string[],
    postLogoutRedirectUris: (metadata['post_logout_redirect_uris'] ?? []) as string[],
    defaultResource: text('default_resource') ?? null,
    api,
    roles,
    createdAt: created_at.toISOString(),
  };
}
