/**
 * What the demo needs to be there: its client, its API and a person to try. Development only; production never seeds.
 *
 * What the demo must remember (the client secret, the person's password) is in `<data folder>/demo.json`; Gatehouse itself keeps only
 * hashes of both. File and database can be lost one without the other, so each start looks at what is there and makes what is missing:
 *
 * - a client whose secret nobody knows any more is replaced;
 * - an account whose password nobody knows any more is left alone, because it may be somebody's by now: another person is made;
 * - what an operator did on purpose (a disabled client, a suspended person) stays as it is.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { findApi } from '../../db/access.ts';
import { findClient, listClients } from '../../db/clients.ts';
import { createApi, deleteApi } from '../../server/access/apis.ts';
import { checkPassword, createAccount, signInWithPassword } from '../../server/accounts/accounts.ts';
import type { Services } from '../../server/app.ts';
import { systemActor } from '../../server/audit/audit.ts';
import { createClient, deleteClient, hashClientSecret } from '../../server/clients/clients.ts';
import { AppError } from '../../server/errors.ts';

const schema = z.object({
  port: z.number(),
  /** Identifier of the orders API: the `resource` of a token request and the `aud` of its tokens. */
  api: z.string(),
  client: z.object({ id: z.string(), secret: z.string() }),
  person: z.object({ name: z.string(), identifier: z.string(), password: z.string() }),
});

/** What the demo knows about itself, as kept in demo.json. */
export type DemoSettings = z.infer<typeof schema>;

const CLIENT_NAME = 'Demo Shop';

/** Where people open the demo: a host name of its own, because cookies ignore ports. Browsers resolve it to this machine. */
export const demoUrl = (port: number) => `http://demo.localhost:${port}`;

/** Addressed by number: Node, unlike browsers, does not resolve names below `localhost`. */
const apiIdentifier = (port: number) => `http://127.0.0.1:${port}/api`;

const redirectUri = (port: number) => `${demoUrl(port)}/callback`;

/**
 * Makes what is missing, and nothing on a later start.
 *
 * @param options.port where the demo will listen: its redirect URI and API identifier contain it
 * @returns what `startDemo` needs
 */
export async function seedDemo(
  services: Services,
  dataDir: string,
  { port }: { port: number },
): Promise<DemoSettings> {
  const file = join(dataDir, 'demo.json');
  const kept = await readSettings(file);
  if (kept && kept.port !== port) await removeApplication(services, kept.port);
  const api = await ensureApi(services, port);
  const client = await ensureClient(services, port, api, kept?.client);
  // The person comes last and the file at once: whoever was made without being written down would be replaced at the next start.
  const person = await ensurePerson(services, kept?.person);
  const settings: DemoSettings = { port, api, client, person };
  if (JSON.stringify(settings) !== JSON.stringify(kept)) await writeSettings(dataDir, file, settings);
  return settings;
}

async function ensureApi({ db, audit }: Services, port: number): Promise<string> {
  const identifier = apiIdentifier(port);
  if (await findApi(db, identifier)) return identifier;
  await createApi(db, audit, systemActor, {
    identifier,
    title: 'Demo orders',
    scopes: [
      { name: 'orders:read', titles: { en: 'See your orders', 'zh-CN': '查看你的订单' } },
      // Restricted: asking and consenting are not enough, a role has to give it.
      { name: 'orders:refund', titles: { en: 'Refund orders', 'zh-CN': '为订单退款' }, restricted: true },
    ],
  });
  return identifier;
}

async function ensureClient(
  services: Services,
  port: number,
  api: string,
  kept: DemoSettings['client'] | undefined,
): Promise<DemoSettings['client']> {
  const stored = kept && (await findClient(services.db, kept.id));
  const hash = kept && hashClientSecret(kept.secret).toString('hex');
  if (kept && stored?.secrets?.some((secret) => secret.hash === hash)) return kept;
  await removeClients(services, port);
  const { client, secret } = await createClient(services.db, services.audit, systemActor, {
    kind: 'web',
    name: CLIENT_NAME,
    authMethod: 'client_secret_basic',
    redirectUris: [redirectUri(port)],
    postLogoutRedirectUris: [`${demoUrl(port)}/`],
    defaultResource: api,
    // Shown where people are asked whether the shop may have what it wants.
    logo: await readFile(join(import.meta.dirname, 'icon.svg')),
  });
  if (secret === undefined) throw new Error('a client with client_secret_basic came without a secret');
  return { id: client.id, secret };
}

/** What the demo registered when it listened on another port. */
async function removeApplication(services: Services, port: number): Promise<void> {
  const { db, audit, config } = services;
  await removeClients(services, port);
  try {
    await deleteApi(db, audit, systemActor, { identifier: apiIdentifier(port), issuer: config.issuer });
  } catch (error) {
    // Somebody tries it with an application of their own: then it is theirs.
    if (!(error instanceof AppError && ['not_found', 'api_in_use'].includes(error.code))) throw error;
  }
}

/** Deletes the demo's own clients: by name and by the one redirect URI, which no other application has a use for. */
async function removeClients({ db, audit, grants }: Services, port: number): Promise<void> {
  const uris = JSON.stringify([redirectUri(port)]);
  const own = (await listClients(db)).filter(
    ({ metadata }) =>
      metadata['client_name'] === CLIENT_NAME && JSON.stringify(metadata['redirect_uris']) === uris,
  );
  for (const { id } of own) await deleteClient(db, { audit, grants }, systemActor, id);
}

async function ensurePerson(
  services: Services,
  kept: DemoSettings['person'] | undefined,
): Promise<DemoSettings['person']> {
  const { db, accounts } = services;
  if (kept) {
    const signIn = await signInWithPassword(db, accounts.hasher, kept.identifier, kept.password);
    if (signIn.ok || signIn.reason === 'suspended') return kept;
  }
  const password =
    kept && !checkPassword(kept.password, accounts.passwordMinLength)
      ? kept.password
      : readablePassword(accounts.passwordMinLength);
  const person = { name: 'Alice Liddell', identifier: kept?.identifier ?? 'alice@example.test', password };
  const created = await createAccount(db, accounts, { ...person, roles: ['user'] });
  if (created.ok) return person;
  const other = {
    ...person,
    identifier: `alice-${randomBytes(4).toString('hex')}@example.test`,
    password: readablePassword(accounts.passwordMinLength),
  };
  const second = await createAccount(db, accounts, { ...other, roles: ['user'] });
  if (!second.ok) throw new Error(`the demo's person could not be made: ${second.reason}`);
  return other;
}

/** Without the characters that are taken for others: 30 of them, so 4 groups of 4 are 78 bits. */
const readable = 'abcdefghjkmnpqrstuvwxyz2345679';

function readablePassword(minLength: number): string {
  const group = () => Array.from({ length: 4 }, () => readable[randomInt(readable.length)]).join('');
  const groups = Math.max(4, Math.ceil((minLength + 1) / 5));
  return Array.from({ length: groups }, group).join('-');
}

/** Undefined when there is none, or none that can be used: then everything is made again. */
async function readSettings(file: string): Promise<DemoSettings | undefined> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** Whole or not at all, and readable by nobody else from the first byte. */
async function writeSettings(dataDir: string, file: string, settings: DemoSettings): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const draft = `${file}.${randomBytes(4).toString('hex')}`;
  await writeFile(draft, `${JSON.stringify(settings, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
  await rename(draft, file);
}
