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
    // Asking for the raw form costs as much again as the signature (Node 24), so DER is taken and unpacked here.
    if (this.alg === 'ES256') return unpackSignature(sign('sha256', data, this.#private));
    return new Promise((resolve, reject) => {
      sign('sha256', data, this.#private, (error, signature) => (error ? reject(error) : resolve(signature)));
    });
  }
}

const COORDINATE_BYTES = 32;

/** RFC 7518 section 3.4: r and s side by side, 32 bytes each, out of the DER sequence of two integers. */
function unpackSignature(der: Buffer): Buffer {
  const raw = Buffer.alloc(2 * COORDINATE_BYTES);
  let at = 2;
  for (const end of [COORDINATE_BYTES, 2 * COORDINATE_BYTES]) {
    const length = der.readUInt8(at + 1);
    const integer = der.subarray(at + 2, at + 2 + length);
    // DER puts a zero before a high first bit and leaves leading zeros out.
    const digits = integer.length > COORDINATE_BYTES ? integer.subarray(1) : integer;
    digits.copy(raw, end - digits.length);
    at += 2 + length;
  }
  return raw;
}
