/** Interactions: steps of a person inside an authorization request. Finished ones stay a day, to answer the Back button. */
import type { AdapterPayload } from 'oidc-provider';
import { findModel } from '../../db/models.ts';
import { connectionOf } from '../../db/unit-of-work.ts';
import type { AdapterDeps } from './adapter.ts';
import { ModelStore } from './model-store.ts';

export class InteractionStore extends ModelStore {
  constructor(deps: AdapterDeps) {
    super(deps, 'Interaction');
  }

  /** An interaction in whatever state; the engine itself only sees those that are under way. */
  async findAny(
    uid: string,
  ): Promise<{ state: 'live' | 'finished' | 'expired'; payload: AdapterPayload } | undefined> {
    const hash = this.hash(uid);
    const row = await findModel(connectionOf(this.deps.db), this.table, hash);
    const payload = row && this.open(hash, uid, { ...row, consumed_at: null, expired: false });
    if (!row || !payload) return undefined;
    return { state: row.consumed_at ? 'finished' : row.expired ? 'expired' : 'live', payload };
  }
}
