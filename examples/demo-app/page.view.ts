/** The frame of the demo's pages. Server rendered, without a script: it works in every browser. */
import { type Child, type Html, html } from '../../server/web/html.ts';

/** Says once what has just happened. `autofocus` lets a screen reader begin there. */
const noticeLine = (notice: string): Html =>
  html`<p class="notice" role="status" tabindex="-1" autofocus>${notice}</p>`;

export function page(title: string, body: Html, notice?: string): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} · Demo Shop</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/demo.css">
</head>
<body>
<header><a class="shop" href="/"><img src="/icon.svg" alt="" width="28" height="28">Demo Shop</a><span class="tag">example app</span></header>
<main>
${notice !== undefined && noticeLine(notice)}
${body}
</main>
<footer><p>An example of an application that uses Gatehouse. Its code is in <code>examples/demo-app</code>.</p></footer>
</body>
</html>
`;
}

/** Names and values; a value may be markup. */
export const facts = (rows: readonly (readonly [string, Child])[]): Html =>
  html`<dl>${rows.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;

/** JSON behind a summary, for the curious. */
export const fold = (summary: string, ...values: object[]): Html => html`<details>
<summary>${summary}</summary>
${values.map((value) => html`<pre>${JSON.stringify(value, null, 2)}</pre>`)}
</details>`;

const clock = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium', timeZone: 'UTC' });

/** A moment today, for machines and for people. */
export const moment = (date: Date): Html =>
  html`<time datetime="${date.toISOString()}">${clock.format(date)} UTC</time>`;
