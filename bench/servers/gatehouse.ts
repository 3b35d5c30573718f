/** The product itself, as in production but for its name, with what the scenarios need. */
import { createAccount } from '../../server/accounts/accounts.ts';
import { createApi } from '../../server/access/apis.ts';
import { buildApp } from '../../server/app.ts';
import { createClient } from '../../server/clients/clients.ts';
import { parseConfig } from '../../server/config.ts';
import { listen } from '../../server/listen.ts';
import { createLogger } from '../../server/logger.ts';
import { openDatabase } from '../../db/connect.ts';
import { callback, resource } from './settings.ts';

const [port, databaseUrl] = process.argv.slice(2);
const config = parseConfig({
  ISSUER: `http://localhost:${port}`,
  DATABASE_URL: databaseUrl,
  LOG_LEVEL: 'info',
  DEMO: 'false',
});
const { knex } = await openDatabase(config.database);
// Logged as in production, but to nowhere, so that the terminal is not measured.
const logger = createLogger('info', { write: () => undefined });
const { koa, services, startBackground } = await buildApp({
  config,
  db: knex,
  logger,
  encryptionKey: Buffer.alloc(32, 9),
});
const settings = await seed();
await startBackground();
await listen(koa.callback(), config.listen);
process.send?.({ ready: true, ...settings });

/** Made once; after a restart the secrets are those of the first start, which the bench keeps. */
async function seed() {
  const { db, audit, accounts } = services;
  if (await db('clients').where({ id: 'machine' }).first()) return {};
  for (const [format, identifier] of Object.entries(resource) as ['jwt' | 'opaque', string][]) {
    await createApi(
      db,
      audit,
      {},
      { identifier, title: format, tokenFormat: format, scopes: [{ name: 'bench:read' }] },
    );
  }
  const machine = await createClient(db, audit, {}, { id: 'machine', kind: 'machine', name: 'Machine' });
  const website = await createClient(
    db,
    audit,
    {},
    {
      id: 'website',
      kind: 'web',
      name: 'Website',
      firstParty: true,
      redirectUris: [callback],
      idTokenAlg: 'ES256',
    },
  );
  const person = { name: 'Alice', identifier: 'alice', password: 'down the rabbit hole' };
  await createAccount(db, accounts, { ...person, roles: ['user'] });
  return { secrets: { machine: machine.secret, website: website.secret }, person };
}
