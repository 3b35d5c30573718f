/**
 * Markup that is safe by construction.
 *
 * Owns: the `html` tag, the only maker of `Html`; the rule which addresses may stand in a link (`url`) and which paths belong to this
 * site (`isLocalPath`). Refuses: raw markup from anywhere. There is no "unescaped" function, so there is none to search for in a review.
 */

class Markup {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }
}

/** Finished markup. Only the `html` tag makes it; `String(x)` turns it into text. */
export type Html = Markup;

/** What may stand in a hole: a Date, an object or a Promise is a compile error, because its text is never what a page wants. */
export type Child = string | number | Html | readonly Child[] | null | undefined | false;

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const escape = (text: string) => text.replace(/[&<>"']/g, (character) => entities[character] ?? '');

/** Safe as text and inside a double- or single-quoted attribute. */
function render(child: Child): string {
  if (child === null || child === undefined || child === false) return '';
  if (child instanceof Markup) return child.toString();
  if (typeof child === 'string' || typeof child === 'number') return escape(String(child));
  return child.map(render).join('');
}

type Hole = 'value' | 'address' | 'tag';
type Place = 'text' | 'tag' | '"' | "'";

const address = /[\s"'](?:href|src|srcset|action|formaction)=["']$/;

function step(place: Place, character: string): Place {
  if (place === 'text') return character === '<' ? 'tag' : 'text';
  if (place !== 'tag') return character === place ? 'tag' : place;
  if (character === '"' || character === "'") return character;
  return character === '>' ? 'text' : 'tag';
}

/** Finds out where each hole stands. Escaping protects text and quoted attributes only, so another place is a mistake of ours. */
function findHoles(literals: readonly string[]): Hole[] {
  let place: Place = 'text';
  return literals.slice(0, -1).map((literal) => {
    for (const character of literal) place = step(place, character);
    if (place !== 'tag') return address.test(literal) ? 'address' : 'value';
    if (/=\s*$/.test(literal)) throw new TypeError(`attribute without quotes: ${literal.slice(-40)}`);
    return 'tag';
  });
}

const known = new WeakMap<TemplateStringsArray, Hole[]>();

function fill(hole: Hole, child: Child): string {
  if (hole === 'address' && typeof child === 'string') return escape(url(child) ?? 'about:invalid');
  if (hole === 'tag' && (typeof child === 'string' || typeof child === 'number'))
    throw new TypeError('only markup may stand inside a tag, outside of quotes');
  return render(child);
}

/**
 * Makes markup; everything interpolated is escaped, except what `html` itself made. A whole `href`, `src`, `action` or `formaction`
 * passes through `url()`; what it refuses becomes `about:invalid`.
 *
 * @example html`<a href="${client.homepage}"${current && html` aria-current="page"`}>${client.name}</a>`
 */
export function html(literals: TemplateStringsArray, ...children: Child[]): Html {
  let holes = known.get(literals);
  if (!holes) known.set(literals, (holes = findHoles(literals)));
  let text = literals[0] ?? '';
  for (const [index, child] of children.entries())
    text += fill(holes[index] ?? 'value', child) + (literals[index + 1] ?? '');
  return new Markup(text);
}

// Control characters, white space and backslashes: browsers drop or rewrite them before they parse an address.
// oxlint-disable-next-line no-control-regex
const unsettled = /[\u0000-\u0020\u007f-\u00a0\u2028\u2029\\]/;

/** Whether it is a path of this very site, safe to redirect to: one slash first, and nothing that a browser reads as another host. */
export function isLocalPath(path: string): boolean {
  return /^\/(?!\/)/.test(path) && !unsettled.test(path) && URL.canParse(path, 'http://local.invalid');
}

/** The address when a link may carry it: http, https, mailto, or a path of this site. Anything else is `undefined`. */
export function url(value: string): string | undefined {
  if (isLocalPath(value)) return value;
  return /^(?:https?:\/\/|mailto:)[^/]/i.test(value) && !unsettled.test(value) && URL.canParse(value)
    ? value
    : undefined;
}
