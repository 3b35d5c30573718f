/**
 * Demo Shop: an application that signs people in with Gatehouse and calls an API in their name.
 *
 * Owns: the routes below. Refuses: protocol (relying-party.ts), checking tokens (orders-api.ts), markup (the views). A visitor's tokens
 * stay in memory here; the browser holds a session id.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Koa, { type Context, type Middleware } from 'koa';
import type { Logger } from 'pino';
import { ListenError, listen } from '../../server/listen.ts';
import { readForm } from '../../server/web/body.ts';
import type { Html } from '../../server/web/html.ts';
import { callApi } from './api-call.ts';
import { createOrdersApi } from './orders-api.ts';
import { explain, foreignForm, unknownAttempt } from './problem.ts';
import { problemView } from './problem.view.ts';
import { createRelyingParty } from './relying-party.ts';
import { type DemoSettings, demoUrl } from './seed.ts';
import { createSessions, type DemoSession, isOwnForm, rememberAttempt, takeAttempt } from './sessions.ts';
import { visitView } from './visit.view.ts';
import { welcomeView } from './welcome.view.ts';

export interface DemoOptions {
  /** The address of Gatehouse. It need not run yet: discovery happens when somebody signs in. */
  issuer: string;
  port: number;
  settings: DemoSettings;
  logger: Logger;
}

/**
 * Serves the demo on 127.0.0.1.
 *
 * @returns the address for browsers, http://demo.localhost:PORT
 * @throws {ListenError} when the port is taken
 */
export async function startDemo(options: DemoOptions): Promise<AsyncDisposable & { url: string }> {
  const { issuer, port, logger } = options;
  const url = demoUrl(port);
  const koa = new Koa();
  koa.silent = true;
  koa.use(protect(issuer));
  koa.use(answerErrors(logger));
  koa.use(useOneHost(url));
  const routes = createRoutes(options);
  koa.use((ctx) => {
    const route = routes[`${ctx.method === 'HEAD' ? 'GET' : ctx.method} ${ctx.path}`];
    return route?.(ctx);
  });
  const server = await listenHere(koa, port);
  return { url, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

type Handler = (ctx: Context) => void | Promise<void>;

function createRoutes({ issuer, settings, logger }: DemoOptions): Record<string, Handler> {
  const sessions = createSessions();
  const gatehouse = createRelyingParty(issuer, settings);
  const api = createOrdersApi(issuer, settings.api);

  return {
    'GET /': showHome,
    'GET /sign-in': (ctx) => leaveForGatehouse(ctx, { offline: false }),
    'GET /offline-access': (ctx) => leaveForGatehouse(ctx, { offline: true }),
    'GET /callback': comeBack,
    'POST /refresh': refresh,
    'POST /orders': (ctx) => call(ctx, 'GET', '/orders'),
    'POST /refund': (ctx) => call(ctx, 'POST', '/refunds'),
    'POST /sign-out': signOut,
    'GET /api/orders': api.list,
    'POST /api/refunds': api.refund,
    'GET /demo.css': serveFile('demo.css', 'css'),
    'GET /icon.svg': serveFile('icon.svg', 'svg'),
  };

  function showHome(ctx: Context): void {
    const session = sessions.find(ctx);
    const notice = session?.notice;
    if (session) delete session.notice;
    send(
      ctx,
      session?.visit
        ? visitView({ visit: session.visit, csrf: session.csrf, notice, api: settings.api })
        : welcomeView({ person: settings.person, notice, issuer }),
    );
  }

  async function leaveForGatehouse(ctx: Context, how: { offline: boolean }): Promise<void> {
    const { url, attempt } = await gatehouse.begin(how);
    rememberAttempt(sessions.find(ctx) ?? sessions.start(ctx), attempt);
    seeOther(ctx, url.href);
  }

  async function comeBack(ctx: Context): Promise<void> {
    const session = sessions.find(ctx);
    const attempt = session && takeAttempt(session, new URLSearchParams(ctx.querystring).get('state') ?? '');
    if (!attempt) throw unknownAttempt();
    const tokens = await gatehouse.finish(ctx.search, attempt);
    const userinfo = await gatehouse.userinfo(tokens);
    sessions.renew(ctx).visit = { tokens, userinfo };
    // Who was here already has asked for more, and wants to see the difference.
    seeOther(ctx, session.visit ? '/#tokens' : '/');
  }

  async function refresh(ctx: Context): Promise<void> {
    const { session, visit } = await readPost(ctx);
    visit.tokens = await orSignOut(session, gatehouse.refresh(visit.tokens));
    visit.userinfo = await orSignOut(session, gatehouse.userinfo(visit.tokens));
    session.notice = 'Refreshed: a fresh access token, without asking you.';
    seeOther(ctx, '/');
  }

  async function call(ctx: Context, method: 'GET' | 'POST', path: string): Promise<void> {
    const { session, visit } = await readPost(ctx);
    const access = await orSignOut(session, gatehouse.tokenForApi(visit.tokens));
    visit.call = await callApi(method, settings.api + path, access);
    seeOther(ctx, '/#api');
  }

  async function signOut(ctx: Context): Promise<void> {
    const { visit } = await readPost(ctx);
    const url = await gatehouse.signOutUrl(visit.tokens);
    // Whoever wants to leave is not kept for it: a token that could not be handed back expires by itself.
    await gatehouse
      .giveBack(visit.tokens)
      .catch((error: unknown) =>
        logger.warn({ demo: true, err: error }, 'the refresh token was not revoked'),
      );
    sessions.renew(ctx).notice = 'You are signed out of Demo Shop.';
    seeOther(ctx, url.href);
  }

  /** Every POST: somebody is signed in, and the form is from a page that was made for them. */
  async function readPost(ctx: Context) {
    const form = await readForm(ctx);
    const session = sessions.find(ctx);
    if (!session?.visit || !isOwnForm(session, form.get('csrf'))) throw foreignForm();
    return { session, visit: session.visit };
  }

  /** What Gatehouse refuses for good ends the visit: the tokens are dead. */
  async function orSignOut<T>(session: DemoSession, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (explain(error)?.signedOut) delete session.visit;
      throw error;
    }
  }
}

function send(ctx: Context, body: Html, status = 200): void {
  ctx.status = status;
  ctx.type = 'html';
  ctx.body = String(body);
}

/** The browser gets the next page with GET, so that reloading it repeats nothing. */
function seeOther(ctx: Context, url: string): void {
  ctx.redirect(url);
  ctx.status = 303;
}

function serveFile(name: string, type: string): Handler {
  const content = readFileSync(join(import.meta.dirname, name));
  return (ctx) => {
    ctx.type = type;
    ctx.set('Cache-Control', 'no-cache');
    ctx.body = content;
  };
}

/** Headers of every answer. `form-action` names Gatehouse because it also holds for the redirect after the sign-out form. */
function protect(issuer: string): Middleware {
  const policy = `default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' ${issuer}; base-uri 'none'; frame-ancestors 'none'`;
  return async (ctx, next) => {
    ctx.set({
      'Content-Security-Policy': policy,
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
      'Cache-Control': 'no-store',
    });
    await next();
  };
}

function answerErrors(logger: Logger): Middleware {
  return async (ctx, next) => {
    try {
      await next();
      if (ctx.status === 404 && !ctx.body) send(ctx, problemView(notFound), 404);
    } catch (error) {
      const problem = explain(error);
      if (problem) logger.info({ demo: true, reason: problem.code, status: problem.status }, problem.title);
      else logger.error({ demo: true, err: error }, 'the demo failed');
      send(ctx, problemView(problem ?? defect), problem?.status ?? 500);
    }
  };
}

const notFound = { status: 404, title: 'There is no such page', text: 'Demo Shop has one page only.' };
const defect = {
  status: 500,
  title: 'Demo Shop failed',
  text: 'This is a defect of the example. The log of the server says more.',
};

/** Under another name the cookie would be missing when Gatehouse sends the browser back. The API is called by number. */
function useOneHost(url: string): Middleware {
  const own = new URL(url).host;
  return async (ctx, next) => {
    if (ctx.host.toLowerCase() === own || ctx.path.startsWith('/api/')) await next();
    else seeOther(ctx, `${url}/`);
  };
}

async function listenHere(koa: Koa, port: number) {
  try {
    return await listen(koa.callback(), { host: '127.0.0.1', port, tls: undefined });
  } catch (error) {
    if ((error as { cause?: NodeJS.ErrnoException }).cause?.code !== 'EADDRINUSE') throw error;
    throw new ListenError(
      `Port ${port} of the demo app is in use. Stop what uses it, or add DEMO_PORT=${port + 1} (or DEMO=false).`,
      { cause: error },
    );
  }
}
