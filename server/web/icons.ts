/** Drawings that pages share; decoration only, the words stand beside them. */
import { type Html, html } from './html.ts';

const icon = (paths: Html) =>
  html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">${paths}</svg>`;

/** An arch: the sign of a product that has no logo of its own. */
export const arch = html`<svg class="arch" viewBox="0 0 32 32" aria-hidden="true" focusable="false"><rect width="32" height="32" rx="8"/><path d="M8.5 25V15.5a7.5 7.5 0 0 1 15 0V25h-4.2v-9.3a3.3 3.3 0 0 0-6.6 0V25z"/></svg>`;

export const screen = icon(
  html`<rect x="3" y="4.5" width="18" height="12" rx="2"/><path d="M9 20h6M12 16.5V20"/>`,
);

export const sun = icon(
  html`<circle cx="12" cy="12" r="4"/><path d="M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M18.7 5.3l-1.4 1.4M6.7 17.3l-1.4 1.4"/>`,
);

export const moon = icon(html`<path d="M20 14.2A8.3 8.3 0 0 1 9.8 4a8.3 8.3 0 1 0 10.2 10.2Z"/>`);

export const globe = icon(
  html`<circle cx="12" cy="12" r="9"/><path d="M3 12h18M12 3c2.5 2.6 3.7 5.6 3.7 9s-1.2 6.4-3.7 9c-2.5-2.6-3.7-5.6-3.7-9S9.5 5.6 12 3Z"/>`,
);

export const chevron = icon(html`<path d="m9.5 6 6 6-6 6"/>`);

export const alert = icon(html`<circle cx="12" cy="12" r="9"/><path d="M12 7.5v5.2M12 16.3v.1"/>`);

export const check = icon(html`<circle cx="12" cy="12" r="9"/><path d="m8 12.3 2.8 2.8L16 9.5"/>`);

export const person = icon(html`<circle cx="12" cy="8.5" r="3.8"/><path d="M4.8 20a7.3 7.3 0 0 1 14.4 0"/>`);

export const clock = icon(html`<circle cx="12" cy="12" r="9"/><path d="M12 7v5.2l3.3 2"/>`);
