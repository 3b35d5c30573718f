/**
 * The whole service as one function: what it is made of, and in which order a request meets it.
 *
 * `buildApp` is all of the dependency injection there is; the tests call the same function as main.ts.
 */
import Router from '@koa/router';
import Koa, { type Context, type Middleware } from 'koa';
import type { Knex } from 'knex';
import type { Logger } from 'pino';
import { createAdapter } from '../adapters/oidc/adapter.ts';
import { migrate } from '../db/migrate.ts';
import { isStoreFailure } from '../db/store-failure.ts';
import { showDeadEnd } from '../interactions/dead-end.ts';
import { createEnginePages } from '../interactions/engine-pages.ts';
import { showErrorDocs } from '../interactions/error-docs.ts';
import { type JourneyDeps, LostJourney } from '../interactions/journey.ts';
import { showProblem } from '../interactions/problem-page.ts';
import { mountInteractions } from '../interactions/routes.ts';
import { mountPortal } from '../portal/routes.ts';
import { redirectToSignIn } from '../portal/session.ts';
import { createApiDirectory } from './access/api-directory.ts';
import { ensureBuiltInApi } from './access/built-in-api.ts';
import type { AccountDeps } from './accounts/accounts.ts';
import { type Audit, createAudit } from './audit/audit.ts';
import { findLogo } from './clients/logos.ts';
import { ensurePortalClient } from './clients/portal-client.ts';
import { type Config, MAX_JWT_SECONDS } from './config.ts';
import { createPasswordHasher } from './credentials/password-hasher.ts';
import { AppError, notFound, storeUnavailable } from './errors.ts';
import { createGrantRevocation, type GrantRevocation } from './grants/revocation.ts';
import { type BrandImage, readBrandImage, sendImage } from './images.ts';
import { createExpiryJob } from './jobs/expiry.ts';
import { watchConfig } from './jobs/config-watch.ts';
import { type Job, startJobs } from './jobs/jobs.ts';
import { type Keyring, type KeySource, openKeyring } from './keys/keyring.ts';
import { loadServerSecrets, type ServerSecrets } from './keys/server-secrets.ts';
import {
  createMissingSigningKeys,
  type KeyPlan,
  loadSigningKeys,
  type SigningAlgorithm,
  tendSigningKeys,
} from './keys/signing-keys.ts';
import { createProvider } from './oidc/create.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { assembleEngine, type Engine, serveEngine } from './oidc/engine.ts';
import { createJwtAccessTokens } from './oidc/jwt-access-tokens.ts';
import { createMachineTokens } from './oidc/machine-tokens.ts';
import { engineRoute } from './oidc/routes.ts';
import { LocalSigningKey } from './oidc/signing-key.ts';
import { createClientHandles } from './oidc/token-claims.ts';
import { serveAssets } from './web/assets/assets.ts';
import { pageHeaders } from './web/csp.ts';
import { createCsrf } from './web/csrf.ts';
import { health } from './web/health.ts';
import type { Branding } from './web/page.ts';
import { createMakePage, type MakePage } from './web/page-context.ts';
import { preferences } from './web/preferences.ts';
import { sendOAuthError, sendProblem } from './web/problem.ts';
import { createRequestContext } from './web/request.ts';

export interface AppDeps {
  config: Config;
  db: Knex;
  logger: Logger;
  /** The key-encryption key. */
  encryptionKey: Buffer | KeySource;
}

/** What the command line and the pages share: the domains that change something. */
export interface Services {
  db: Knex;
  config: Config;
  audit: Audit;
  accounts: AccountDeps;
  grants: GrantRevocation;
  signingKeyPlan: KeyPlan;
}

export interface App {
  koa: Koa;
  metrics: Metrics;
  services: Services;
  /** What this start made: migrations and keys. */
  made: { migrations: string[]; signingKeys: SigningAlgorithm[] };
  /** Starts the jobs and the watch over changes of other nodes, until disposed. */
  startBackground(): Promise<AsyncDisposable>;
}

/** The services, and what lies under them. */
export interface Foundation {
  services: Services;
  keyring: Keyring;
  secrets: ServerSecrets;
  /** Names of the migrations that this call applied. */
  migrations: string[];
}

/**
 * Brings the database up to date, opens its keys and makes the services over it. Follows no setting of the server: the command
 * line calls this too, perhaps with another environment than the server's.
 *
 * @throws {KeyError} when the encryption key is not the one that the database was made with
 */
export async function buildServices({ config, db, logger, encryptionKey }: AppDeps): Promise<Foundation> {
  const migrations = await migrate(db);
  const keyring = await openKeyring(db, encryptionKey);
  const secrets = await loadServerSecrets(db, keyring);
  const audit = createAudit(logger);
  const hasher = await createPasswordHasher(config.passwords);
  const services: Services = {
    db,
    config,
    audit,
    accounts: { audit, hasher, passwordMinLength: config.passwords.minLength },
    grants: createGrantRevocation(secrets.revocationKey),
    signingKeyPlan: {
      ...config.signingKeys,
      // An id_token_hint whose key is gone is refused at sign-out, so a key stays for the longest session.
      keepSeconds: Math.max(config.session.absoluteSeconds, MAX_JWT_SECONDS) + 300,
    },
  };
  return { services, keyring, secrets, migrations };
}

/**
 * Builds the service on a database.
 *
 * @throws {KeyError} when the encryption key is not the one that the database was made with
 */
export async function buildApp(deps: AppDeps): Promise<App> {
  const { config, db, logger } = deps;
  const { services, keyring, secrets, migrations } = await buildServices(deps);
  const { grants } = services;
  const newSigningKeys = await createMissingSigningKeys(db, keyring);
  await ensureBuiltInApi(db, config.issuer);
  await ensurePortalClient(db, config.issuer, config.branding.productName);

  const { stores, factory } = createAdapter({
    db,
    keyring,
    codeKey: secrets.codeKey,
    grants,
    session: config.session,
    refreshGraceSeconds: config.tokens.refreshGraceSeconds,
  });
  const images = brandImages(config);
  const makePage = createMakePage(brandingOf(config, images));
  const csrf = createCsrf(secrets.csrfKey);
  const shared = {
    config,
    db,
    stores,
    csrf,
    makePage,
    audit: services.audit,
    provider: () => engine.provider,
  };
  const journeys: JourneyDeps = { ...shared, accounts: services.accounts };
  const pages = createEnginePages(journeys);
  const metrics = createMetrics(db);
  const apis = createApiDirectory(db);
  const handles = createClientHandles(secrets.revocationKey);
  const loadEngine = async (): Promise<Engine> => {
    const keys = await loadSigningKeys(db, keyring);
    const signingKeys = keys.map((key) => new LocalSigningKey(key));
    const key = signingKeys.find(({ alg }) => alg === 'ES256');
    if (!key) throw new Error('there is no active ES256 key');
    return assembleEngine(
      createProvider({
        config,
        db,
        adapter: factory,
        stores,
        grants,
        secrets,
        signingKeys,
        apis,
        handles,
        pages,
      }),
      createJwtAccessTokens(config.issuer, keys, db, stores),
      createMachineTokens({ issuer: config.issuer, db, stores, apis, handles, key }),
    );
  };
  let engine = await loadEngine();

  const koa = new Koa({ keys: [...secrets.cookieKeys], proxy: true });
  koa.silent = true;
  koa.on('error', (error: Error) => logger.error({ err: error }, 'answer failed'));
  koa.use(answerErrors(journeys, logger));
  koa.use(observeRequests(logger, metrics));
  koa.use(createRequestContext(config.issuer, config.trustProxy));
  koa.use(
    serveEngine({
      current: () => engine,
      db,
      logger,
      tokenIssued: metrics.tokenIssued,
      pageHeaders: pageHeaders('interaction'),
      answerProblem: (ctx, error) => answerEngineProblem(makePage, ctx, error),
      answerSessionEnded: (ctx) => answerSessionEnded(journeys, ctx),
    }),
  );
  koa.use(serveAssets);
  const router = new Router();
  router.get('/preferences', (ctx) => preferences(ctx as unknown as Context));
  router.get('/docs/errors', (ctx) => showErrorDocs(makePage, ctx as unknown as Context));
  mountImages(router, db, images);
  health(router, db);
  mountProtocolAliases(router);
  mountInteractions(router, journeys);
  mountPortal(router, shared);
  koa.use(router.routes() as unknown as Middleware);
  koa.use(() => {
    throw notFound('page');
  });
  return {
    koa,
    metrics,
    services,
    made: { migrations, signingKeys: newSigningKeys },
    async startBackground() {
      const background = new AsyncDisposableStack();
      background.use(
        await watchConfig(db, logger, async () => {
          engine = await loadEngine();
        }),
      );
      background.use(
        startJobs(
          db,
          logger,
          [createExpiryJob(db, grants, logger, metrics.expired), keyJob(services, keyring)],
          metrics.job,
        ),
      );
      return background;
    },
  };
}

/** Signing keys rotate by themselves. */
function keyJob({ db, signingKeyPlan }: Services, keyring: Keyring): Job {
  return {
    name: 'signing-keys',
    everySeconds: Math.max(Math.min(signingKeyPlan.cacheSeconds / 4, 60), 1),
    leaseSeconds: 60,
    run: async () => void (await tendSigningKeys(db, keyring, signingKeyPlan)),
  };
}

interface BrandImages {
  light: BrandImage | undefined;
  dark: BrandImage | undefined;
}

/** @throws {Error} when a logo that the configuration names cannot be used */
function brandImages({ branding: { logoFile, logoDarkFile } }: Config): BrandImages {
  return {
    light: logoFile ? readBrandImage('LOGO_FILE', logoFile) : undefined,
    dark: logoDarkFile ? readBrandImage('LOGO_DARK_FILE', logoDarkFile) : undefined,
  };
}

function brandingOf({ branding }: Config, { light, dark }: BrandImages): Branding {
  const { productName, brandColour, terms, privacy, imprint } = branding;
  return {
    productName,
    ...(light ? { logoUrl: light.path } : {}),
    ...(dark ? { logoDarkUrl: dark.path } : {}),
    ...(brandColour ? { brandColour } : {}),
    legal: { ...(terms ? { terms } : {}), ...(privacy ? { privacy } : {}), ...(imprint ? { imprint } : {}) },
  };
}

/** Logos of the operator and of applications, all from this server. */
function mountImages(router: Router, db: Knex, { light, dark }: BrandImages): void {
  for (const image of [light, dark]) {
    if (image) router.get(image.path, (ctx) => sendImage(ctx as unknown as Context, image.type, image.bytes));
  }
  router.get('/logos/:client/:hash', async (ctx) => {
    const logo = await findLogo(db, String(ctx['params'].client), String(ctx['params'].hash));
    if (!logo?.logo || !logo.logo_type) throw notFound('logo');
    sendImage(ctx as unknown as Context, logo.logo_type, logo.logo);
  });
}

/** The outermost edge: whatever was thrown becomes a page for people or problem+json for programs. */
function answerErrors(journeys: JourneyDeps, logger: Logger): Middleware {
  return async (ctx, next) => {
    const host = ctx.get('Host').slice(0, 100);
    try {
      await next();
    } catch (thrown) {
      if (thrown instanceof LostJourney) {
        const { uid } = thrown;
        return answerErrors(journeys, logger)(ctx, () => showDeadEnd(journeys, ctx, uid));
      }
      const error = toAppError(thrown);
      if (error.status >= 500) {
        logger.error({ err: error.cause ?? error, ...traceOf(ctx) }, error.code);
      }
      ctx.response.remove('Set-Cookie');
      if (engineRoute(ctx.path)?.page === false) sendOAuthError(ctx, error);
      else if (ctx.accepts('html', 'json') === 'html') showProblem(journeys.makePage, ctx, error, host);
      else sendProblem(ctx, error);
    }
  };
}

function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  if (isStoreFailure(thrown)) return storeUnavailable(thrown);
  return new AppError('server_error', 500, 'Something went wrong on our side.', { cause: thrown });
}

function answerEngineProblem(makePage: MakePage, ctx: Context, error: AppError): void {
  if (engineRoute(ctx.path)?.page) showProblem(makePage, ctx, error);
  else sendOAuthError(ctx, error);
}

/** Signed out in another tab: a fresh authorization request starts over, a half-finished one ends with a way on. */
async function answerSessionEnded(journeys: JourneyDeps, ctx: Context): Promise<void> {
  const uid = /^\/auth\/([\w-]+)$/.exec(ctx.path)?.[1];
  if (uid) return showDeadEnd(journeys, ctx, uid);
  if (ctx.path === '/auth') ctx.redirect(ctx.url);
  else redirectToSignIn(journeys, ctx, '/account');
  ctx.status = 303;
}

/** Addresses under which some look for the engine's own; a form may also be posted to /auth (OpenID Connect Core 3.1.2.1). */
function mountProtocolAliases(router: Router): void {
  router.get('/.well-known/jwks.json', (ctx) => {
    ctx.status = 307;
    ctx.redirect('/jwks');
    ctx.status = 307;
  });
}

/** One line and one count a request: the route and never the query, which may hold a code or a hint about a person. */
function observeRequests(logger: Logger, metrics: Metrics): Middleware {
  return async (ctx, next) => {
    const start = performance.now();
    try {
      await next();
    } finally {
      const ms = performance.now() - start;
      const route = routeOf(ctx);
      metrics.request(route, ctx.method, ctx.status, ms / 1000);
      if (logger.isLevelEnabled('debug')) {
        logger.debug(
          { ...traceOf(ctx), method: ctx.method, route, status: ctx.status, ms: Math.round(ms) },
          'request',
        );
      }
    }
  };
}

/** The pattern of the path, so that neither log nor metrics grow with what is asked for. */
function routeOf(ctx: Context): string {
  if (engineRoute(ctx.path)) return ctx.path.replace(/^\/auth\/.+/, '/auth/:uid');
  const matched = (ctx as Context & { _matchedRoute?: string })._matchedRoute;
  return matched ?? (ctx.path.startsWith('/assets/') ? '/assets/:name' : 'other');
}

/** What ties a log line to a request, here and in the systems around (W3C Trace Context). */
function traceOf(ctx: Context): { requestId: string; traceId?: string } {
  const { requestId, traceId } = ctx.state as { requestId: string; traceId?: string };
  return { requestId, ...(traceId ? { traceId } : {}) };
}
