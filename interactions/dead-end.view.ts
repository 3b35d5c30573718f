/** The Back button, an old tab, a lost cookie: pages that have ended, each with a way on. */
import { type Html, html } from '../server/web/html.ts';
import type { MessageKey } from '../server/web/i18n/i18n.ts';
import { alert, check, clock } from '../server/web/icons.ts';
import { layout, type PageContext } from '../server/web/page.ts';
import { buttonLink, nameOf, rich } from '../server/web/parts.ts';

export type DeadEndProps =
  /** `href`: the client's `initiate_login_uri`, else its home page. */
  | { kind: 'already-signed-in'; client?: { name: string; href?: string } }
  /** `startAgain` replays the authorization request. */
  | { kind: 'expired'; startAgain?: string; client?: { name: string } }
  | { kind: 'unknown' }
  | { kind: 'cookies-blocked'; startAgain?: string };

const texts: Record<DeadEndProps['kind'], { title: MessageKey; explanation: MessageKey; sign: Html }> = {
  'already-signed-in': {
    sign: html`<span class="sign ok">${check}</span>`,
    title: 'deadEnd.alreadySignedIn.title',
    explanation: 'deadEnd.alreadySignedIn.explanation',
  },
  expired: {
    sign: html`<span class="sign">${clock}</span>`,
    title: 'deadEnd.expired.title',
    explanation: 'deadEnd.expired.explanation',
  },
  unknown: {
    sign: html`<span class="sign">${clock}</span>`,
    title: 'deadEnd.unknown.title',
    explanation: 'deadEnd.unknown.explanation',
  },
  'cookies-blocked': {
    sign: html`<span class="sign bad">${alert}</span>`,
    title: 'deadEnd.cookiesBlocked.title',
    explanation: 'deadEnd.cookiesBlocked.explanation',
  },
};

function wayOn({ t }: PageContext, props: DeadEndProps): Html | undefined {
  switch (props.kind) {
    case 'already-signed-in':
      return (
        props.client &&
        buttonLink(
          props.client.href,
          rich(t, 'deadEnd.continueTo', { client: nameOf(props.client.name) }),
          'primary',
        )
      );
    case 'expired':
    case 'cookies-blocked':
      return buttonLink(props.startAgain, t('deadEnd.startAgain'), 'primary');
    case 'unknown':
      return undefined;
  }
}

export function deadEndView(page: PageContext, props: DeadEndProps): Html {
  const { t } = page;
  const { title, explanation, sign } = texts[props.kind];
  const way = wayOn(page, props);
  return layout(page, {
    title: t(title),
    kind: 'auth',
    failed: props.kind !== 'already-signed-in',
    body: html`<div class="lead">${sign}<h1>${t(title)}</h1><p class="muted">${t(explanation)}</p></div>
<div class="stack">${way}${buttonLink('/account', t('deadEnd.account'), way ? 'quiet' : 'primary')}</div>`,
  });
}

export const states: Record<string, DeadEndProps> = {
  alreadySignedIn: {
    kind: 'already-signed-in',
    client: { name: 'Demo Shop', href: 'https://shop.example.test/login' },
  },
  alreadySignedInWithoutClient: { kind: 'already-signed-in' },
  expired: { kind: 'expired', startAgain: '/auth?client_id=demo', client: { name: 'Demo Shop' } },
  expiredForGood: { kind: 'expired' },
  unknown: { kind: 'unknown' },
  cookiesBlocked: { kind: 'cookies-blocked', startAgain: '/auth?client_id=demo' },
};
