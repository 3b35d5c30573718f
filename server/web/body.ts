/**
 * Reads the body of a form.
 *
 * Owns: the limits and the decoding of `application/x-www-form-urlencoded` (WHATWG URL 5.1), strictly: what a browser would not send is
 * refused here, so that no NUL, no broken text and no second `csrf` ever reaches a handler or the database.
 * Refuses: other media types, and fields as properties of an object (`__proto__` is only a name).
 */
import type { IncomingMessage } from 'node:http';
import type { Context } from 'koa';
import { bodyTooLarge, malformedBody, unsupportedMediaType } from '../errors.ts';

/** The fields of a form, read-only. */
export interface Form {
  /** The value of a field, '' when absent. Throws 400 `malformed_body` when the field was sent twice. */
  get(name: string): string;
  /** All values of a field that may repeat, such as checkboxes. */
  getAll(name: string): readonly string[];
  has(name: string): boolean;
}

const mediaType = 'application/x-www-form-urlencoded';
const maximumFields = 200;

function checkType(ctx: Context): void {
  const charset = ctx.request.charset.toLowerCase();
  const encoding = ctx.get('Content-Encoding').toLowerCase();
  if (
    ctx.request.type.toLowerCase() !== mediaType ||
    (charset !== '' && charset !== 'utf-8') ||
    (encoding !== '' && encoding !== 'identity')
  )
    throw unsupportedMediaType(mediaType);
}

// Events instead of `for await`: leaving such a loop early destroys the socket, and the 413 would never arrive.
function collect(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  if (request.readableEnded) throw new Error('the body was read before');
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const onData = (chunk: Buffer) => {
      size += chunk.length;
      if (size > limitBytes) settle(() => reject(bodyTooLarge()));
      else chunks.push(chunk);
    };
    const onEnd = () => settle(() => resolve(Buffer.concat(chunks)));
    const onBreak = () => settle(() => reject(malformedBody('it broke off')));
    function settle(done: () => void) {
      request.off('data', onData).off('end', onEnd).off('close', onBreak);
      request.resume();
      done();
    }
    // An 'error' of a request is followed by 'close'; without a listener of its own it would end the process.
    request.on('data', onData).on('end', onEnd).on('close', onBreak).on('error', onBreak);
  });
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw malformedBody('it is not UTF-8');
  }
}

function decodePart(part: string): string {
  let text: string;
  try {
    text = decodeURIComponent(part.replaceAll('+', ' '));
  } catch {
    throw malformedBody('it has a broken percent-encoding');
  }
  // PostgreSQL refuses NUL in text, with an error that would surface as a 500.
  if (text.includes('\0')) throw malformedBody('it contains a NUL character');
  return text;
}

/** Splits and decodes the fields of a form. Throws 400 `malformed_body`. */
export function parseFields(bytes: Buffer): ReadonlyMap<string, readonly string[]> {
  const text = decode(bytes);
  const pairs = text.split('&').filter((pair) => pair !== '');
  if (pairs.length > maximumFields) throw malformedBody(`it has more than ${maximumFields} fields`);
  const fields = new Map<string, string[]>();
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    const name = decodePart(at < 0 ? pair : pair.slice(0, at));
    const value = at < 0 ? '' : decodePart(pair.slice(at + 1));
    const values = fields.get(name);
    if (values) values.push(value);
    else fields.set(name, [value]);
  }
  return fields;
}

/** Reads the bytes of a body, once. Throws 413 `body_too_large`. */
export function readBytes(ctx: Context, limitBytes: number): Promise<Buffer> {
  if ((ctx.request.length ?? 0) > limitBytes) throw bodyTooLarge();
  return collect(ctx.req, limitBytes);
}

/**
 * Reads and parses the body, once.
 *
 * @param options.limitBytes largest body accepted, counted as it arrives
 * @throws AppError 413 `body_too_large`, 415 `unsupported_media_type`, 400 `malformed_body`
 */
export async function readForm(ctx: Context, { limitBytes = 65_536 } = {}): Promise<Form> {
  checkType(ctx);
  const fields = parseFields(await readBytes(ctx, limitBytes));
  return Object.freeze({
    get(name: string): string {
      const values = fields.get(name) ?? [];
      if (values.length > 1) throw malformedBody(`the field "${name}" was sent more than once`);
      return values[0] ?? '';
    },
    getAll: (name: string) => fields.get(name) ?? [],
    has: (name: string) => fields.has(name),
  });
}
