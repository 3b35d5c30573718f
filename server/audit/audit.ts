/**
 * What happened, for those who must answer for it.
 *
 * Owns: one call per business event, writing the audit row (in the caller's transaction) and the log line together.
 * Refuses: secrets (no password, code, token or cookie is ever an argument here) and events per issued token (those are counters).
 */
import type { Knex } from 'knex';
import type { Logger } from 'pino';

export type EventKind =
  | 'operator_created'
  | 'account_created'
  | 'account_deleted'
  | 'login_succeeded'
  | 'login_failed'
  | 'consent_granted'
  | 'consent_denied'
  | 'session_ended'
  | 'client_created'
  | 'client_deleted'
  | 'api_created'
  | 'api_deleted'
  | 'token_reuse_detected'
  | 'setup_link_created';

/** Who did it, from where. */
export interface Actor {
  accountId?: string | undefined;
  ip?: string | undefined;
  requestId?: string | undefined;
}

export interface AuditEvent {
  kind: EventKind;
  actor: Actor;
  /** The account it happened to. */
  accountId?: string | undefined;
  clientId?: string | undefined;
  detail?: Record<string, string | number | boolean | null | readonly string[]>;
}

export interface Audit {
  record(db: Knex, event: AuditEvent): Promise<void>;
}

/** The command line and the server itself act without an account. */
export const systemActor: Actor = Object.freeze({});

export function createAudit(logger: Logger): Audit {
  return {
    async record(db, { kind, actor, accountId, clientId, detail = {} }) {
      await db('audit_events').insert({
        kind,
        actor_id: actor.accountId ?? null,
        account_id: accountId ?? null,
        client_id: clientId ?? null,
        ip: actor.ip ?? null,
        request_id: actor.requestId ?? null,
        detail,
      });
      logger.info({ event: kind, accountId, clientId, requestId: actor.requestId }, kind);
    },
  };
}
