/**
 * People.
 *
 * Owns: accounts, the identifiers that find them, joining and leaving. Refuses: credentials (server/credentials) and roles' meaning
 * (server/access).
 *
 * This file: what a username or an e-mail address may look like, and the one form in which it is compared.
 */
import type { IdentifierRow } from '../../db/tables.ts';
import type { FieldProblem } from '../errors.ts';

/** The form in which identifiers are unique and looked up: NFKC, lower case, trimmed. */
export function normaliseIdentifier(value: string): string {
  return value.normalize('NFKC').trim().toLowerCase();
}

/** Control and format characters, and line separators: two names that look the same must be the same. */
const invisible = /[\p{Cc}\p{Cf}\u2028\u2029]/u;

/**
 * Reads an identifier that somebody chose.
 *
 * @returns its kind, or what is wrong with it
 */
export function parseIdentifier(
  value: string,
):
  | { kind: IdentifierRow['kind']; value: string; normalised: string }
  | { problem: Omit<FieldProblem, 'field'> } {
  const trimmed = value.trim();
  const normalised = normaliseIdentifier(value);
  if (normalised.length === 0) return { problem: { code: 'required', message: 'is required' } };
  if (normalised.length > 254) return invalid('is longer than 254 characters');
  if (invisible.test(normalised)) return invalid('has invisible characters');
  if (/\s/.test(normalised)) return invalid('has spaces');
  if (!normalised.includes('@')) {
    return normalised.length < 2
      ? invalid('needs at least 2 characters')
      : { kind: 'username', value: trimmed, normalised };
  }
  // Exactly one "@" after normalisation: a look-alike sign must not move the boundary of the domain.
  return /^[^@<>()[\]\\,;:"]+@[^@.<>()[\]\\,;:"]+(\.[^@.<>()[\]\\,;:"]+)+$/.test(normalised)
    ? { kind: 'email', value: trimmed, normalised }
    : invalid('is not an e-mail address');
}

function invalid(message: string): { problem: Omit<FieldProblem, 'field'> } {
  return { problem: { code: 'invalid', message } };
}
