/** What the engine's host needs from storage beside the engine's own adapter interface; adapters/oidc provides it. */
import type { AdapterPayload } from 'oidc-provider';

/** `authorizations` of the engine's Session: client id to what the session knows about it. */
export type Authorizations = Record<string, { sid?: string; grantId?: string; persistsLogout?: boolean }>;

export interface SessionWrite {
  /** The id that the cookie will hold. */
  id: string;
  /** The id that it held before, when it changes. */
  oldId: string | undefined;
  /** The person signed in with this save, so the old id must be worthless at once (session fixation). */
  signedIn: boolean;
  payload: AdapterPayload;
  ttlSeconds: number;
  /** What the session knew when it was loaded; only differences are written. */
  loaded: {
    authorizations: Authorizations;
    accountId: string | undefined;
    loginTs: number | undefined;
  };
}

/** Facts about a client that are never cached. */
export interface ClientFacts {
  id: string;
  kind: string;
  first_party: boolean;
  status: 'active' | 'disabled';
  generation: number;
  logo_hash: string | null;
  created_at: Date;
}

/** What a one-statement issue rests on. */
export interface MachineProof {
  clientId: string;
  secret: string;
  metadataVersion: number;
  configVersion: string;
}

export interface EngineStores {
  session: {
    /** @throws {SessionEnded} when it was ended, or another person signed in, since it was loaded */
    save(write: SessionWrite): Promise<void>;
  };
  grant: {
    /** Opens the grant of a session and client, unless another tab was first; returns the id that counts. */
    open(id: string, payload: AdapterPayload, sessionUid: string, expiresInSeconds: number): Promise<string>;
    findOfSession(sessionUid: string, clientId: string): Promise<AdapterPayload | undefined>;
    /** Generation of a grant that this request has read. */
    generationOf(grantId: string): number;
  };
  client: {
    /** The metadata of an active client. */
    find(clientId: string): Promise<AdapterPayload | undefined>;
    /** Metadata as it was last read, with its version. */
    cached(clientId: string): { version: number; metadata: AdapterPayload } | undefined;
    /** Read at most once a request. */
    factsOf(clientId: string): Promise<ClientFacts | undefined>;
    /** Whether `secret` is one of the client's live secrets, in constant time. */
    isSecret(clientId: string, secret: string): Promise<boolean>;
  };
  clientCredentials: {
    upsert(token: string, payload: AdapterPayload, expiresInSeconds: number): Promise<void>;
    /** Authenticates and stores in one statement; false when the cached knowledge is not the present one. */
    issue(
      token: string,
      payload: AdapterPayload,
      expiresInSeconds: number,
      proof: MachineProof,
    ): Promise<boolean>;
  };
  refreshToken: {
    /** The value that the refresh token issued by this request must have, when it replaces another. */
    successorOfRequest(): string | undefined;
  };
  interaction: {
    /** An interaction in whatever state; the engine itself only sees those that are under way. */
    findAny(
      uid: string,
    ): Promise<{ state: 'live' | 'finished' | 'expired'; payload: AdapterPayload } | undefined>;
  };
  /** Registers a verified JWT for this request and returns the opaque value that the engine may look it up by. */
  answerToken(model: 'AccessToken' | 'ClientCredentials', payload: AdapterPayload): string;
}
