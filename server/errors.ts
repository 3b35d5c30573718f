/**
 * The one catalogue of errors that the service answers by itself.
 *
 * Owns: the stable codes, their status and the sentence that is safe to show.
 * Refuses: OAuth protocol errors (only the engine's own `errors.*` are thrown inside its hooks) and
 * expected branches that a caller must handle (those are return values).
 */

/** A problem with one field of a form or JSON body; pages translate `code`, everybody else reads `message`. */
export interface FieldProblem {
  field: string;
  code: 'required' | 'too_short' | 'too_long' | 'invalid' | 'taken' | 'unknown';
  message: string;
}

/** An error with a public half (`code`, `status`, `message`, `fields`) and a private half (`cause`, only logged). */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: string;
  /** HTTP status that the edges answer with. */
  readonly status: number;
  readonly fields: readonly FieldProblem[];
  /** Seconds for `Retry-After`, on 429 and 503. */
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: string,
    status: number,
    message: string,
    options: { cause?: unknown; fields?: readonly FieldProblem[]; retryAfterSeconds?: number } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = status;
    this.fields = options.fields ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

export const malformedRequest = (reason: string) =>
  new AppError('malformed_request', 400, `The request could not be read: ${reason}.`);

export const malformedBody = (reason: string) =>
  new AppError('malformed_body', 400, `The request body could not be read: ${reason}.`);

export const bodyTooLarge = () => new AppError('body_too_large', 413, 'The request body is too large.');

export const unsupportedMediaType = (expected: string) =>
  new AppError('unsupported_media_type', 415, `Send the body as ${expected}.`);

export const crossSiteRequest = () =>
  new AppError(
    'cross_site_request',
    403,
    'This form can only be sent from its own page. Open the page again.',
  );

export const csrfMismatch = () =>
  new AppError(
    'csrf_mismatch',
    403,
    'This form belongs to another browser or to an earlier visit. Open it again.',
  );

export const notFound = (what: string) => new AppError('not_found', 404, `There is no such ${what}.`);

export const methodNotAllowed = () =>
  new AppError('method_not_allowed', 405, 'This address does not answer this method.');

export const invalidInput = (fields: readonly FieldProblem[]) =>
  new AppError('invalid_input', 422, fields.map((f) => `${f.field}: ${f.message}`).join('; '), { fields });

export const conflict = (code: string, message: string) => new AppError(code, 409, message);

/** A one-time link or secret that was used, replaced or has expired. */
export const gone = (code: string, message: string) => new AppError(code, 410, message);

/** The request named another host than the issuer's (RFC 9110 15.5.20). */
export const misdirectedRequest = (host: string, issuer: string) =>
  new AppError(
    'misdirected_request',
    421,
    `This server answers as ${issuer}, but was asked for "${host}". Open ${issuer} instead, or set ISSUER to the address that people use.`,
  );

/** The store did not answer; nothing was changed (or the change is unknown and was rolled back). */
export const storeUnavailable = (cause: unknown) =>
  new AppError('temporarily_unavailable', 503, 'The service is briefly unavailable. Try again in a moment.', {
    cause,
    retryAfterSeconds: 2,
  });

/** Too much password work is queued already. */
export const busy = () =>
  new AppError('busy', 503, 'Too many people are signing in at this moment. Try again in a few seconds.', {
    retryAfterSeconds: 3,
  });
