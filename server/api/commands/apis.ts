/** Commands about protected APIs. */
import { z } from 'zod';
import { listApis as listStoredApis, type StoredApi } from '../../../db/access.ts';
import { createApi, deleteApi as deleteStoredApi } from '../../access/apis.ts';
import { systemActor } from '../../audit/audit.ts';
import { MAX_JWT_SECONDS } from '../../config.ts';
import { defineCommand, given } from './command.ts';

export const addApi = defineCommand({
  name: 'apis.add',
  about: 'register an API that tokens are for',
  input: z.strictObject({
    identifier: z
      .string()
      .max(2000)
      .describe('absolute URI; the "resource" of requests and the "aud" of tokens'),
    title: z.string().max(200).describe('name that people see at consent'),
    scopes: z
      .array(z.string())
      .max(200)
      .default([])
      .describe('scope; "name!" is restricted to those who hold it through a role; repeat for several'),
    tokenFormat: z
      .enum(['jwt', 'opaque'])
      .optional()
      .describe('jwt is verified by the API itself, opaque by introspection'),
    ttlSeconds: z
      .number()
      .int()
      .optional()
      .describe(`life of its tokens in seconds, 10 to ${MAX_JWT_SECONDS}`),
  }),
  async run({ db, audit }, { scopes, ...input }) {
    const parsed = scopes.map(parseScope);
    const { id } = await createApi(db, audit, systemActor, { ...given(input), scopes: parsed });
    return { id, identifier: input.identifier, scopes: parsed };
  },
});

export const listApis = defineCommand({
  name: 'apis.list',
  about: 'list the APIs and their scopes, oldest first',
  input: z.strictObject({}),
  run: async ({ db }) => ({ apis: (await listStoredApis(db)).map(presentApi) }),
});

export const deleteApi = defineCommand({
  name: 'apis.delete',
  about: 'delete an API that no app needs',
  input: z.strictObject({ identifier: z.string().describe('identifier of the API') }),
  async run({ db, audit, config }, { identifier }) {
    await deleteStoredApi(db, audit, systemActor, { identifier, issuer: config.issuer });
    return { identifier };
  },
});

/** `name!` is a restricted scope. */
function parseScope(text: string): { name: string; restricted: boolean } {
  return text.endsWith('!')
    ? { name: text.slice(0, -1), restricted: true }
    : { name: text, restricted: false };
}

function presentApi({ id, identifier, title, token_format, ttl_seconds, scopes }: StoredApi) {
  return { id, identifier, title, tokenFormat: token_format, ttlSeconds: ttl_seconds, scopes };
}
