/** The engine's routes, and which of them change more than one thing. */

export interface EngineRoute {
  /** Answers people, so its errors are pages. */
  page: boolean;
  /** Runs in one transaction, opened at its first conditional write. */
  transactional: boolean;
  /** Takes a token that may be one of our JWTs. */
  takesToken: boolean;
}

const page: EngineRoute = { page: true, transactional: true, takesToken: false };
const api: EngineRoute = { page: false, transactional: true, takesToken: false };
const read: EngineRoute = { page: false, transactional: false, takesToken: false };

const routes: Record<string, EngineRoute> = {
  '/auth': page,
  '/session/end': page,
  '/session/end/confirm': page,
  '/session/end/success': { ...page, transactional: false },
  '/token': api,
  '/request': api,
  '/token/introspection': { ...read, takesToken: true },
  '/token/revocation': { ...api, takesToken: true },
  '/me': read,
  '/jwks': read,
  '/.well-known/openid-configuration': read,
  '/.well-known/oauth-authorization-server': read,
};

/** The engine's route at this path, if it is one. */
export function engineRoute(path: string): EngineRoute | undefined {
  return Object.hasOwn(routes, path) ? routes[path] : /^\/auth\/[\w-]+$/.test(path) ? page : undefined;
}
