/** The demo as part of a development server: seeds what it needs and serves it. */
import type { Logger } from 'pino';
import type { Services } from '../../server/app.ts';
import type { Config } from '../../server/config.ts';
import { startDemo } from './app.ts';
import { seedDemo } from './seed.ts';

/** A demo that runs until it is disposed. */
export interface RunningDemo extends AsyncDisposable {
  url: string;
  /** Whom to sign in as; the password is on the demo's own page. */
  person: string;
}

/**
 * Seeds and starts the demo on `config.demo.port`.
 *
 * @throws {ListenError} when the port is taken
 */
export async function runDemo({
  services,
  config,
  logger,
}: {
  services: Services;
  config: Config;
  logger: Logger;
}): Promise<RunningDemo> {
  // config.ts refuses DEMO in production already; this is a second lock on a door that must never open.
  if (config.mode === 'production') throw new Error('the demo is for development only');
  const { port } = config.demo;
  const settings = await seedDemo(services, config.dataDir, { port });
  const demo = await startDemo({ issuer: config.issuer, port, settings, logger });
  return {
    url: demo.url,
    person: settings.person.identifier,
    [Symbol.asyncDispose]: () => demo[Symbol.asyncDispose](),
  };
}
