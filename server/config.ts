/**
 * The only reader of the environment: `parseConfig(env)` is pure and gives one frozen, typed value.
 *
 * Owns: every setting, its default, its description and the rules between settings.
 * Refuses: to start half configured. All problems are reported at once, each with the line to add.
 */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { z } from 'zod';

const duration = z
  .string()
  .regex(/^\d+(s|m|h|d)$/, 'use a number and a unit: 90s, 15m, 8h, 30d')
  .transform((text) => Number(text.slice(0, -1)) * { s: 1, m: 60, h: 3600, d: 86400 }[text.slice(-1) as 's']);

const flag = z.enum(['true', 'false']).transform((text) => text === 'true');
const httpUrl = z.url({ protocol: /^https?$/, message: 'use an absolute http(s) URL' });
const colour = z.string().regex(/^#[0-9a-f]{6}$/i, 'use a colour such as #3457d5');

function isNetworkList(text: string): boolean {
  return text.split(',').every((entry) => {
    const [address = '', prefix, ...rest] = entry.trim().split('/');
    const bits = isIP(address) === 6 ? 128 : 32;
    const fits = prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits);
    return entry.trim() === '' || (isIP(address) !== 0 && fits && rest.length === 0);
  });
}

/** Every variable: its schema and one line of description. `secret` ones can also be given as `NAME_FILE`. */
export const variables = {
  MODE: {
    schema: z.enum(['development', 'production']).optional(),
    about: 'development or production; when absent it follows NODE_ENV, and is development otherwise',
  },
  ISSUER: {
    schema: httpUrl.optional(),
    about: 'the address that people and apps use, without a path; https in production',
    fallback: 'http://localhost:3000',
  },
  HOST: {
    schema: z.string().optional(),
    about: 'address to listen on',
    fallback: '127.0.0.1, 0.0.0.0 in production',
  },
  PORT: {
    schema: z.coerce.number().int().min(0).max(65535).optional(),
    about: 'port to listen on',
    fallback: "the issuer's port, 3000 behind a proxy",
  },
  DATA_DIR: {
    schema: z.string().default('./data'),
    about: 'folder of the embedded database, the key file and the admin socket',
  },
  DATABASE_URL: {
    schema: z
      .string()
      .regex(/^(postgres(ql)?:\/\/|pglite:)/, 'use postgres://user:password@host/name or pglite:PATH')
      .optional(),
    about: 'PostgreSQL server, or pglite:PATH for the embedded database on a single node',
    fallback: 'pglite:<DATA_DIR>/db in development',
    secret: true,
  },
  DATABASE_POOL: {
    schema: z.coerce.number().int().min(1).max(200).default(10),
    about: 'connections to a PostgreSQL server',
  },
  DATABASE_PREPARED: {
    schema: flag.default(true),
    about: 'named prepared statements; turn off behind a transaction-mode pooler that cannot keep them',
  },
  ENCRYPTION_KEY: {
    schema: z
      .string()
      .regex(
        /^[A-Za-z0-9_-]{43}=?$/,
        'use 32 random bytes in base64url: openssl rand 32 | basenc --base64url',
      )
      .optional(),
    about: 'key that protects every key and secret in the database; 32 random bytes in base64url',
    fallback: '<DATA_DIR>/encryption.key, made once, in development',
    secret: true,
  },
  TRUST_PROXY: {
    schema: z
      .string()
      .default('')
      .refine(isNetworkList, 'use addresses and networks such as 10.0.0.5, 10.1.0.0/16, fd00::/8'),
    about:
      'addresses or networks of the proxies in front, separated by commas; forwarded headers from others are ignored',
  },
  TLS_CERT_FILE: {
    schema: z.string().optional(),
    about: 'certificate chain (PEM) to serve https without a proxy',
  },
  TLS_KEY_FILE: { schema: z.string().optional(), about: 'private key (PEM) of TLS_CERT_FILE' },
  LOG_LEVEL: {
    schema: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
    about: 'least severe level that is logged',
  },
  METRICS_PORT: {
    schema: z.coerce.number().int().min(1).max(65535).optional(),
    about: 'port of the Prometheus metrics, /metrics; off when absent',
  },
  METRICS_HOST: {
    schema: z.string().default('127.0.0.1'),
    about: 'address that the metrics listen on',
  },
  SESSION_IDLE: {
    schema: duration.default(3600),
    about: 'a session ends after this much inactivity',
    fallback: '1h',
  },
  SESSION_ABSOLUTE: {
    schema: duration.default(86400),
    about: 'a session ends this long after sign-in, whatever happens',
    fallback: '24h',
  },
  ACCESS_TOKEN_TTL: {
    schema: duration.default(3600),
    about: 'life of access tokens that no API shortens; 24h at most',
    fallback: '1h',
  },
  REFRESH_TOKEN_TTL: {
    schema: duration.default(2592000),
    about: 'absolute life of a family of refresh tokens',
    fallback: '30d',
  },
  REFRESH_GRACE: {
    schema: duration.default(10),
    about: 'a retried refresh gets the same successor for this long; 0s turns it off',
    fallback: '10s',
  },
  ARGON2_MEMORY_MIB: {
    schema: z.coerce.number().int().min(19).max(1024).default(19),
    about: 'memory of one password hash, in MiB',
  },
  ARGON2_PASSES: {
    schema: z.coerce.number().int().min(2).max(20).default(2),
    about: 'passes of one password hash',
  },
  PASSWORD_MIN_LENGTH: {
    schema: z.coerce.number().int().min(8).max(64).default(12),
    about: 'least length of a new password',
  },
  ALLOW_PRIVATE_NETWORK_FETCH: {
    schema: flag.default(false),
    about:
      'lets the server fetch client URLs on loopback and private addresses; for development and tests only',
  },
  SIGNING_KEY_CACHE: {
    schema: duration.default(600),
    about: 'how long others may cache the JWKS; a next key waits at least this long',
    fallback: '10m',
  },
  SIGNING_KEY_ROTATION: {
    schema: duration.default(7_776_000),
    about: 'a signing key is replaced after this long',
    fallback: '90d',
  },
  PRODUCT_NAME: { schema: z.string().min(1).max(60).default('Gatehouse'), about: 'name shown on every page' },
  BRAND_COLOUR: {
    schema: colour.optional(),
    about: 'one colour for buttons and links; its contrast is corrected',
  },
  LOGO_FILE: {
    schema: z.string().optional(),
    about: 'logo (svg, png or webp) shown on the pages; re-served by this server',
  },
  LOGO_DARK_FILE: { schema: z.string().optional(), about: 'logo for the dark theme' },
  TERMS_URL: { schema: httpUrl.optional(), about: 'terms of service, linked in the footer' },
  PRIVACY_URL: { schema: httpUrl.optional(), about: 'privacy policy, linked in the footer' },
  IMPRINT_URL: { schema: httpUrl.optional(), about: 'imprint or contact page, linked in the footer' },
  DEMO: {
    schema: flag.optional(),
    about: 'starts the demo app on http://demo.localhost:3001',
    fallback: 'true in development on a localhost issuer',
  },
  DEMO_PORT: {
    schema: z.coerce.number().int().min(1).max(65535).default(3001),
    about: 'port of the demo app, on 127.0.0.1',
  },
} as const satisfies Record<
  string,
  { schema: z.ZodType; about: string; fallback?: string; secret?: boolean }
>;

/** The table for people: every variable, what it means, and what holds when it is absent. */
export function describeVariables(): { name: string; about: string; fallback: string; secret: boolean }[] {
  return Object.entries(variables).map(([name, variable]) => {
    const { about } = variable;
    const parsed = variable.schema.safeParse(undefined);
    const fallback =
      'fallback' in variable
        ? variable.fallback
        : parsed.success && parsed.data !== undefined
          ? String(parsed.data)
          : '';
    return { name, about, fallback, secret: 'secret' in variable };
  });
}

type Name = keyof typeof variables;
type Values = { [K in Name]: z.output<(typeof variables)[K]['schema']> };

export interface Config {
  mode: 'development' | 'production';
  /** Issuer identifier without a trailing slash (RFC 8414 section 2). */
  issuer: string;
  listen: { host: string; port: number; tls: { certFile: string; keyFile: string } | undefined };
  /** Addresses or CIDR networks whose forwarded headers are believed. */
  trustProxy: readonly string[];
  dataDir: string;
  database: {
    kind: 'pglite' | 'postgres';
    /** Connection string, or the folder of the embedded database (`memory://` keeps it in memory). */
    url: string;
    poolSize: number;
    prepared: boolean;
  };
  /** Key-encryption key given by the operator; undefined: the key file in `dataDir`, made on the first start. */
  encryptionKey: Buffer | undefined;
  logLevel: string;
  metrics: { host: string; port: number } | undefined;
  session: { idleSeconds: number; absoluteSeconds: number };
  tokens: { accessSeconds: number; refreshSeconds: number; refreshGraceSeconds: number };
  passwords: { memoryMib: number; passes: number; minLength: number };
  allowPrivateNetworkFetch: boolean;
  signingKeys: { cacheSeconds: number; rotateAfterSeconds: number };
  branding: {
    productName: string;
    brandColour: string | undefined;
    logoFile: string | undefined;
    logoDarkFile: string | undefined;
    terms: string | undefined;
    privacy: string | undefined;
    imprint: string | undefined;
  };
  demo: { enabled: boolean; port: number };
}

/** All problems of one environment; `message` lists them with the line to add. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`The configuration is not complete:\n${problems.map((p) => `  - ${p}`).join('\n')}`);
    this.problems = problems;
  }
}

/** The longest life of a JWT access token, for which a revoked handle is kept. */
export const MAX_JWT_SECONDS = 86400;

/**
 * Reads and checks the whole environment.
 *
 * @throws {ConfigError} naming every problem at once
 */
export function parseConfig(env: Record<string, string | undefined>): Config {
  const problems: string[] = [];
  const values = readValues(env, problems);
  const mode = values.MODE ?? (env['NODE_ENV'] === 'production' ? 'production' : 'development');
  if (mode === 'production') requireForProduction(values, problems);
  if (values.ISSUER) checkIssuer(values.ISSUER, mode, values, problems);
  checkTogether(values, problems);
  if (problems.length > 0) throw new ConfigError(problems);

  const issuer = new URL(values.ISSUER ?? 'http://localhost:3000');
  const tls =
    values.TLS_CERT_FILE && values.TLS_KEY_FILE
      ? { certFile: values.TLS_CERT_FILE, keyFile: values.TLS_KEY_FILE }
      : undefined;
  const dataDir = resolve(values.DATA_DIR);
  return deepFreeze({
    mode,
    issuer: issuer.origin,
    listen: {
      host: values.HOST ?? (mode === 'production' ? '0.0.0.0' : '127.0.0.1'),
      port: values.PORT ?? defaultPort(issuer, tls !== undefined),
      tls,
    },
    trustProxy: values.TRUST_PROXY.split(',')
      .map((hop) => hop.trim())
      .filter(Boolean),
    dataDir,
    database: databaseOf(values, dataDir),
    encryptionKey: values.ENCRYPTION_KEY ? Buffer.from(values.ENCRYPTION_KEY, 'base64url') : undefined,
    logLevel: values.LOG_LEVEL,
    metrics: values.METRICS_PORT ? { host: values.METRICS_HOST, port: values.METRICS_PORT } : undefined,
    session: { idleSeconds: values.SESSION_IDLE, absoluteSeconds: values.SESSION_ABSOLUTE },
    tokens: {
      accessSeconds: values.ACCESS_TOKEN_TTL,
      refreshSeconds: values.REFRESH_TOKEN_TTL,
      refreshGraceSeconds: values.REFRESH_GRACE,
    },
    passwords: {
      memoryMib: values.ARGON2_MEMORY_MIB,
      passes: values.ARGON2_PASSES,
      minLength: values.PASSWORD_MIN_LENGTH,
    },
    allowPrivateNetworkFetch: values.ALLOW_PRIVATE_NETWORK_FETCH,
    signingKeys: { cacheSeconds: values.SIGNING_KEY_CACHE, rotateAfterSeconds: values.SIGNING_KEY_ROTATION },
    branding: {
      productName: values.PRODUCT_NAME,
      brandColour: values.BRAND_COLOUR,
      logoFile: values.LOGO_FILE,
      logoDarkFile: values.LOGO_DARK_FILE,
      terms: values.TERMS_URL,
      privacy: values.PRIVACY_URL,
      imprint: values.IMPRINT_URL,
    },
    demo: {
      enabled: values.DEMO ?? (mode === 'development' && isLocalhost(issuer)),
      port: values.DEMO_PORT,
    },
  });
}

/** `localhost` and the names below it, which never leave the machine. */
export function isLocalhost(url: URL): boolean {
  return url.hostname === 'localhost' || url.hostname.endsWith('.localhost');
}

function readValues(env: Record<string, string | undefined>, problems: string[]): Values {
  const values: Record<string, unknown> = {};
  for (const [name, variable] of Object.entries(variables)) {
    let text = env[name] === '' ? undefined : env[name];
    const file = 'secret' in variable ? env[`${name}_FILE`] : undefined;
    if (text === undefined && file) {
      try {
        text = readFileSync(file, 'utf8').trim();
      } catch (error) {
        problems.push(`${name}_FILE=${file} cannot be read: ${(error as Error).message}`);
        continue;
      }
    }
    const parsed = variable.schema.safeParse(text);
    if (parsed.success) values[name] = parsed.data;
    else
      problems.push(
        `${name}: ${parsed.error.issues.map((issue) => issue.message).join(', ')} (${variable.about})`,
      );
  }
  return values as Values;
}

function requireForProduction(values: Values, problems: string[]): void {
  if (!values.ISSUER) problems.push('ISSUER is missing; add ISSUER=https://id.example.com');
  if (!values.DATABASE_URL) {
    problems.push(
      'DATABASE_URL is missing; add DATABASE_URL=postgres://user:password@host/gatehouse (or pglite:/data/db for a single node)',
    );
  }
  if (!values.ENCRYPTION_KEY) {
    problems.push(
      'ENCRYPTION_KEY is missing; add ENCRYPTION_KEY_FILE=/run/secrets/encryption_key, a file with the output of: openssl rand 32 | basenc --base64url',
    );
  }
  if (values.DEMO) problems.push('DEMO=true is refused in production; remove it');
}

function checkIssuer(issuer: string, mode: string, values: Values, problems: string[]): void {
  const url = new URL(issuer);
  if (url.pathname !== '/' || url.search || url.hash || url.username) {
    problems.push(`ISSUER=${issuer} must be an origin only; use ISSUER=${url.origin}`);
  }
  if (mode === 'production' && url.protocol !== 'https:') {
    problems.push(`ISSUER=${issuer} must be https in production; use ISSUER=https://${url.host}`);
  }
  if (
    values.ALLOW_PRIVATE_NETWORK_FETCH &&
    url.protocol === 'https:' &&
    !isLocalhost(url) &&
    mode === 'production'
  ) {
    problems.push('ALLOW_PRIVATE_NETWORK_FETCH=true is refused on a public issuer; remove it');
  }
}

function checkTogether(values: Values, problems: string[]): void {
  if (Boolean(values.TLS_CERT_FILE) !== Boolean(values.TLS_KEY_FILE)) {
    problems.push('TLS_CERT_FILE and TLS_KEY_FILE go together; add the one that is missing');
  }
  if (values.ACCESS_TOKEN_TTL > MAX_JWT_SECONDS) problems.push('ACCESS_TOKEN_TTL can be 24h at most');
  if (values.SESSION_IDLE > values.SESSION_ABSOLUTE) {
    problems.push('SESSION_IDLE is longer than SESSION_ABSOLUTE; lower it');
  }
}

function defaultPort(issuer: URL, servesTls: boolean): number {
  if (issuer.protocol === 'https:' && !servesTls) return 3000;
  return Number(issuer.port || (issuer.protocol === 'https:' ? 443 : 80));
}

function databaseOf(values: Values, dataDir: string): Config['database'] {
  const url = values.DATABASE_URL ?? `pglite:${resolve(dataDir, 'db')}`;
  const embedded = url.startsWith('pglite:');
  return {
    kind: embedded ? 'pglite' : 'postgres',
    url: embedded ? url.slice('pglite:'.length) : url,
    poolSize: embedded ? 1 : values.DATABASE_POOL,
    prepared: values.DATABASE_PREPARED,
  };
}

function deepFreeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) {
    if (part && typeof part === 'object' && !Buffer.isBuffer(part)) deepFreeze(part);
  }
  return Object.freeze(value);
}
