/** Another node, as far as the store can tell: a process of its own on the same database, told what to do by its parent. */
import { errors } from 'oidc-provider';
import { openDatabase } from '../../db/connect.ts';
import { newSecret } from '../../server/keys/identifiers.ts';
import { asRequest, nowSeconds, openStores, race } from './_stores.ts';

export interface Task {
  kind: 'consume' | 'unique' | 'rotate' | 'rotate-strict';
  id: string;
  grantId: string;
  attempts: number;
}

export interface Report {
  /** What the winners got. */
  won: string[];
  /** Refusals, and anything that must not happen. */
  refused: number;
  failures: string[];
}

const [url] = process.argv.slice(2);
const database = await openDatabase({ kind: 'postgres', url: url!, poolSize: 6, prepared: true });
const db = database.knex;
const graceful = await openStores(db, { graceSeconds: 10 });
const strict = await openStores(db, { graceSeconds: 0 });

async function attempt({ kind, id, grantId }: Task): Promise<string> {
  if (kind === 'consume') {
    await asRequest(db, async () => graceful.factory('AuthorizationCode').consume(id));
    return 'consumed';
  }
  if (kind === 'unique') {
    const Detection = graceful.provider.ReplayDetection as unknown as {
      unique(iss: string, jti: string, exp: number): Promise<boolean>;
    };
    if (await asRequest(db, () => Detection.unique('app_1', id, nowSeconds() + 60))) return 'first';
    throw new errors.InvalidGrant('replayed');
  }
  const { factory, stores } = kind === 'rotate' ? graceful : strict;
  return asRequest(db, async () => {
    const found = await factory('RefreshToken').find(id);
    if (!found || found.consumed) throw new errors.InvalidGrant('refresh token already used');
    await factory('RefreshToken').consume(id);
    const next = stores.refreshToken.successorOfRequest() ?? newSecret('refreshToken');
    await factory('RefreshToken').upsert(next, { ...found, jti: next, grantId }, 3600);
    return next;
  });
}

process.on('message', (task: Task) => {
  void race(task.attempts, () => attempt(task)).then(({ won, lost }) => {
    const failures = lost.filter((error) => !(error instanceof errors.OIDCProviderError)).map(String);
    process.send?.({ won, refused: lost.length - failures.length, failures } satisfies Report);
  });
});
process.on('disconnect', () => void database[Symbol.asyncDispose]());
process.send?.('ready');
