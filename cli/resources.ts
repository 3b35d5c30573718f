/** The commands about apps, people and APIs, and how their answers read. */
import type { Command } from 'commander';
import { createAdminLink } from '../server/api/commands/admin.ts';
import { addApi, deleteApi, listApis } from '../server/api/commands/apis.ts';
import { addApp, deleteApp, listApps } from '../server/api/commands/apps.ts';
import { addUser, deleteUser, listUsers } from '../server/api/commands/users.ts';
import { facts, type Output, table } from './output.ts';
import { addCommand } from './registered.ts';

const day = (time: string) => time.slice(0, 10);

export function addApps(program: Command, output: Output): void {
  const group = program.command('apps').description('registered applications');
  addCommand(group, output, addApp, {
    flags: {
      kind: '--kind <kind>',
      name: '--name <text>',
      redirectUris: '--redirect-uri <uri>',
      postLogoutRedirectUris: '--post-logout-redirect-uri <uri>',
      firstParty: '--first-party',
      requirePkce: '--no-pkce',
      defaultResource: '--default-api <identifier>',
      api: '--api <identifier>',
      roles: '--role <name>',
      authMethod: '--auth-method <method>',
      jwks: '--jwks <file>',
      jwksUri: '--jwks-uri <uri>',
      idTokenAlg: '--id-token-alg <algorithm>',
      subjectType: '--subject-type <type>',
      clientUri: '--home-page <uri>',
      policyUri: '--privacy-policy <uri>',
      tosUri: '--terms <uri>',
      initiateLoginUri: '--login-uri <uri>',
      logo: '--logo <file>',
    },
    human: ({ id, kind, name, authMethod, redirectUris, secret }) =>
      facts({
        'client id': id,
        'client secret': secret,
        kind,
        name,
        'authenticates with': authMethod,
        'redirect URIs': redirectUris,
      }) + (secret ? '\nStore the secret now: it is kept only as a hash and is never shown again.\n' : ''),
  });
  addCommand(group, output, listApps, {
    flags: {},
    human: ({ apps }) =>
      table(
        ['CLIENT ID', 'KIND', 'NAME', 'OWN', 'STATUS', 'SINCE', 'REDIRECT URIS OR API'],
        apps.map((app) => [
          app.id,
          app.kind,
          app.name,
          app.firstParty,
          app.status,
          day(app.createdAt),
          app.api ?? app.redirectUris,
        ]),
        'There are no apps.',
      ),
  });
  addCommand(group, output, deleteApp, {
    argument: 'id',
    flags: {},
    human: ({ id }) => `Deleted ${id}. Its tokens are worth nothing from now on.\n`,
  });
}

export function addUsers(program: Command, output: Output): void {
  const group = program.command('users').description('people');
  addCommand(group, output, addUser, {
    flags: {
      name: '--name <text>',
      identifier: '--identifier <text>',
      password: '--password <text>',
      roles: '--role <name>',
    },
    human: ({ id, subject, name, identifier, roles, password }) =>
      facts({ id, subject, name, 'signs in as': identifier, password, roles }) +
      (password ? '\nHand the password on now: it is kept only as a hash and is never shown again.\n' : ''),
  });
  addCommand(group, output, listUsers, {
    flags: { limit: '--limit <number>' },
    human: ({ users, more }) =>
      table(
        ['ID', 'NAME', 'SIGNS IN AS', 'ROLES', 'STATUS', 'SINCE'],
        users.map((user) => [
          user.id,
          user.name,
          user.identifiers.map(({ value, verified, kind }) =>
            verified || kind === 'username' ? value : `${value} (not verified)`,
          ),
          user.roles,
          user.status,
          day(user.createdAt),
        ]),
        'There are no people.',
      ) + (more ? '\nThere are more; ask for them with --limit.\n' : ''),
  });
  addCommand(group, output, deleteUser, {
    argument: 'user',
    flags: {},
    human: ({ id }) => `Deleted ${id}. Every session and token has ended.\n`,
  });
}

export function addApis(program: Command, output: Output): void {
  const group = program.command('apis').description('APIs that tokens are for');
  const scopesOf = (scopes: readonly { name: string; restricted: boolean }[]) =>
    scopes.map(({ name, restricted }) => (restricted ? `${name}!` : name));
  addCommand(group, output, addApi, {
    flags: {
      identifier: '--identifier <uri>',
      title: '--title <text>',
      scopes: '--scope <scope>',
      tokenFormat: '--token-format <format>',
      ttlSeconds: '--ttl <seconds>',
    },
    human: ({ id, identifier, scopes }) => facts({ id, identifier, scopes: scopesOf(scopes) }),
  });
  addCommand(group, output, listApis, {
    flags: {},
    human: ({ apis }) =>
      table(
        ['IDENTIFIER', 'TITLE', 'TOKENS', 'SECONDS', 'SCOPES ("!" IS RESTRICTED)'],
        apis.map((api) => [api.identifier, api.title, api.tokenFormat, api.ttlSeconds, scopesOf(api.scopes)]),
        'There are no APIs.',
      ),
  });
  addCommand(group, output, deleteApi, {
    argument: 'identifier',
    flags: {},
    human: ({ identifier }) => `Deleted ${identifier}.\n`,
  });
}

export function addAdmin(program: Command, output: Output): void {
  const group = program.command('admin').description('operating this server');
  addCommand(group, output, createAdminLink, {
    flags: {},
    human: ({ link, expiresInSeconds }) =>
      `Open  ${link}\n      (one use, ${expiresInSeconds / 60} minutes; links made before no longer work)\n`,
  });
}
