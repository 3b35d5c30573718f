/** Writes docs/configuration.md from the table that reads the environment, so that the two cannot differ. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeVariables } from '../server/config.ts';

export const configurationFile = join(import.meta.dirname, 'configuration.md');

/** The whole document. */
export function renderConfiguration(): string {
  const rows = describeVariables().map(
    ({ name, about, fallback, secret }) =>
      `| \`${name}\`${secret ? ` or \`${name}_FILE\`` : ''} | ${about} | ${fallback} |`,
  );
  return `# Configuration

Everything is set by environment variables. They are read once, at the start; whatever is wrong is reported at once, with the line to add, and
the server does not start. A variable with a \`_FILE\` form can be given as the path of a file that holds the value. Durations are a number
and a unit: \`90s\`, \`15m\`, \`8h\`, \`30d\`.

This page is generated (\`npm run docs\`); a test fails when it is stale.

| variable | meaning | default |
|---|---|---|
${rows.join('\n')}

## Production

\`MODE=production\` (or \`NODE_ENV=production\`) refuses to start without an https \`ISSUER\`, \`DATABASE_URL\` and \`ENCRYPTION_KEY\`, runs no demo
app and makes no account. A single node may use the embedded database by saying so: \`DATABASE_URL=pglite:/data/db\`.

## Keys

\`ENCRYPTION_KEY\` protects every key and secret in the database and is never in it. Back it up apart from the database: without it the data
cannot be opened, with another one the server refuses to start.

## Behind a proxy

Name the proxy's address or network in \`TRUST_PROXY\`. Its \`X-Forwarded-For\`, \`-Proto\` and \`-Host\` are believed; those of anybody else are
ignored. URLs and audiences always come from \`ISSUER\`.
`;
}

if (import.meta.main) writeFileSync(configurationFile, renderConfiguration());
