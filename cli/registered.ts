/** Puts commands of the registry on the command line. */
import type { Command } from 'commander';
import type { z } from 'zod';
import type { CommandInput, CommandName, CommandResult } from '../server/api/commands.ts';
import { parseConfig } from '../server/config.ts';
import { openAdmin } from './admin.ts';
import { addFlags, type FlagNames, inFlags, inputOf } from './flags.ts';
import { type Output, print } from './output.ts';

export interface OnCommandLine<Name extends CommandName> {
  /** The member that is given without a flag, such as `id`. */
  argument?: string;
  flags: FlagNames;
  human(result: CommandResult<Name>): string;
}

/** Adds `<verb>` to a group such as "apps". */
export function addCommand<Name extends CommandName>(
  group: Command,
  output: Output,
  registered: { name: Name; about: string; input: z.ZodType },
  { argument, flags, human }: OnCommandLine<Name>,
): void {
  const command = group.command(registered.name.split('.')[1] ?? '').description(registered.about);
  if (argument) command.argument(`<${argument}>`);
  addFlags(command, registered.input, flags);
  command.action(async (...given: unknown[]) => {
    const input = {
      ...inputOf(command.opts(), flags),
      ...(argument ? { [argument]: given[0] } : {}),
    } as CommandInput<Name>;
    await using admin = await openAdmin(parseConfig(process.env), (text) => {
      if (!output.json) process.stderr.write(`${text}\n`);
    });
    const result = await admin.run(registered.name, input).catch((error: unknown) => {
      throw inFlags(error, flags);
    });
    print(output, result, human);
  });
}
