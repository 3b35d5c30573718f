/**
 * A signing key that the engine uses without holding its private part.
 *
 * ES256 is signed in place: it takes less time than handing it to another thread and back, and a server that needs more than one core
 * runs one process for each. RSA takes ten times as long, so it goes to a thread.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { ExternalSigningKey } from 'oidc-provider';
import type { SigningKey } from '../keys/signing-keys.ts';

export class LocalSigningKey extends ExternalSigningKey {
  readonly #private: KeyObject;
  readonly #public: KeyObject;

  constructor({ jwk, kid, alg }: SigningKey) {
    super();
    this.#private = createPrivateKey({ key: jwk, format: 'jwk' });
    this.#public = createPublicKey(this.#private);
    // Read-only in the types; the engine's own accessors take them.
    Object.assign(this, { kid, alg });
  }

  override keyObject(): KeyObject {
    return this.#public;
  }

  override async sign(data: Uint8Array): Promise<Uint8Array> {
    // RFC 7518 section 3.4: the signature is the two numbers side by side, not DER.
    if (this.alg === 'ES256') return sign('sha256', data, { key: this.#private, dsaEncoding: 'ieee-p1363' });
    return new Promise((resolve, reject) => {
      sign('sha256', data, this.#private, (error, signature) => (error ? reject(error) : resolve(signature)));
    });
  }
}
