import test from 'ava';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { brandColours, brandStylesheet, contrast, grounds, normaliseColour } from '../../server/web/brand.ts';

test('contrast is that of WCAG', (t) => {
  t.is(contrast('#000000', '#ffffff'), 21);
  t.is(contrast('#ffffff', '#ffffff'), 1);
  t.is(contrast('#777777', '#ffffff').toFixed(2), '4.48');
  t.is(contrast('#ffffff', '#777777'), contrast('#777777', '#ffffff'));
});

test('every brand colour becomes readable on every ground of both themes', (t) => {
  for (let value = 0; value < 0x1000000; value += 0x1357) {
    const colours = brandColours(`#${value.toString(16).padStart(6, '0')}`);
    for (const theme of ['light', 'dark'] as const)
      for (const ground of grounds[theme])
        t.true(contrast(colours[theme], ground) >= 4.5, `${colours[theme]} on ${ground}`);
  }
});

test('a colour that is readable already stays as it is', (t) => {
  t.is(brandColours('#3457d5').light, '#3457d5');
  t.is(brandColours('#8fa8ff').dark, '#8fa8ff');
});

test('the grounds are those of the stylesheet', (t) => {
  const css = readFileSync(join(import.meta.dirname, '../../server/web/assets/app.css'), 'utf8');
  const long = (colour: string) => normaliseColour(colour) ?? '';
  const token = (name: string) => {
    const [, light = '', dark = ''] =
      new RegExp(`--${name}: light-dark\\((#\\w+), (#\\w+)\\)`).exec(css) ?? [];
    return { light: long(light), dark: long(dark) };
  };
  for (const name of ['bg', 'surface', 'raised', 'on-accent'])
    for (const theme of ['light', 'dark'] as const)
      t.true((grounds[theme] as readonly string[]).includes(token(name)[theme]), `--${name} ${theme}`);
});

test('only a colour is a colour', (t) => {
  t.is(normaliseColour('#ABC'), '#aabbcc');
  t.is(normaliseColour(' 3457D5 '), '#3457d5');
  for (const text of ['', 'red', '#12345', '#1234567', '#fff;}*{display:none', 'url(//evil)', '#12 456'])
    t.is(normaliseColour(text), undefined, text);
});

test('the stylesheet sets the two tokens and nothing else', (t) => {
  t.is(brandStylesheet('#3457d5').replace(/#[\da-f]{6}/g, '#'), ':root { --brand: #; --brand-dark: #; }\n');
});
