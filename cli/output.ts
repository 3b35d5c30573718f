/** What a person reads: short tables and lists of facts. Control characters never reach the terminal. */

export type Cell = string | number | boolean | null | undefined | readonly string[];

/** Where a command writes. */
export interface Output {
  /** Answers are JSON on one line. */
  json: boolean;
  write(text: string): void;
}

/** One JSON document, or what `human` makes of it. */
export function print<T>(output: Output, result: T, human: (result: T) => string): void {
  output.write(output.json ? `${JSON.stringify(result)}\n` : human(result));
}

/** Columns as wide as their longest cell. */
export function table(head: readonly string[], rows: readonly (readonly Cell[])[], empty: string): string {
  if (rows.length === 0) return `${empty}\n`;
  const lines = [head, ...rows.map((row) => row.map(text))];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => width(line[column] ?? ''))));
  return lines
    .map(
      (line) =>
        `${line
          .map((cell, column) => pad(cell, widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** One fact a line; those without a value are left out. */
export function facts(entries: Readonly<Record<string, Cell>>): string {
  const shown = Object.entries(entries).filter(([, value]) => text(value) !== '');
  const widest = Math.max(...shown.map(([name]) => width(name)));
  return shown.map(([name, value]) => `${pad(name, widest)}  ${text(value)}\n`).join('');
}

/** Names come from people and apps: an escape sequence or a change of direction in one could rewrite what the operator sees. */
export function clean(value: string): string {
  return value.replace(/[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu, '\ufffd');
}

function text(value: Cell): string {
  if (value === null || value === undefined || value === false) return '';
  if (value === true) return 'yes';
  return clean(typeof value === 'object' ? value.join(' ') : String(value));
}

/** Chinese, Japanese and Korean characters take two columns. */
function width(value: string): number {
  return [...value].reduce(
    (sum, character) =>
      sum +
      (/[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/.test(
        character,
      )
        ? 2
        : 1),
    0,
  );
}

function pad(value: string, to: number): string {
  return value + ' '.repeat(Math.max(to - width(value), 0));
}
