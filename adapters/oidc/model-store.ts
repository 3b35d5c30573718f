/** The engine's plain models: a hashed id, a sealed payload, spent by one conditional statement. */
import type { Knex } from 'knex';
import type { Adapter, AdapterPayload } from 'oidc-provider';
import { errors } from 'oidc-provider';
import { addRevokedHandles } from '../../db/grants.ts';
import {
  consumeModel,
  destroyModel,
  findDeviceCode,
  findModel,
  finishInteraction,
  type ModelTable,
  type StoredModel,
  upsertModel,
} from '../../db/models.ts';
import { connectionOf, writeConnectionOf } from '../../db/unit-of-work.ts';
import { idHash, keyedHash } from '../../server/keys/hash.ts';
import { isWellFormed, type SecretKind } from '../../server/keys/identifiers.ts';
import { tokenHandle } from '../../server/keys/revocation-handles.ts';
import type { AdapterDeps } from './adapter.ts';
import { answeredToken } from './answered-token.ts';

export const modelTableOf = {
  AccessToken: 'access_tokens',
  AuthorizationCode: 'authorization_codes',
  RefreshToken: 'refresh_tokens',
  ClientCredentials: 'client_credentials',
  DeviceCode: 'device_codes',
  Interaction: 'interactions',
  PushedAuthorizationRequest: 'pushed_authorization_requests',
  BackchannelAuthenticationRequest: 'backchannel_authentication_requests',
  InitialAccessToken: 'initial_access_tokens',
  RegistrationAccessToken: 'registration_access_tokens',
} as const satisfies Record<string, ModelTable>;

export type ModelName = keyof typeof modelTableOf;

/** Models that the engine reads with `ignoreExpiration`, so that reuse is still seen after expiry. */
const readWhenExpired = new Set<string>([
  'AuthorizationCode',
  'RefreshToken',
  'DeviceCode',
  'BackchannelAuthenticationRequest',
]);

/** Models whose value says what it is: another form is refused without a look-up. */
const secretKindOf: Partial<Record<ModelName, SecretKind>> = {
  AccessToken: 'accessToken',
  ClientCredentials: 'clientCredentials',
  RefreshToken: 'refreshToken',
  AuthorizationCode: 'authorizationCode',
};

/** Models whose own id is needed when they are found by something else, and so stays inside the sealed payload. */
const keepsId = new Set<string>(['DeviceCode']);

/** Verifiers accept a JWT this long after its `exp`. */
const CLOCK_TOLERANCE_SECONDS = 300;

/** `exp` of a row that is over by the database's clock: in the past for any clock of a node. */
const LONG_AGO = 1;

export class ModelStore implements Adapter {
  protected readonly deps: AdapterDeps;
  protected readonly name: ModelName;
  protected readonly table: ModelTable;

  constructor(deps: AdapterDeps, name: ModelName) {
    this.deps = deps;
    this.name = name;
    this.table = modelTableOf[name];
  }

  async upsert(id: string, payload: AdapterPayload, expiresIn: number): Promise<void> {
    const hash = this.hash(id);
    const { grantId, accountId, clientId, sessionUid, userCode } = payload;
    await upsertModel(connectionOf(this.deps.db), this.table, {
      idHash: hash,
      payload: this.seal(hash, payload),
      keyId: this.deps.keyring.activeKeyId,
      grantId: grantId ?? null,
      subject: accountId ?? null,
      clientId: clientId ?? null,
      uidHash: sessionUid ? idHash('session', sessionUid) : null,
      userCodeHash: userCode ? this.#userCodeHash(userCode) : null,
      expiresInSeconds: expiresIn,
    });
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    const answered = answeredToken(this.name, id);
    if (answered) return answered;
    const kind = secretKindOf[this.name];
    if (kind && !isWellFormed(kind, id)) return undefined;
    const hash = this.hash(id);
    const row = await findModel(connectionOf(this.deps.db), this.table, hash);
    return row && this.open(hash, id, row);
  }

  async findByUserCode(userCode: string): Promise<AdapterPayload | undefined> {
    const row = await findDeviceCode(connectionOf(this.deps.db), this.#userCodeHash(userCode));
    return row && this.open(row.id_hash, undefined, row);
  }

  async findByUid(): Promise<AdapterPayload | undefined> {
    throw new Error('only sessions are found by uid');
  }

  async consume(id: string): Promise<void> {
    const db = await writeConnectionOf(this.deps.db);
    const hash = this.hash(id);
    if (await consumeModel(db, this.table, hash)) return;
    if (this.name === 'AuthorizationCode') await this.#endGrantOf(db, hash, id);
    // RFC 9126 section 4: a pushed request is used once; RFC 6749 section 4.1.2: so is a code.
    throw this.name === 'PushedAuthorizationRequest'
      ? new errors.InvalidRequestUri('request_uri is invalid, expired, or was already used')
      : new errors.InvalidGrant('already consumed');
  }

  async destroy(id: string): Promise<void> {
    const db = await writeConnectionOf(this.deps.db);
    const answered = answeredToken(this.name, id);
    if (answered) {
      const left = Number(answered.exp) - Math.floor(Date.now() / 1000) + CLOCK_TOLERANCE_SECONDS;
      return addRevokedHandles(db, [tokenHandle(String(answered.jti))], left);
    }
    if (this.name === 'Interaction') return finishInteraction(db, this.hash(id));
    return destroyModel(db, this.table, this.hash(id));
  }

  /**
   * Nothing to do: the grant row is the authority, and it is ended in the same breath. Deleting by grant would miss the successor
   * that an uncommitted refresh is about to insert; expired rows are removed by the expiry job.
   */
  async revokeByGrantId(): Promise<void> {}

  /**
   * RFC 6749 section 4.1.2: what came of a code that is used twice is worth nothing. The engine sees to it when it reads that the code
   * was spent; a request that read it just before, and lost, does it here.
   */
  async #endGrantOf(db: Knex, hash: Buffer, id: string): Promise<void> {
    const row = await findModel(db, this.table, hash);
    const grantId = row?.consumed_at ? this.open(hash, id, row)?.grantId : undefined;
    if (grantId) await this.deps.grants.endGrant(db, grantId, 'code_reused');
  }

  protected hash(id: string): Buffer {
    return idHash(this.name, id);
  }

  protected seal(hash: Buffer, payload: AdapterPayload): Buffer {
    const { jti, ...rest } = payload;
    return this.deps.keyring.seal(
      'payload',
      this.#place(hash),
      JSON.stringify(keepsId.has(this.name) ? payload : rest),
    );
  }

  protected open(hash: Buffer, id: string | undefined, row: StoredModel): AdapterPayload | undefined {
    if (row.expired && !readWhenExpired.has(this.name)) return undefined;
    if (row.consumed_at && this.name === 'Interaction') return undefined;
    const sealed = this.deps.keyring.open('payload', this.#place(hash), row.payload);
    const payload = JSON.parse(sealed.toString()) as AdapterPayload;
    if (id !== undefined) payload.jti = id;
    if (row.consumed_at) payload.consumed = Math.floor(row.consumed_at.getTime() / 1000);
    if (row.expired) payload.exp = LONG_AGO;
    return payload;
  }

  #place(hash: Buffer): string {
    return `${this.table}.payload|${hash.toString('hex')}`;
  }

  #userCodeHash(userCode: string): Buffer {
    return keyedHash(this.deps.codeKey, 'user_code', userCode);
  }
}
