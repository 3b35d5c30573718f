/**
 * Files that pages load.
 *
 * Owns: this folder, read once at start; the content-hashed addresses under /assets/, which browsers may keep for ever; the removal of
 * types from the browser modules in elements/. Refuses: a bundler, imports between elements (the address of an import would need a hash), and
 * files of operators (logos are uploaded and served elsewhere).
 *
 * A file that is put into the folder is served; there is no list to add it to.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { basename, extname, join } from 'node:path';
import type { Context, Next } from 'koa';
import { brandStylesheet, normaliseColour } from '../brand.ts';

interface Asset {
  type: string;
  body: string;
  hash: string;
}

const types: Record<string, string> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

const makeAsset = (name: string, body: string): Asset => ({
  type: types[extname(name)] ?? 'application/octet-stream',
  body,
  hash: createHash('sha256').update(body).digest('base64url').slice(0, 12),
});

function readAssets(folder: string): Map<string, Asset> {
  const assets = new Map<string, Asset>();
  const add = (name: string, body: string) => assets.set(name, makeAsset(name, body));
  for (const file of readdirSync(folder))
    if (extname(file) in types) add(file, readFileSync(join(folder, file), 'utf8'));
  for (const file of readdirSync(join(folder, 'elements')))
    add(
      `${basename(file, '.ts')}.js`,
      stripTypeScriptTypes(readFileSync(join(folder, 'elements', file), 'utf8')),
    );
  return assets;
}

const assets = readAssets(import.meta.dirname);

const address = (name: string, { hash }: Asset) =>
  `/assets/${basename(name, extname(name))}.${hash}${extname(name)}`;

/** The address of a file in this folder, or of a module in elements/ (by its name with `.js`). Throws when there is none. */
export function assetUrl(name: string): string {
  const asset = assets.get(name);
  if (!asset) throw new Error(`no asset is named ${name}`);
  return address(name, asset);
}

const brandName = (colour: string) => `brand-${colour.slice(1)}.css`;

/** The address of the stylesheet that sets the brand colour, or undefined when the setting is no colour. */
export function brandUrl(setting: string): string | undefined {
  const colour = normaliseColour(setting);
  return colour === undefined
    ? undefined
    : address(brandName(colour), makeAsset(brandName(colour), brandStylesheet(colour)));
}

/** Brand stylesheets are made on request, from the colour in their name: every node of a cluster can serve each of them. */
function findAsset(name: string): Asset | undefined {
  const [, colour] = /^brand-([\da-f]{6})\.css$/.exec(name) ?? [];
  return colour ? makeAsset(name, brandStylesheet(`#${colour}`)) : assets.get(name);
}

const path = /^\/assets\/([\w-]+)\.([\w-]{12})(\.[a-z]+)$/;

/** Koa middleware: answers GET and HEAD under /assets/. */
export async function serveAssets(ctx: Context, next: Next): Promise<void> {
  const [, stem, hash, extension] = path.exec(ctx.path) ?? [];
  const asset = findAsset(`${stem}${extension}`);
  if (!asset || (ctx.method !== 'GET' && ctx.method !== 'HEAD')) return next();
  ctx.set({
    'Content-Type': asset.type,
    'X-Content-Type-Options': 'nosniff',
    'Cross-Origin-Resource-Policy': 'same-origin',
    // Another hash: during a rolling update, a page of one version asked a node of the other. An almost right file serves it
    // better than none, as long as nobody keeps it.
    'Cache-Control': hash === asset.hash ? 'public, max-age=31536000, immutable' : 'no-store',
  });
  ctx.body = asset.body;
}
