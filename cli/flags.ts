/** Flags of a command, made from the schema of its input: what is required, what may repeat, the choices and the descriptions. */
import { readFileSync } from 'node:fs';
import { InvalidArgumentError, type Command, Option } from 'commander';
import { z } from 'zod';
import { AppError } from '../server/errors.ts';

/** Members of the input and the flag of each, such as `--redirect-uri <uri>`; `--no-...` sets a member to false. */
export type FlagNames = Readonly<Record<string, string>>;

interface Member {
  type?: string;
  description?: string;
  enum?: readonly string[];
  default?: unknown;
}

/** Adds the flags to `command`. */
export function addFlags(command: Command, schema: z.ZodType, names: FlagNames): void {
  const { properties = {}, required = [] } = z.toJSONSchema(schema, { io: 'input' }) as {
    properties?: Record<string, Member>;
    required?: string[];
  };
  for (const [member, flags] of Object.entries(names)) {
    const { description, ...shape } = properties[member] ?? {};
    const option =
      member === 'password' ? passwordOption(flags, description) : new Option(flags, description);
    option.makeOptionMandatory(required.includes(member));
    if (shape.default !== undefined) option.default(undefined, [shape.default].flat().join(', ') || 'none');
    if (member === 'logo') option.argParser(readBase64File);
    else if (shape.enum) option.choices([...shape.enum]);
    else if (shape.type === 'array')
      option.argParser((value, before: string[] | undefined) => [...(before ?? []), value]);
    else if (shape.type === 'integer') option.argParser(parseWhole);
    else if (shape.type === 'object') option.argParser(readJsonFile);
    command.addOption(option);
  }
}

/** The input that the flags say; what was not given is absent. */
export function inputOf(
  options: Readonly<Record<string, unknown>>,
  names: FlagNames,
): Record<string, unknown> {
  const entries = Object.entries(names).flatMap(([member, flags]) => {
    const option = new Option(flags);
    const value = options[option.attributeName()];
    // A flag "--no-x" is true until it is given.
    return value === undefined || (option.negate && value === true) ? [] : [[member, value]];
  });
  return Object.fromEntries(entries);
}

/** Says what was refused in the words of the command line. */
export function inFlags(error: unknown, names: FlagNames): unknown {
  if (!(error instanceof AppError) || error.fields.length === 0) return error;
  const sentences = error.fields.map(({ field, message }) => {
    const flag = names[field.split('.')[0] ?? '']?.split(' ')[0];
    return `${flag ?? field}: ${message}`;
  });
  return new AppError(error.code, error.status, sentences.join('\n'), { fields: error.fields });
}

/** Every process of a machine can read command lines, so `-` takes a password from standard input. */
export function passwordOption(flags: string, description = 'password'): Option {
  return new Option(flags, `${description}; - reads it from standard input`).argParser((value: string) =>
    value === '-' ? readFileSync(0, 'utf8').replace(/\r?\n$/, '') : value,
  );
}

function parseWhole(value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new InvalidArgumentError('Use a whole number.');
  return Number(value);
}

function readBase64File(path: string): string {
  try {
    return readFileSync(path).toString('base64');
  } catch (error) {
    throw new InvalidArgumentError(`It cannot be read: ${(error as Error).message}`);
  }
}

function readJsonFile(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new InvalidArgumentError(`It cannot be read as JSON: ${(error as Error).message}`);
  }
}
