/** What a try prints: each request and answer, with the values of secrets and tokens shortened, and the first surprise. */
import { clean, type Output } from '../output.ts';

/** Something came that should not have; the try ends here. */
export class Surprise extends Error {
  override readonly name = 'Surprise';
  readonly what: string;
  readonly expected: string;
  readonly got: string;

  constructor(what: string, expected: string, got: string) {
    super(`${what}\n  expected  ${clean(expected)}\n  got       ${clean(got)}`);
    this.what = what;
    this.expected = expected;
    this.got = got;
  }
}

type Kind = 'sent' | 'answered' | 'checked' | 'noted';
const signs: Record<Kind, string> = { sent: '→', answered: '←', checked: '✓', noted: ' ' };

interface Step {
  title: string;
  lines: { kind: Kind; text: string }[];
}

export interface Report {
  step(title: string): void;
  line(kind: Kind, text: string): void;
  /** @throws {Surprise} when they differ */
  equal(what: string, expected: unknown, got: unknown): void;
  /** @throws {Surprise} when it does not hold */
  holds(what: string, isTrue: boolean, got: unknown): void;
  /** Ends the report; as JSON this is the moment it is written. */
  end(surprise?: Surprise): void;
}

export function createReport(output: Output): Report {
  const steps: Step[] = [];
  const say = (text: string) => {
    if (!output.json) output.write(text);
  };
  const report: Report = {
    step(title) {
      steps.push({ title, lines: [] });
      say(`\n${String(steps.length).padStart(2)}  ${title}\n`);
    },
    line(kind, text) {
      steps.at(-1)?.lines.push({ kind, text });
      say(`    ${signs[kind]} ${clean(text)}\n`);
    },
    equal(what, expected, got) {
      if (expected !== got) throw new Surprise(what, show(expected), show(got));
      report.line('checked', `${what} is ${show(expected)}`);
    },
    holds(what, isTrue, got) {
      if (!isTrue) throw new Surprise(what, 'that it holds', show(got));
      report.line('checked', what);
    },
    end(surprise) {
      if (output.json) {
        const { what, expected, got } = surprise ?? {};
        output.write(
          `${JSON.stringify({ ok: !surprise, ...(surprise ? { surprise: { what, expected, got } } : {}), steps })}\n`,
        );
      } else if (!surprise) output.write('\nEverything went as expected.\n');
    },
  };
  return report;
}

function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Members and parameters whose value opens something, or is too long to read. */
const shortened = new Set([
  'access_token',
  'client_secret',
  'code',
  'code_challenge',
  'code_verifier',
  'id_token',
  'id_token_hint',
  'nonce',
  'password',
  'refresh_token',
  'state',
  'token',
]);

const SHOWN = 8;

/** The first characters and the length. */
export function shorten(value: string): string {
  return value.length <= SHOWN ? '…' : `${value.slice(0, SHOWN)}… (${value.length} characters)`;
}

/** `name=value` for each member, shortened where it must be. */
export function describe(members: Readonly<Record<string, unknown>>): string {
  return Object.entries(members)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => {
      const text = typeof value === 'string' ? value : JSON.stringify(value);
      return `${name}=${shortened.has(name) ? shorten(text) : text}`;
    })
    .join('  ');
}
