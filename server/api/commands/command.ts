/** What a command is, and how its input is read. */
import type { Knex } from 'knex';
import type { z } from 'zod';
import type { AccountDeps } from '../../accounts/accounts.ts';
import type { Audit } from '../../audit/audit.ts';
import { type FieldProblem, invalidInput, malformedBody } from '../../errors.ts';
import type { GrantRevocation } from '../../grants/revocation.ts';

/** What commands work with; `Services` of server/app.ts is one. */
export interface CommandServices {
  db: Knex;
  config: { issuer: string };
  audit: Audit;
  accounts: AccountDeps;
  grants: GrantRevocation;
}

export interface Command<
  Name extends string = string,
  Input extends z.ZodType = z.ZodType,
  Result = unknown,
> {
  /** `resource.verb` */
  name: Name;
  /** One line of help. */
  about: string;
  /** Every member has a description, which the command line shows. */
  input: Input;
  /**
   * @returns what JSON can carry
   * @throws {AppError} with a sentence that says what to do
   */
  run(services: CommandServices, input: z.output<Input>): Promise<Result>;
}

/** Names the types of a command by its parts. */
export function defineCommand<Name extends string, Input extends z.ZodType, Result>(
  command: Command<Name, Input, Result>,
): Command<Name, Input, Result> {
  return command;
}

/**
 * Reads the input of a command.
 *
 * @throws {AppError} invalid_input (422) naming each field, malformed_body (400) for a NUL character, which PostgreSQL refuses
 */
export function parseInput<Input extends z.ZodType>(schema: Input, body: unknown): z.output<Input> {
  if (JSON.stringify(body)?.includes(String.raw`\u0000`)) throw malformedBody('it contains a NUL character');
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw invalidInput(parsed.error.issues.flatMap((issue) => problemsOf(issue, body)));
}

function problemsOf(issue: z.core.$ZodIssue, body: unknown): FieldProblem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ field: key, code: 'unknown', message: 'is not known' }));
  }
  const field = issue.path.join('.') || 'body';
  if (isMissing(body, issue.path)) return [{ field, code: 'required', message: 'is required' }];
  const message =
    issue.code === 'invalid_value' ? `must be one of ${issue.values.join(', ')}` : issue.message;
  return [{ field, code: 'invalid', message }];
}

function isMissing(body: unknown, path: readonly PropertyKey[]): boolean {
  let value = body;
  for (const key of path) value = (value as Record<PropertyKey, unknown> | undefined)?.[key];
  return value === undefined;
}

/** Leaves out what was not given, so that the domain sees an absent member. */
export function given<T extends object>(input: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined)) as never;
}
