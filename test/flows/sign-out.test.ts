/** Signing out at the application (OpenID Connect RP-Initiated Logout 1.0), without a browser. */
import test from 'ava';
import { startTestApp } from '../_app.ts';
import { authorizeUrl, newJar, redeem, request, type TestClient, userinfo, walk } from '../_walk.ts';

const callback = 'https://shop.test/callback';
const after = 'https://shop.test/bye';

async function setUp() {
  const app = await startTestApp();
  const person = await app.createPerson();
  const client: TestClient = {
    ...(await app.createClient({
      kind: 'web',
      name: 'Shop',
      redirectUris: [callback],
      postLogoutRedirectUris: [after],
    })),
    redirectUri: callback,
  };
  const jar = newJar();
  const { json } = await redeem(
    app,
    client,
    (await walk(jar, authorizeUrl(app, client), { person })).get('code'),
  );
  const end = (more: Record<string, string>) => `${app.url}/session/end?${new URLSearchParams(more)}`;
  return { app, person, client, jar, tokens: json, end };
}

test('an address that is not registered is refused, and nobody is signed out', async (t) => {
  const { app, client, jar, tokens, end } = await setUp();
  await using _ = app;
  const reply = await request(
    jar,
    end({ client_id: client.id, post_logout_redirect_uri: 'https://evil.test/' }),
  );
  t.is(reply.status, 400);
  t.is((await userinfo(app, tokens['access_token'])).status, 200);
});

test('a GET alone never signs out: without the own hint it asks', async (t) => {
  const { app, person, client, jar, tokens, end } = await setUp();
  await using _ = app;
  const stranger = newJar();
  const others = await redeem(
    app,
    client,
    (await walk(stranger, authorizeUrl(app, client), { person })).get('code'),
  );
  for (const hint of [undefined, String(others.json['id_token'])]) {
    const page = await request(jar, end(hint ? { id_token_hint: hint } : { client_id: client.id }));
    t.is(page.status, 200);
    t.true(page.text.includes('id="sign-out-confirm"'));
    // An ID token without "sid" names the person and not the session; only the same person's may skip the question.
    if (!hint) t.false(page.text.includes('data-automatic'));
  }
  t.is((await userinfo(app, tokens['access_token'])).status, 200);
});

test("another person's hint asks", async (t) => {
  const { app, client, jar, end } = await setUp();
  await using _ = app;
  const bob = await app.createPerson({ name: 'Bob' });
  const { json } = await redeem(
    app,
    client,
    (await walk(newJar(), authorizeUrl(app, client), { person: bob })).get('code'),
  );
  t.false(
    (await request(jar, end({ id_token_hint: String(json['id_token']) }))).text.includes('data-automatic'),
  );
});

test('the own hint signs out, returns with the state, and everything of the session ends', async (t) => {
  const { app, client, jar, tokens, end } = await setUp();
  await using _ = app;
  const page = await request(
    jar,
    end({ id_token_hint: String(tokens['id_token']), post_logout_redirect_uri: after, state: 'bye' }),
  );
  t.true(page.text.includes('data-automatic'));
  const xsrf = String(/name="xsrf" value="([^"]+)"/.exec(page.text)?.[1]);
  const wrong = await request(jar, `${app.url}/session/end/confirm`, {
    method: 'POST',
    body: new URLSearchParams({ xsrf: 'x', logout: 'yes' }),
  });
  t.true(wrong.status >= 400 && wrong.status < 500);
  t.is((await userinfo(app, tokens['access_token'])).status, 200);
  const reply = await request(jar, `${app.url}/session/end/confirm`, {
    method: 'POST',
    body: new URLSearchParams({ xsrf, logout: 'yes' }),
  });
  t.is(reply.headers.get('location'), `${after}?state=bye`);
  t.is((await userinfo(app, tokens['access_token'])).status, 401);
  const silent = await request(jar, authorizeUrl(app, client, { prompt: 'none' }));
  t.is(new URL(String(silent.headers.get('location'))).searchParams.get('error'), 'login_required');
});
