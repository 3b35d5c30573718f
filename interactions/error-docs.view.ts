/** The catalogue of errors as a page. The codes are English, and so is their explanation, for everybody. */
import { type Html, html } from '../server/web/html.ts';
import { layout, type PageContext } from '../server/web/page.ts';

export interface ErrorSection {
  /** The code; the introduction has the title of the page. */
  title: string;
  /** Text in which back-ticks mark code. */
  paragraphs: readonly string[];
}

export interface ErrorDocsProps {
  introduction: ErrorSection;
  sections: readonly ErrorSection[];
}

export function errorDocsView(page: PageContext, { introduction, sections }: ErrorDocsProps): Html {
  return layout(page, {
    title: page.t('errorDocs.title'),
    kind: 'shell',
    body: html`<h1>${page.t('errorDocs.title')}</h1>
<article class="stack" lang="en">
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

export const states: Record<string, ErrorDocsProps> = {
  some: {
    introduction: { title: 'Errors', paragraphs: ['1'] },
    sections: [
      { title: 'invalid_grant', paragraphs: ['400'] },
      { title: 'invalid_target', paragraphs: ['`resource`'] },
    ],
  },
};
