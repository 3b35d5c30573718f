/**
 * The one seam for what the engine does not offer as configuration: prototype overrides and reads of its internals.
 *
 * Each override is held to its behaviour by a test, so that an upgrade that moves it is noticed.
 */
import { createHash } from 'node:crypto';
import type { Knex } from 'knex';
import type { AdapterPayload } from 'oidc-provider';
import type Provider from 'oidc-provider';
import { rememberOnce } from '../../db/models.ts';
import { writeConnectionOf } from '../../db/unit-of-work.ts';
import { newId, newSecret, type SecretKind } from '../keys/identifiers.ts';
import type { Authorizations, EngineStores, SessionWrite } from './stores.ts';

type Loaded = SessionWrite['loaded'];

/** What a session held when it was loaded; kept under a symbol so that the engine's proxy lets it through untouched. */
const LOADED = Symbol('as loaded');
/** Somebody signed in since the load. The time of it does not tell: it counts whole seconds. */
const SIGNED_IN = Symbol('signed in');

/** The engine's Session, with the members that its types leave out. */
interface SessionInternals {
  [LOADED]?: Loaded;
  [SIGNED_IN]?: boolean;
  uid: string;
  jti: string;
  oldId?: string | undefined;
  exp?: number;
  accountId?: string;
  loginTs?: number;
  touched?: boolean;
  authorizations?: Authorizations;
  getValueAndPayload(): Promise<{ payload: AdapterPayload }>;
  loginAccount(details: object): void;
  sidFor(clientId: string, value?: string): string | undefined;
  emit(event: string): void;
}

interface ModelClass {
  prototype: object;
}

/** Installs every override on a freshly made provider. */
export function installOverrides(provider: Provider, stores: EngineStores, db: Knex): void {
  overrideSession(provider, stores);
  overrideTokenIds(provider, stores);
  overrideClientSecrets(provider, stores);
  overrideReplayDetection(provider, db);
}

/**
 * The engine loads a session whole and saves it whole. Here a save carries what changed since the load, so that two clients at
 * once do not erase each other, and an ended session is not revived.
 */
function overrideSession(provider: Provider, stores: EngineStores): void {
  const Session = provider.Session as unknown as ModelClass & {
    instantiate(payload?: AdapterPayload): SessionInternals;
  };
  const instantiate = Session.instantiate;
  Object.assign(Session, {
    instantiate(this: unknown, payload?: AdapterPayload) {
      const session = instantiate.call(this as typeof Session, payload);
      session[LOADED] = {
        authorizations: structuredClone((payload?.authorizations ?? {}) as Authorizations),
        accountId: payload?.accountId,
        loginTs: payload?.loginTs,
      };
      return session;
    },
  });

  const { loginAccount } = Session.prototype as SessionInternals;
  Object.assign(Session.prototype, {
    loginAccount(this: SessionInternals, details: object) {
      loginAccount.call(this, details);
      this[SIGNED_IN] = true;
    },

    async save(this: SessionInternals, ttlSeconds: number) {
      const loaded = this[LOADED] ?? { authorizations: {}, accountId: undefined, loginTs: undefined };
      this.exp = Math.floor(Date.now() / 1000) + ttlSeconds;
      const { payload } = await this.getValueAndPayload();
      await stores.session.save({
        id: this.jti,
        oldId: this.oldId,
        signedIn:
          this[SIGNED_IN] === true || this.accountId !== loaded.accountId || this.loginTs !== loaded.loginTs,
        payload,
        ttlSeconds,
        loaded,
      });
      loaded.authorizations = structuredClone(this.authorizations ?? {});
      loaded.accountId = this.accountId;
      loaded.loginTs = this.loginTs;
      this[SIGNED_IN] = false;
      this.oldId = undefined;
      this.touched = false;
      this.emit('saved');
    },

    // Derived, not random: two tabs that meet a client for the first time must agree on its "sid".
    ensureClientContainer(this: SessionInternals, clientId: string) {
      if (this.sidFor(clientId)) return;
      this.sidFor(clientId, createHash('sha256').update(`sid\0${this.uid}\0${clientId}`).digest('base64url'));
    },
  });
}

/** Tokens say what they are; a rotated refresh token takes the value that its predecessor's row holds for it. */
function overrideTokenIds(provider: Provider, stores: EngineStores): void {
  const opaque = (model: ModelClass, kind: SecretKind) => {
    const original = (model.prototype as { generateTokenId(): string }).generateTokenId;
    Object.assign(model.prototype, {
      generateTokenId(this: { format?: string }) {
        const id = original.call(this);
        return this.format === 'jwt' ? id : newSecret(kind);
      },
    });
  };
  opaque(provider.AccessToken as unknown as ModelClass, 'accessToken');
  opaque(provider.ClientCredentials as unknown as ModelClass, 'clientCredentials');
  opaque(provider.AuthorizationCode as unknown as ModelClass, 'authorizationCode');
  Object.assign((provider.RefreshToken as unknown as ModelClass).prototype, {
    generateTokenId: () => stores.refreshToken.successorOfRequest() ?? newSecret('refreshToken'),
  });
  Object.assign((provider.Grant as unknown as ModelClass).prototype, { generateTokenId: () => newId('grn') });
}

/** Secrets are hashes in a table of their own, two of them live at once; the engine awaits this comparison. */
function overrideClientSecrets(provider: Provider, stores: EngineStores): void {
  Object.assign((provider.Client as unknown as ModelClass).prototype, {
    compareClientSecret(this: { clientId: string }, actual: string) {
      return stores.client.isSecret(this.clientId, actual);
    },
  });
}

/** RFC 7523 section 3 and RFC 9449 section 11.1: one statement decides who was first, on all nodes. */
function overrideReplayDetection(provider: Provider, db: Knex): void {
  Object.assign(provider.ReplayDetection, {
    async unique(iss: string, jti: string, exp: number): Promise<boolean> {
      const hash = createHash('sha256')
        .update(`${Buffer.byteLength(iss)}:${iss}${jti}`)
        .digest();
      const seconds = Math.max(exp - Math.floor(Date.now() / 1000), 1);
      return rememberOnce(await writeConnectionOf(db), hash, seconds);
    },
  });
}
