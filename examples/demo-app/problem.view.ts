/** Something went wrong, and here is the way on. */
import { type Html, html } from '../../server/web/html.ts';
import { page } from './page.view.ts';
import type { Problem } from './problem.ts';

export function problemView({ status, title, text, code }: Problem): Html {
  // Signing in again mends a failed flow; nothing that a visitor does mends a missing page or a defect.
  const again = status !== 404 && status !== 500;
  return page(
    `Error: ${title}`,
    html`<section class="card narrow" role="alert">
<h1>${title}</h1>
<p>${text}</p>
<div class="actions">${again && html`<a class="btn primary" id="try-again" href="/sign-in">Try again</a>`}<a class="btn" href="/">Back to the start</a></div>
${code !== undefined && html`<p class="muted small">Code: <code id="problem-code">${code}</code></p>`}
</section>`,
  );
}
