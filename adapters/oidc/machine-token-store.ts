/** Client-credentials tokens, with an issue that authenticates and stores in one statement. */
import { createHash } from 'node:crypto';
import type { AdapterPayload } from 'oidc-provider';
import { issueMachineToken } from '../../db/clients.ts';
import { connectionOf } from '../../db/unit-of-work.ts';
import type { MachineProof } from '../../server/oidc/stores.ts';
import type { AdapterDeps } from './adapter.ts';
import { ModelStore } from './model-store.ts';

export class MachineTokenStore extends ModelStore {
  constructor(deps: AdapterDeps) {
    super(deps, 'ClientCredentials');
  }

  issue(
    token: string,
    payload: AdapterPayload,
    expiresInSeconds: number,
    proof: MachineProof,
  ): Promise<boolean> {
    const idHash = this.hash(token);
    return issueMachineToken(connectionOf(this.deps.db), {
      idHash,
      payload: this.seal(idHash, payload),
      keyId: this.deps.keyring.activeKeyId,
      expiresInSeconds,
      clientId: proof.clientId,
      secretHash: createHash('sha256').update(proof.secret).digest(),
      metadataVersion: proof.metadataVersion,
      configVersion: proof.configVersion,
    });
  }
}
