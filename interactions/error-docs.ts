/** Where every error leads whoever has to mend it. The text is docs/errors.md. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from 'koa';
import { sendPage } from '../server/web/page.ts';
import type { MakePage } from '../server/web/page-context.ts';
import { type ErrorSection, errorDocsView } from './error-docs.view.ts';

/** Parsed once; the file has a title, headings of the second level and paragraphs, and nothing else. */
const [introduction, ...sections] = parse(
  readFileSync(join(import.meta.dirname, '../docs/errors.md'), 'utf8'),
) as [ErrorSection, ...ErrorSection[]];

/** GET /docs/errors */
export function showErrorDocs(makePage: MakePage, ctx: Context): void {
  sendPage(ctx, errorDocsView(makePage(ctx), { introduction, sections }), { status: 200, kind: 'portal' });
}

function parse(text: string): ErrorSection[] {
  return text
    .split(/^#+ /m)
    .slice(1)
    .map((part) => {
      const [title = '', ...rest] = part.trim().split('\n\n');
      return { title, paragraphs: rest.map((paragraph) => paragraph.replaceAll('\n', ' ')) };
    });
}
