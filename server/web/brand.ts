/**
 * The operator's one colour, made readable.
 *
 * Owns: WCAG contrast and the stylesheet that sets `--brand` and `--brand-dark`. Refuses: anything but one colour. The tokens of app.css
 * do the rest, so that no operator can make a sign-in page that people with weak eyes cannot use.
 */

type Rgb = readonly [number, number, number];

const parse = (hex: string): Rgb => {
  const value = Number.parseInt(hex.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
};
const write = (rgb: Rgb): string =>
  `#${rgb.map((channel) => Math.round(channel).toString(16).padStart(2, '0')).join('')}`;

/** WCAG 2.2, definition of relative luminance. */
function luminance(hex: string): number {
  const [red, green, blue] = parse(hex).map((channel) => {
    const share = channel / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as unknown as Rgb;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Contrast ratio of two colours written `#rrggbb`, from 1 to 21 (WCAG 2.2, definition of contrast ratio). */
export function contrast(one: string, other: string): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

/** What the accent stands on or under, from app.css: the page, the surfaces, and the label of a primary button. */
export const grounds = {
  light: ['#f5f6f8', '#ffffff'],
  dark: ['#0f1115', '#171a21', '#1e222b', '#0d1224'],
} as const;

const least = 4.5;

/** Moves a colour towards white or black, by as little as makes it readable on all the grounds. */
function readable(hex: string, on: readonly string[], towards: string): string {
  const from = parse(hex);
  const to = parse(towards);
  for (let step = 0; step <= 50; step += 1) {
    const mixed = write(
      from.map((channel, index) => channel + ((to[index] ?? 0) - channel) * (step / 50)) as unknown as Rgb,
    );
    if (on.every((ground) => contrast(mixed, ground) >= least)) return mixed;
  }
  return towards;
}

/** `#rgb` or `#rrggbb` in lower case with six digits, or undefined when it is no colour. */
export function normaliseColour(colour: string): string | undefined {
  const [, digits] = /^#?([\da-f]{3}|[\da-f]{6})$/i.exec(colour.trim()) ?? [];
  if (!digits) return undefined;
  const six = digits.length === 3 ? digits.replace(/./g, '$&$&') : digits;
  return `#${six.toLowerCase()}`;
}

/** The accent of both themes: readable as text, and under the label of a button, at 4.5:1 or more. */
export const brandColours = (colour: string): { light: string; dark: string } => ({
  light: readable(colour, grounds.light, '#000000'),
  dark: readable(colour, grounds.dark, '#ffffff'),
});

/** @param colour as `normaliseColour` returns it */
export function brandStylesheet(colour: string): string {
  const { light, dark } = brandColours(colour);
  // Unlayered, so it wins over every layer of app.css.
  return `:root { --brand: ${light}; --brand-dark: ${dark}; }\n`;
}
