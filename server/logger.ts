/** The log: one JSON line an event, without secrets. */
import { type DestinationStream, type Logger, pino } from 'pino';

/** Paths under which a secret could be logged by mistake; nothing of ours puts one there. */
const redacted = [
  'password',
  'secret',
  'token',
  'code',
  'cookie',
  'authorization',
  '*.password',
  '*.secret',
  '*.token',
  '*.code',
  '*.client_secret',
  '*.code_verifier',
  '*.refresh_token',
  '*.access_token',
  'req.headers',
  'headers',
  'body',
  'err.config',
  'err.bindings',
  // The driver and the query builder put values into these.
  'err.detail',
  'err.where',
];

export function createLogger(level: string, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: null,
    redact: { paths: redacted, censor: '[redacted]' },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return destination ? pino(options, destination) : pino(options);
}
