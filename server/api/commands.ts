/**
 * Ways in for programs.
 *
 * Owns: the administrative commands and the socket that takes them. Refuses: rules (every command calls the same domain functions
 * as the pages) and secrets in what is listed.
 *
 * This file: the registry of commands.
 */
import type { z } from 'zod';
import { notFound } from '../errors.ts';
import { createAdminLink } from './commands/admin.ts';
import { addApi, deleteApi, listApis } from './commands/apis.ts';
import { addApp, deleteApp, listApps } from './commands/apps.ts';
import { type Command, type CommandServices, parseInput } from './commands/command.ts';
import { addUser, deleteUser, listUsers } from './commands/users.ts';

export const commands = [
  addApp,
  listApps,
  deleteApp,
  addUser,
  listUsers,
  deleteUser,
  addApi,
  listApis,
  deleteApi,
  createAdminLink,
] as const;

type Registered = (typeof commands)[number];
export type CommandName = Registered['name'];
type Named<Name extends CommandName> = Extract<Registered, { name: Name }>;
/** What a command takes, before defaults are filled in. */
export type CommandInput<Name extends CommandName> = z.input<Named<Name>['input']>;
/** What a command answers. */
export type CommandResult<Name extends CommandName> = Awaited<ReturnType<Named<Name>['run']>>;

/**
 * Runs a command by its name.
 *
 * @throws {AppError} not_found (404), invalid_input (422), or what the command refuses
 */
export async function runCommand(services: CommandServices, name: string, body: unknown): Promise<unknown> {
  const command: Command | undefined = commands.find((one) => one.name === name);
  if (!command) throw notFound('command');
  return command.run(services, parseInput(command.input, body));
}
