/** What a person lets an application have: chosen one by one, remembered, and asked again only when there is a reason. */
import test from 'ava';
import { decodeJwt } from 'jose';
import type { BrowserContext, Page } from 'playwright-core';
import { startTestApp, type TestApp } from '../_app.ts';
import { allow, run, send, shownScopes, signIn, useBrowser } from '../_chromium.ts';
import { type RelyingParty, startRelyingParty } from '../_relying-party.ts';

const newContext = useBrowser();
const orders = 'https://api.shop.test/orders';
const stock = 'https://api.shop.test/stock';
let app: TestApp;

test.before(async () => {
  app = await startTestApp();
  await app.createApi({
    identifier: orders,
    title: 'Orders',
    scopes: [
      { name: 'read', titles: { en: 'See your orders' } },
      { name: 'cancel', titles: { en: 'Cancel your orders' } },
      { name: 'refund', titles: { en: 'Pay money back' }, restricted: true },
    ],
  });
  await app.createApi({ identifier: stock, title: 'Stock', scopes: [{ name: 'read' }] });
  const { id } = (await app.db('apis').where({ identifier: orders }).first('id')) as { id: never };
  await app.db('role_scopes').insert({ role: 'vip', api_id: id, scope: 'refund' } as never);
});

test.after.always(async () => {
  await app?.[Symbol.asyncDispose]();
});

const scopesOf = ({ scope }: { scope?: string }) => (scope ?? '').split(' ').toSorted();

/** Opens a page and signs in there; the next page is the one that is asked about. */
async function signedIn(
  context: BrowserContext,
  url: string,
  person: Parameters<typeof signIn>[1],
): Promise<Page> {
  const page = await context.newPage();
  await page.goto(url);
  await signIn(page, person);
  return page;
}

run('refusing answers access_denied, is no decision about a scope, and is asked again', async (t) => {
  const person = await app.createPerson();
  await using shop = await startRelyingParty(app);
  await using context = await newContext();
  const attempt = await shop.begin();
  const page = await signedIn(context, attempt.url, person);
  await send(page, '#consent-deny');
  const answer = await attempt.answer(page);
  t.is(answer.get('error'), 'access_denied');
  t.is(answer.get('code'), null);
  t.is((await app.db('consents').where({ account_id: person.id as never })).length, 0);

  const again = await shop.begin();
  await page.goto(again.url);
  t.deepEqual(await shownScopes(page), ['openid', 'profile', 'email']);
  await allow(page);
  t.is((await again.redeem(page)).claims()?.sub, person.subject);
});

run('a page says who asks, for whom, where the answer goes, and what is given away', async (t) => {
  const person = await app.createPerson();
  await using shop = await startRelyingParty(app, {
    name: 'Shop <b>"&amp;"</b>',
    policyUri: 'https://shop.test/privacy',
  });
  await using context = await newContext();
  const page = await signedIn(context, (await shop.begin()).url, person);
  t.true((await page.locator('h1').innerText()).includes('Shop <b>"&amp;"</b>'));
  t.is(await page.locator('#return-host').innerText(), new URL(shop.redirectUri).host);
  const text = await page.locator('main').innerText();
  t.true(text.includes(person.identifier) && text.includes(person.name));
  t.is(await page.locator('a[href="https://shop.test/privacy"]').count(), 1);
  t.true(await page.isDisabled('input[name=scope][value=openid]'), 'without it there is no sign-in');
});

run(
  'a refused scope is in no token and no userinfo, and is offered again with prompt=consent only',
  async (t) => {
    const person = await app.createPerson();
    await using shop = await startRelyingParty(app);
    await using context = await newContext();
    const first = await shop.begin();
    const page = await signedIn(context, first.url, person);
    await allow(page, ['email']);
    const tokens = await first.redeem(page);
    t.deepEqual(scopesOf(tokens), ['openid', 'profile']);
    const info = await shop.userInfo(tokens);
    t.is(info.name, person.name);
    t.is(info.email, undefined);
    t.is((await shop.userInfo(await shop.refresh(tokens))).email, undefined, 'nor after a refresh');

    const second = await shop.begin();
    await page.goto(second.url);
    t.deepEqual(scopesOf(await second.redeem(page)), ['openid', 'profile'], 'nothing was asked');

    const third = await shop.begin({ prompt: 'consent' });
    await page.goto(third.url);
    t.deepEqual(await shownScopes(page), ['openid', 'profile', 'email']);
    await allow(page);
    const all = await third.redeem(page);
    t.deepEqual(scopesOf(all), ['email', 'openid', 'profile']);
    t.is((await shop.userInfo(all)).email, person.identifier);
  },
);

run(
  'a refused scope is refused in the claims parameter too, and asked for again there by name',
  async (t) => {
    const person = await app.createPerson();
    await using shop = await startRelyingParty(app);
    await using context = await newContext();
    const email = { id_token: { email: { essential: true } }, userinfo: { email: null } };
    const claims = JSON.stringify(email);
    const first = await shop.begin({ claims });
    const page = await signedIn(context, first.url, person);
    t.deepEqual(await shownScopes(page), ['openid', 'profile', 'email'], 'one thing is one choice');
    await allow(page, ['email']);
    const whatItKnows = async (attempt: typeof first) => {
      const tokens = await attempt.redeem(page);
      return [tokens.claims()?.['email'], (await shop.userInfo(tokens)).email];
    };
    t.deepEqual(await whatItKnows(first), [undefined, undefined]);

    const byClaims = { scope: 'openid', claims };
    const second = await shop.begin(byClaims);
    await page.goto(second.url);
    t.deepEqual(await whatItKnows(second), [undefined, undefined], 'nothing was asked');

    const third = await shop.begin({ ...byClaims, prompt: 'consent' });
    await page.goto(third.url);
    t.deepEqual(await shownScopes(page), ['openid', 'claims']);
    t.true((await page.locator('main').innerText()).includes('email'));
    await allow(page);
    t.deepEqual(await whatItKnows(third), [person.identifier, person.identifier]);

    const fourth = await shop.begin({ prompt: 'consent' });
    await page.goto(fourth.url);
    await allow(page, ['email']);
    t.deepEqual(await whatItKnows(fourth), [undefined, undefined]);
    const fifth = await shop.begin(byClaims);
    await page.goto(fifth.url);
    t.deepEqual(await whatItKnows(fifth), [undefined, undefined], 'the last word counts');

    const sixth = await shop.begin({ prompt: 'consent' });
    await page.goto(sixth.url);
    await allow(page);
    t.deepEqual(await whatItKnows(sixth), [undefined, person.identifier]);
    const seventh = await shop.begin(byClaims);
    await page.goto(seventh.url);
    t.deepEqual(await whatItKnows(seventh), [person.identifier, person.identifier], 'the scope said so');
  },
);

run('taking a scope back with prompt=consent ends the tokens that had it', async (t) => {
  const person = await app.createPerson();
  await using shop = await startRelyingParty(app);
  await using context = await newContext();
  const first = await shop.begin();
  const page = await signedIn(context, first.url, person);
  await allow(page);
  const tokens = await first.redeem(page);
  t.is((await shop.userInfo(tokens)).email, person.identifier);

  const second = await shop.begin({ prompt: 'consent' });
  await page.goto(second.url);
  await allow(page, ['email']);
  const less = await second.redeem(page);
  t.deepEqual(scopesOf(less), ['openid', 'profile']);
  await t.throwsAsync(shop.userInfo(tokens));
  await t.throwsAsync(shop.refresh(tokens), { code: 'OAUTH_RESPONSE_BODY_ERROR' });
  t.is((await shop.userInfo(less)).email, undefined);
});

run('a decision is remembered in other sessions, and only what is new is asked', async (t) => {
  const person = await app.createPerson();
  await using shop = await startRelyingParty(app);
  await using laptop = await newContext();
  const first = await shop.begin();
  const page = await signedIn(laptop, first.url, person);
  await allow(page);
  await first.redeem(page);

  await using phone = await newContext();
  const same = await shop.begin();
  const there = await signedIn(phone, same.url, person);
  t.is((await same.redeem(there)).claims()?.sub, person.subject, 'nothing was asked');

  const silent = await shop.begin({ scope: 'openid profile email phone', prompt: 'none' });
  await there.goto(silent.url);
  t.is((await silent.answer(there)).get('error'), 'consent_required');

  const more = await shop.begin({ scope: 'openid profile email phone' });
  await there.goto(more.url);
  t.deepEqual(await shownScopes(there), ['phone']);
  t.regex(await there.locator('details summary').innerText(), /^Already allowed/);
  await there.click('details summary');
  t.is(await there.locator('details li').count(), 3);
  await allow(there);
  t.deepEqual(scopesOf(await more.redeem(there)), ['email', 'openid', 'phone', 'profile']);
});

run('applications whose identity nothing proves are asked for every time', async (t) => {
  const person = await app.createPerson();
  await using notes = await startRelyingParty(app, { kind: 'native', name: 'Notes', anyPort: true });
  await using local = await startRelyingParty(app, { kind: 'spa', name: 'Local' });
  // First-party or not: another program on this computer can take the same address.
  await using own = await startRelyingParty(app, { kind: 'native', name: 'Own', firstParty: true });
  for (const client of [notes, local, own]) {
    await using context = await newContext();
    const first = await client.begin();
    const page = await signedIn(context, first.url, person);
    await allow(page);
    t.is((await first.redeem(page)).claims()?.sub, person.subject);

    const second = await client.begin();
    await page.goto(second.url);
    t.deepEqual(await shownScopes(page), ['openid', 'profile', 'email']);
    await allow(page);
    t.is((await second.redeem(page)).claims()?.sub, person.subject);

    const silent = await client.begin({ prompt: 'none' });
    await page.goto(silent.url);
    t.regex(String((await silent.answer(page)).get('error')), /^(interaction|consent)_required$/);
  }
});

run('"Not you?" lets another person decide, for their own account', async (t) => {
  const alice = await app.createPerson();
  const bob = await app.createPerson({ name: 'Bob' });
  await using shop = await startRelyingParty(app);
  await using context = await newContext();
  const attempt = await shop.begin();
  const page = await signedIn(context, attempt.url, alice);
  await send(page, '#not-you');
  await signIn(page, bob);
  t.true((await page.locator('main').innerText()).includes(bob.identifier));
  await allow(page);
  t.is((await attempt.redeem(page)).claims()?.sub, bob.subject);
  t.is((await app.db('consents').where({ account_id: alice.id as never })).length, 0);
});

run(
  'scopes of an API are asked for each API, and a restricted one only of those who may have it',
  async (t) => {
    const person = await app.createPerson();
    await using shop = await startRelyingParty(app);
    await using context = await newContext();
    const request = { scope: 'openid read cancel refund', resource: orders };
    const first = await shop.begin(request);
    const page = await signedIn(context, first.url, person);
    t.is(await page.locator('fieldset legend code').innerText(), orders);
    t.deepEqual(await shownScopes(page), ['openid', `${orders} read`, `${orders} cancel`]);
    await allow(page, [`${orders} cancel`]);
    const forOrders = await first.redeem(page, { resource: orders });
    t.is(decodeJwt(forOrders.access_token)['scope'], 'read');

    const other = await shop.begin({ scope: 'openid read', resource: stock });
    await page.goto(other.url);
    t.deepEqual(await shownScopes(page), [`${stock} read`], 'the same word is another permission there');
    await allow(page);
    const forStock = decodeJwt((await other.redeem(page, { resource: stock })).access_token);
    t.is(forStock.aud, stock);
    t.is(forStock['scope'], 'read');

    const vip = await app.createPerson({ roles: ['user', 'vip'] });
    await using office = await newContext();
    const theirs = await shop.begin(request);
    const there = await signedIn(office, theirs.url, vip);
    t.deepEqual(await shownScopes(there), [
      'openid',
      ...['read', 'cancel', 'refund'].map((name) => `${orders} ${name}`),
    ]);
    await allow(there);
    const { access_token } = await theirs.redeem(there, { resource: orders });
    t.deepEqual(scopesOf(decodeJwt(access_token) as { scope?: string }), ['cancel', 'read', 'refund']);
  },
);

run('keeping access is asked for by name, with prompt=consent, and is part of the answer', async (t) => {
  const person = await app.createPerson();
  await using shop = await startRelyingParty(app);
  await using context = await newContext();
  const without = await shop.begin({ scope: 'openid offline_access' });
  const page = await signedIn(context, without.url, person);
  t.is(await page.locator('.scope.always').count(), 0);
  await allow(page);
  t.is((await without.redeem(page)).scope, 'openid', 'OpenID Connect Core 11: only with prompt=consent');

  const asked = await shop.begin({ scope: 'openid offline_access', prompt: 'consent' });
  await page.goto(asked.url);
  t.is(await page.locator('.scope.always').count(), 1);
  await allow(page);
  t.deepEqual(scopesOf(await asked.redeem(page)), ['offline_access', 'openid']);
});

run('what a forged form adds is not granted', async (t) => {
  const person = await app.createPerson();
  await using shop: RelyingParty = await startRelyingParty(app);
  await using context = await newContext();
  const attempt = await shop.begin({ scope: 'openid read', resource: orders });
  const page = await signedIn(context, attempt.url, person);
  const boxes = page.locator('input[name=scope]');
  await boxes.nth(1).evaluate((box, value) => {
    (box as unknown as { value: string }).value = value;
  }, `${orders} refund`);
  await allow(page);
  const tokens = await attempt.redeem(page, { resource: orders });
  t.is(decodeJwt(tokens.access_token)['scope'], undefined);
  const granted = await app.db('consents').where({ account_id: person.id as never });
  t.false(JSON.stringify(granted).includes('refund'));
});
