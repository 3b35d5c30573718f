/**
 * What is true of a request before anybody looks at it: its id, its client address, and that it was meant for this server.
 *
 * The issuer decides every URL and audience. The Host header and forwarded headers decide nothing: they are compared and then
 * replaced by the issuer's own, because the engine builds addresses from them.
 */
import { randomUUID } from 'node:crypto';
import { BlockList, isIP } from 'node:net';
import type { Context, Middleware } from 'koa';
import { AppError, misdirectedRequest } from '../errors.ts';

/** Answered under any name and protocol: probes call by address. */
const probes = new Set(['/healthz', '/readyz']);

export function createRequestContext(issuer: string, trustProxy: readonly string[]): Middleware {
  const own = new URL(issuer);
  const isTrusted = createTrust(trustProxy);

  return async (ctx, next) => {
    const peer = unmap(ctx.req.socket.remoteAddress ?? '');
    const trusted = isTrusted(peer);
    ctx.state['requestId'] = randomUUID();
    // W3C Trace Context level 1, section 3.2.2: version, trace, parent, flags.
    ctx.state['traceId'] = /^[\da-f]{2}-([\da-f]{32})-[\da-f]{16}-[\da-f]{2}/.exec(
      header(ctx, 'traceparent'),
    )?.[1];
    ctx.state['origin'] = issuer;
    ctx.state['ip'] = trusted ? clientAddress(header(ctx, 'x-forwarded-for'), peer, isTrusted) : peer;
    ctx.set('X-Request-Id', ctx.state['requestId'] as string);

    const host = (trusted && header(ctx, 'x-forwarded-host')) || header(ctx, 'host');
    const protocol = (ctx.req.socket as { encrypted?: boolean }).encrypted
      ? 'https'
      : (trusted && header(ctx, 'x-forwarded-proto')) || 'http';
    pin(ctx, own);
    if (!probes.has(ctx.path)) {
      if (host.toLowerCase() !== own.host) throw misdirectedRequest(host.slice(0, 100), issuer);
      if (own.protocol === 'https:' && protocol !== 'https') throw httpsRequired(issuer);
    }
    await next();
  };
}

/** From here on the request speaks of the issuer and of nothing else. */
function pin(ctx: Context, own: URL): void {
  const { headers } = ctx.req;
  for (const name of Object.keys(headers)) {
    if (name === 'forwarded' || name.startsWith('x-forwarded-')) delete headers[name];
  }
  headers.host = own.host;
  headers['x-forwarded-proto'] = own.protocol.slice(0, -1);
}

const httpsRequired = (issuer: string) =>
  new AppError('https_required', 421, `This server answers as ${issuer}; the request came without https.`);

/** The right-most address that no trusted proxy vouches for; garbage ends the walk at the hop that sent it. */
function clientAddress(forwardedFor: string, peer: string, isTrusted: (address: string) => boolean): string {
  let address = peer;
  for (const hop of forwardedFor.split(',').reverse()) {
    const candidate = unmap(hop.trim());
    if (isIP(candidate) === 0) return address;
    address = candidate;
    if (!isTrusted(candidate)) return address;
  }
  return address;
}

function createTrust(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return (address) => isIP(address) !== 0 && list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

/** IPv4 written as IPv6 is the same address. */
function unmap(address: string): string {
  return address.startsWith('::ffff:') && isIP(address.slice(7)) === 4 ? address.slice(7) : address;
}

function header(ctx: Context, name: string): string {
  const value = ctx.req.headers[name];
  return (Array.isArray(value) ? value[0] : value)?.trim() ?? '';
}
