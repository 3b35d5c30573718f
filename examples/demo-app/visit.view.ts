/** Somebody is signed in: who, with which tokens, and what can be done with them. */
import { decodeProtectedHeader } from 'jose';
import { type Html, html } from '../../server/web/html.ts';
import type { ApiCall } from './api-call.ts';
import { facts, fold, moment, page } from './page.view.ts';
import { isOffline } from './relying-party.ts';
import type { Visit } from './sessions.ts';

export interface VisitProps {
  visit: Visit;
  csrf: string;
  notice: string | undefined;
  /** Identifier of the orders API. */
  api: string;
}

export function visitView(props: VisitProps): Html {
  const { visit, notice } = props;
  const name = String(visit.userinfo['name'] ?? 'stranger');
  return page(
    'Signed in',
    html`<div class="welcome"><h1>Hello, <bdi>${name}</bdi></h1>${postButton(props, '/sign-out', 'sign-out', 'Sign out')}</div>
${identity(visit)}
${tokens(props)}
${orders(props)}`,
    notice,
  );
}

/** A form of one button. */
function postButton({ csrf }: VisitProps, action: string, id: string, label: string, style = ''): Html {
  return html`<form method="post" action="${action}"><input type="hidden" name="csrf" value="${csrf}"><button class="btn ${style}" id="${id}">${label}</button></form>`;
}

function identity({ tokens: { claims }, userinfo }: Visit): Html {
  const text = (claim: string) => String(userinfo[claim] ?? 'not shared');
  return html`<section class="card" id="you">
<h2>Who you are</h2>
${facts([
  ['Name', html`<bdi>${text('name')}</bdi>`],
  ['Email', html`<span id="claim-email">${text('email')}</span>`],
  ['Roles', Array.isArray(userinfo['roles']) ? userinfo['roles'].join(', ') : 'not shared'],
  ['Subject', html`<code id="claim-sub">${claims.sub}</code>`],
])}
<p class="muted small">The subject is what an application remembers you by: it stays when name and email change.</p>
${fold('Userinfo: what you agreed to share', userinfo)}
</section>`;
}

function tokens(props: VisitProps): Html {
  const { idToken, claims, accessExpiresAt, scope } = props.visit.tokens;
  const offline = isOffline(scope);
  return html`<section class="card" id="tokens">
<h2>Your tokens</h2>
${facts([
  [
    'ID token',
    html`a signed JWT, checked once at sign-in; expires at ${moment(new Date(claims.exp * 1000))}`,
  ],
  [
    'Access token',
    html`opaque, for userinfo, with the scope <code id="scope">${scope}</code>; expires at <span id="access-expires">${moment(accessExpiresAt)}</span>`,
  ],
  [
    'Refresh token',
    html`<span id="refresh-kind">${offline ? 'outlives your session at Gatehouse (offline access), until you sign out here' : 'ends with your session at Gatehouse'}</span>`,
  ],
])}
<div class="actions">${postButton(props, '/refresh', 'refresh', 'Refresh')}${!offline && html`<a class="btn" id="offline-access" href="/offline-access">Ask for offline access</a>`}</div>
${fold('Claims of the ID token: header and payload', decodeProtectedHeader(idToken), claims)}
</section>`;
}

function orders(props: VisitProps): Html {
  const { api, visit } = props;
  return html`<section class="card" id="api">
<h2>The orders API</h2>
<p>An API checks tokens that are made for it. Demo Shop trades its refresh token for one with <code>resource=${api}</code>, and calls with that.</p>
<div class="actions">${postButton(props, '/orders', 'call-orders', 'Call the orders API', 'primary')}${postButton(props, '/refund', 'call-refund', 'Try a refund')}</div>
${visit.call && answer(visit.call)}
</section>`;
}

function answer(call: ApiCall): Html {
  const good = call.status === 200;
  return html`<div class="answer" id="api-answer">
<p><code>${call.request}</code> <span class="tag ${good ? 'ok' : 'bad'}" id="api-status">${call.status}</span> <span class="muted small">with the scope <code id="api-scope">${call.scope || 'none'}</code></span></p>
${call.orders.length > 0 && orderTable(call.orders)}
${call.status === 403 && lacking(call)}
${call.status === 401 && html`<p>401: the API does not accept the token, so it does not know who you are.</p>`}
${call.challenge !== undefined && html`<pre>WWW-Authenticate: ${call.challenge}</pre>`}
${fold('The access token for this API: header and payload', call.token.header, call.token.payload)}
</div>`;
}

function lacking({ request }: ApiCall): Html {
  const why = request.startsWith('POST')
    ? html`A refund needs <code>orders:refund</code>. That scope is restricted: a role has to give it, and none of yours does.`
    : html`The list needs <code>orders:read</code>, which you did not allow.`;
  return html`<p>403: the API knows who you are, and this token may not. ${why}</p>`;
}

const orderTable = (rows: ApiCall['orders']): Html => html`<table>
<thead><tr><th scope="col">Order</th><th scope="col">Placed</th><th scope="col">What</th><th scope="col" class="number">Total</th></tr></thead>
<tbody>${rows.map(
  ({ number, placed, item, total }) =>
    html`<tr><th scope="row">${number}</th><td class="date">${placed}</td><td>${item}</td><td class="number">${total}</td></tr>`,
)}</tbody>
</table>`;
