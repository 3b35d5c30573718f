/** Signs a person in with plain fetch, and keeps the cookies, so that codes can be asked for at once afterwards. */

export interface Browser {
  cookies: Map<string, string>;
}

/** Follows a journey to the client's callback and returns its parameters. */
export async function follow(
  browser: Browser,
  start: string,
  callback: string,
  person?: { identifier: string; password: string },
): Promise<URLSearchParams> {
  let url = start;
  let form: URLSearchParams | undefined;
  for (let step = 0; step < 20; step += 1) {
    const response = await request(browser, url, form);
    const location = response.headers.get('location');
    form = undefined;
    if (location) {
      url = new URL(location, url).href;
      if (url.startsWith(callback)) return new URL(url).searchParams;
      continue;
    }
    const page = await response.text();
    const csrf = /name="csrf" value="([^"]+)"/.exec(page)?.[1];
    const action = /<form method="post" action="([^"]+sign-in)"/.exec(page)?.[1];
    if (!person || !csrf || !action)
      throw new Error(`stuck at ${url}: ${response.status} ${page.slice(0, 300)}`);
    form = new URLSearchParams({ csrf, ...person });
    url = new URL(action, url).href;
  }
  throw new Error('the journey does not end');
}

export function cookieHeader(browser: Browser): string {
  return [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
}

async function request(browser: Browser, url: string, form: URLSearchParams | undefined): Promise<Response> {
  const response = await fetch(url, {
    redirect: 'manual',
    headers: { cookie: cookieHeader(browser) },
    ...(form ? { method: 'POST', body: form } : {}),
  });
  for (const cookie of response.headers.getSetCookie()) {
    const [pair = ''] = cookie.split(';');
    const at = pair.indexOf('=');
    browser.cookies.set(pair.slice(0, at), pair.slice(at + 1));
  }
  return response;
}
