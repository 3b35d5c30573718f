/**
 * The engine as one Koa middleware: the request is checked and its body read once, the engine runs inside a unit of work, and the
 * unit is settled before the answer leaves.
 */
import type { Context, Middleware, Next } from 'koa';
import type { Knex } from 'knex';
import type Provider from 'oidc-provider';
import type { Logger } from 'pino';
import { SessionEnded } from '../../db/sessions.ts';
import { isStoreFailure } from '../../db/store-failure.ts';
import { runInUnit, UnitOfWork } from '../../db/unit-of-work.ts';
import { AppError, malformedRequest, methodNotAllowed, storeUnavailable } from '../errors.ts';
import { engineRoute } from './routes.ts';
import type { MachineTokens } from './machine-tokens.ts';
import { readProtocolBody, redirectPostedRequest, replayBody } from './request-body.ts';
import type { JwtAccessTokens } from './jwt-access-tokens.ts';

/** A provider with its keys, ready to run; another one takes its place when keys rotate. */
export interface Engine {
  provider: Provider;
  jwtAccessTokens: JwtAccessTokens;
  machineTokens: MachineTokens;
  run: Middleware;
}

export interface EngineOptions {
  /** The engine that answers now. A request keeps the one that it began with. */
  current(): Engine;
  db: Knex;
  logger: Logger;
  /** One successful token request. */
  tokenIssued(grantType: string): void;
  /** Headers of the pages that the engine makes by itself. */
  pageHeaders: Readonly<Record<string, string>>;
  /** Renders an error of ours where the engine would have answered: a page, or OAuth JSON. */
  answerProblem(ctx: Context, error: AppError): void;
  /** The session was ended in another tab while this request used it. */
  answerSessionEnded(ctx: Context): Promise<void>;
}

const ENGINE_ERROR = 'engineError';

/** Makes a provider ready to run inside our own Koa application. */
export function assembleEngine(
  provider: Provider,
  jwtAccessTokens: JwtAccessTokens,
  machineTokens: MachineTokens,
): Engine {
  const [run] = provider.middleware;
  if (!run || provider.middleware.length !== 1)
    throw new Error('the engine is expected to be one middleware');
  provider.on('server_error', (ctx: Context, error: Error) => {
    ctx.state[ENGINE_ERROR] = error;
  });
  return { provider, jwtAccessTokens, machineTokens, run: run as Middleware };
}

/** Answers the engine's routes; everything else goes on to the next middleware. */
export function serveEngine(options: EngineOptions): Middleware {
  const { db, logger } = options;

  return async (ctx, next) => {
    const route = engineRoute(ctx.path);
    if (!route) return next();
    if (/%00|%(?![0-9a-f]{2})/i.test(ctx.querystring)) {
      return options.answerProblem(
        ctx,
        malformedRequest('the query has a NUL character or a broken percent-encoding'),
      );
    }
    // The engine has pages of its own that send themselves; it adds the hash of their script to this policy.
    if (route.page) ctx.set(options.pageHeaders);
    const { run, jwtAccessTokens, machineTokens } = options.current();
    const unit = new UnitOfWork(db, route.transactional);
    await runInUnit(unit, async () => {
      try {
        if (ctx.method === 'POST' && postedAsGet.has(ctx.path)) return await redirectPostedRequest(ctx);
        if (ctx.method === 'POST') {
          const body = await readProtocolBody(ctx);
          if (ctx.path === '/token' && body.fields && (await machineTokens.answer(ctx, body.fields))) {
            options.tokenIssued('client_credentials');
            return;
          }
          await replayBody(ctx, body, route, jwtAccessTokens);
        }
        await run(ctx, noNext);
        // Each of these paths answers some method: the engine found no route, so it was another one.
        if (ctx.status === 404 && !ctx.body) throw methodNotAllowed();
        const error = ctx.state[ENGINE_ERROR] as Error | undefined;
        await unit.settle(error ? 'rollback' : 'commit');
        if (error) await answerFailure(ctx, error);
        else if (ctx.path === '/token' && ctx.status === 200) options.tokenIssued(grantTypeOf(ctx));
      } catch (error) {
        await unit.settle('rollback').catch(() => undefined);
        await answerFailure(ctx, error as Error);
      }
    });
  };

  /** What the engine answered is taken back: nothing of it happened. */
  async function answerFailure(ctx: Context, error: Error): Promise<void> {
    ctx.response.remove('Location');
    ctx.response.remove('Set-Cookie');
    if (error instanceof SessionEnded) return options.answerSessionEnded(ctx);
    if (error instanceof AppError) return options.answerProblem(ctx, error);
    logger.error({ err: error, requestId: ctx.state['requestId'], route: ctx.path }, 'engine failed');
    if (isStoreFailure(error)) return options.answerProblem(ctx, storeUnavailable(error));
    return options.answerProblem(
      ctx,
      new AppError('server_error', 500, 'Something went wrong on our side.', { cause: error }),
    );
  }
}

const noNext: Next = async () => {};

/** Requests that browsers may also post from the page of a client. */
const postedAsGet = new Set(['/auth', '/session/end']);

/** The grant type of a request that succeeded, so it is one of those that are offered. */
function grantTypeOf(ctx: Context): string {
  const { oidc } = ctx as Context & { oidc?: { params?: Record<string, unknown> } };
  return String(oidc?.params?.['grant_type']);
}
