/**
 * Logos: read once or stored, always served from here.
 *
 * Owns: which images are accepted and how they are served. Refuses: addresses of other sites. A hot-linked logo would tell its server who
 * signs in, and the policy of the pages loads images from nowhere else.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Context } from 'koa';

export type ImageType = 'image/png' | 'image/webp' | 'image/svg+xml';

/** Largest logo, in bytes. */
export const MAX_IMAGE_BYTES = 40_000;

/** The type of an image by its first bytes; undefined when it is none that pages may show. */
export function imageType(bytes: Buffer): ImageType | undefined {
  if (bytes.subarray(0, 8).equals(Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])))
    return 'image/png';
  if (
    bytes.subarray(0, 4).toString('latin1') === 'RIFF' &&
    bytes.subarray(8, 12).toString('latin1') === 'WEBP'
  ) {
    return 'image/webp';
  }
  return /^\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<svg[\s>]/s.test(bytes.subarray(0, 2000).toString('utf8'))
    ? 'image/svg+xml'
    : undefined;
}

/** Name of an image's content, for its address. */
export function imageHash(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('base64url').slice(0, 16);
}

/** Sends an image that may come from anybody: opened by itself, an SVG must not run anything in our name. */
export function sendImage(ctx: Context, type: string, bytes: Buffer): void {
  ctx.set({
    'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    'X-Content-Type-Options': 'nosniff',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Cache-Control': 'public, max-age=31536000, immutable',
  });
  ctx.type = type;
  ctx.body = bytes;
}

export interface BrandImage {
  path: string;
  type: ImageType;
  bytes: Buffer;
}

/**
 * Reads a logo that the operator named.
 *
 * @throws {Error} with what to do, when it cannot be read or is no image
 */
export function readBrandImage(variable: string, file: string): BrandImage {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new Error(`${variable}=${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  const type = imageType(bytes);
  if (!type || bytes.length > MAX_IMAGE_BYTES) {
    throw new Error(
      `${variable}=${file} must be a PNG, WebP or SVG of at most ${MAX_IMAGE_BYTES / 1000} kB.`,
    );
  }
  return { path: `/brand/${imageHash(bytes)}`, type, bytes };
}
