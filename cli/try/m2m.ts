/** `try m2m`: a machine gets a token for an API by itself, the API looks it up, and the machine gives it up. */
import { randomBytes } from 'node:crypto';
import { jwtVerify } from 'jose';
import type { Admin } from '../admin.ts';
import { createHttp, type Credential, expectStatus, type Http, textOf } from './http.ts';
import { discover, type ProviderFacts, signatures } from './provider.ts';
import { describe, type Report, Surprise } from './report.ts';

interface Deal {
  http: Http;
  report: Report;
  provider: ProviderFacts;
  identifier: string;
  machine: Credential;
  api: Credential;
}

const TTL_SECONDS = 600;

/**
 * Goes through client credentials with an API and two clients that are registered for it and deleted afterwards.
 *
 * @throws {Surprise} at the first answer that is not what the specifications ask for
 */
export async function tryM2m(report: Report, admin: Admin, issuer: string): Promise<void> {
  const http = createHttp(report);
  await using cleanUp = new AsyncDisposableStack();
  const provider = await discover(http, report, issuer);

  report.step('A temporary API and machine');
  const identifier = `https://try-${randomBytes(5).toString('hex')}.example.test`;
  await admin.run('apis.add', {
    identifier,
    title: 'Gatehouse try m2m',
    scopes: ['things:read', 'things:delete!'],
    ttlSeconds: TTL_SECONDS,
  });
  cleanUp.defer(async () => void (await admin.run('apis.delete', { identifier })));
  report.line('noted', `API ${identifier} with the scopes things:read and, restricted, things:delete`);
  const add = async (kind: 'machine' | 'api', more: { api?: string }): Promise<Credential> => {
    const { id, secret } = await admin.run('apps.add', { kind, name: `Gatehouse try m2m, ${kind}`, ...more });
    cleanUp.defer(async () => void (await admin.run('apps.delete', { id })));
    report.line('noted', `${id}, a client of kind ${kind}`);
    if (secret === undefined) throw new Surprise('the answer of apps.add', 'a secret', 'none');
    return { id, secret };
  };
  const deal: Deal = {
    http,
    report,
    provider,
    identifier,
    machine: await add('machine', {}),
    api: await add('api', { api: identifier }),
  };

  await refuseWrongSecret(deal);
  const token = await getToken(deal);
  await verify(deal, token);
  await introspect(deal, token);
  await revoke(deal, token);
  report.step('Cleaning up');
  await cleanUp.disposeAsync();
  report.line('noted', 'the API and both clients are deleted');
}

/** A secret that is well formed and right, but of another client. */
async function refuseWrongSecret({ http, report, provider, machine, api, identifier }: Deal): Promise<void> {
  report.step("Token request with another client's secret");
  const answer = await http.post(
    provider.endpoint('token_endpoint'),
    { ...api, id: machine.id },
    { grant_type: 'client_credentials', resource: identifier },
  );
  expectStatus(report, answer, 401);
  report.equal('error', 'invalid_client', answer.body['error']);
  // RFC 6749 section 5.2: who tried HTTP authentication is answered in it.
  report.holds(
    'there is a Basic challenge',
    /^Basic/i.test(answer.headers.get('www-authenticate') ?? ''),
    answer.headers.get('www-authenticate'),
  );
}

async function getToken({ http, report, provider, machine, identifier }: Deal): Promise<string> {
  report.step('Token request');
  const answer = await http.post(provider.endpoint('token_endpoint'), machine, {
    grant_type: 'client_credentials',
    resource: identifier,
    scope: 'things:read things:delete',
  });
  expectStatus(report, answer, 200);
  report.equal('Cache-Control', 'no-store', answer.headers.get('cache-control'));
  report.equal('token_type', 'Bearer', answer.body['token_type']);
  report.equal('expires_in', TTL_SECONDS, answer.body['expires_in']);
  // The machine holds no role, so the restricted scope is left out.
  report.equal('scope', 'things:read', answer.body['scope']);
  report.equal('refresh_token', undefined, answer.body['refresh_token']);
  return textOf(report, answer, 'access_token');
}

/** What an API does with a token, without asking anybody (RFC 9068 section 4). */
async function verify({ report, provider, identifier, machine }: Deal, token: string): Promise<void> {
  report.step('Verification by the API itself');
  const { payload, protectedHeader } = await jwtVerify(token, provider.keys, {
    issuer: provider.issuer,
    audience: identifier,
    typ: 'at+jwt',
    algorithms: signatures,
    requiredClaims: ['exp', 'iat', 'jti', 'sub', 'client_id'],
  }).catch((error: Error) => {
    throw new Surprise('the access token', 'a JWT that verifies', error.message);
  });
  report.line('checked', `it is signed with ${protectedHeader.alg} ${protectedHeader.kid}, by this issuer`);
  report.equal('typ', 'at+jwt', protectedHeader.typ);
  report.equal('aud', identifier, payload.aud);
  report.equal('client_id', machine.id, payload['client_id']);
  report.equal('sub', machine.id, payload.sub);
  report.equal('scope', 'things:read', payload['scope']);
  report.holds(
    `there is a jti: ${payload.jti}`,
    typeof payload.jti === 'string' && payload.jti !== '',
    payload.jti,
  );
  const { rev } = payload;
  report.holds('there are handles to revoke it by (rev)', Array.isArray(rev) && rev.length > 0, rev);
  report.line('noted', describe({ iat: payload.iat, exp: payload.exp, rev }));
}

async function introspect(
  { http, report, provider, identifier, machine, api }: Deal,
  token: string,
): Promise<void> {
  report.step("Introspection with the API's own credential");
  const answer = await http.post(provider.endpoint('introspection_endpoint'), api, { token });
  expectStatus(report, answer, 200);
  report.equal('active', true, answer.body['active']);
  report.equal('client_id', machine.id, answer.body['client_id']);
  report.equal('aud', identifier, answer.body['aud']);
  report.equal('scope', 'things:read', answer.body['scope']);
}

async function revoke({ http, report, provider, machine, api }: Deal, token: string): Promise<void> {
  report.step('Revocation by the machine');
  expectStatus(report, await http.post(provider.endpoint('revocation_endpoint'), machine, { token }), 200);
  report.step('Introspection after revocation');
  const answer = await http.post(provider.endpoint('introspection_endpoint'), api, { token });
  expectStatus(report, answer, 200);
  report.equal('active', false, answer.body['active']);
}
