/** The catalogue of errors as a page: where every error leads whoever has to mend it. The text is docs/errors.md. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from 'koa';
import { type Html, html } from '../server/web/html.ts';
import { layout, type PageContext, sendPage } from '../server/web/page.ts';
import type { MakePage } from '../server/web/page-context.ts';

interface Section {
  title: string;
  paragraphs: string[];
}

/** Parsed once; the file has a title, headings of the second level and paragraphs, and nothing else. */
const [introduction, ...sections] = parse(
  readFileSync(join(import.meta.dirname, '../docs/errors.md'), 'utf8'),
) as [Section, ...Section[]];

function parse(text: string): Section[] {
  return text
    .split(/^#+ /m)
    .slice(1)
    .map((part) => {
      const [title = '', ...rest] = part.trim().split('\n\n');
      return { title, paragraphs: rest.map((paragraph) => paragraph.replaceAll('\n', ' ')) };
    });
}

/** GET /docs/errors */
export function showErrorDocs(makePage: MakePage, ctx: Context): void {
  sendPage(ctx, errorDocsView(makePage(ctx)), { status: 200, kind: 'portal' });
}

/** The codes are English, and so is their explanation, for everybody. */
export function errorDocsView(page: PageContext): Html {
  return layout(page, {
    title: introduction.title,
    kind: 'shell',
    body: html`<article class="stack" lang="en"><h1>${introduction.title}</h1>
${introduction.paragraphs.map(paragraph)}
${sections.map(
  ({ title, paragraphs }) =>
    html`<section class="card stack" id="${title}"><h2><code>${title}</code></h2>${paragraphs.map(paragraph)}</section>`,
)}</article>`,
  });
}

function paragraph(text: string): Html {
  const parts = text.split('`');
  return html`<p>${parts.map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part))}</p>`;
}
