/**
 * The shop's own sessions: a cookie with a random id, and what belongs to it in memory.
 *
 * Owns: the cookie, the CSRF token, attempts to sign in that are under way. Refuses: to outlive the process. A real application keeps
 * its sessions in a store and gives them an age.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Context } from 'koa';
import type { ApiCall } from './api-call.ts';
import type { Attempt, Tokens } from './relying-party.ts';

/** Somebody who came back from Gatehouse. */
export interface Visit {
  tokens: Tokens;
  userinfo: Record<string, unknown>;
  /** The last call of the orders API, for the page. */
  call?: ApiCall;
}

export interface DemoSession {
  csrf: string;
  /** By state. Several, because two tabs may leave for Gatehouse at once. */
  attempts: Map<string, Attempt>;
  visit?: Visit;
  /** Said once, on the next page. */
  notice?: string;
}

// Not "session": Gatehouse and whatever else runs on localhost have cookies too, and cookies ignore ports.
const COOKIE = 'demo_session';
const MAX_SESSIONS = 1000;
const MAX_ATTEMPTS = 10;

export function createSessions() {
  const sessions = new Map<string, DemoSession>();

  function start(ctx: Context): DemoSession {
    const id = randomBytes(32).toString('base64url');
    const session: DemoSession = { csrf: randomBytes(32).toString('base64url'), attempts: new Map() };
    dropOldest(sessions, MAX_SESSIONS);
    sessions.set(id, session);
    // Lax: it must come along when Gatehouse sends the browser back. An https site adds `secure` and the prefix `__Host-`.
    ctx.cookies.set(COOKIE, id, { httpOnly: true, sameSite: 'lax', signed: false, overwrite: true });
    return session;
  }

  return {
    start,

    find(ctx: Context): DemoSession | undefined {
      return sessions.get(ctx.cookies.get(COOKIE, { signed: false }) ?? '');
    },

    /** A fresh session under a new id: whoever knew the old one (session fixation) is not signed in with it. */
    renew(ctx: Context): DemoSession {
      sessions.delete(ctx.cookies.get(COOKIE, { signed: false }) ?? '');
      return start(ctx);
    },
  };
}

export type Sessions = ReturnType<typeof createSessions>;

export function rememberAttempt(session: DemoSession, attempt: Attempt): void {
  dropOldest(session.attempts, MAX_ATTEMPTS);
  session.attempts.set(attempt.state, attempt);
}

/** An attempt is used once, whatever comes of it. */
export function takeAttempt(session: DemoSession, state: string): Attempt | undefined {
  const attempt = session.attempts.get(state);
  session.attempts.delete(state);
  return attempt;
}

/** Whether a form was made for this session, so that no other site can send it. */
export function isOwnForm(session: DemoSession, given: string): boolean {
  const [expected, actual] = [Buffer.from(session.csrf), Buffer.from(given)];
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}

function dropOldest(map: Map<string, unknown>, limit: number): void {
  const [oldest] = map.keys();
  if (map.size >= limit && oldest !== undefined) map.delete(oldest);
}
