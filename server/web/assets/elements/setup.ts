/// <reference lib="dom" />
/**
 * Moves the setup key from the fragment of the printed link (`/setup#k=...`) into the form. Fragments are not sent to servers, so the key is in
 * no log and no Referer; it also leaves the address bar, so that it is in no screenshot and no history. The tab remembers it until
 * the form is sent, for a page that is loaded again in another language.
 */

const remembered = 'setup-key';
const field = document.querySelector<HTMLInputElement>('input[name=key]');
const fromLink = new URLSearchParams(location.hash.slice(1)).get('k');

if (fromLink) {
  sessionStorage.setItem(remembered, fromLink);
  history.replaceState(history.state, '', location.pathname + location.search);
}

const key = fromLink ?? sessionStorage.getItem(remembered);
if (field && field.value === '' && key) {
  field.value = key;
  document.querySelector<HTMLInputElement>('input[name=name]')?.focus();
}
field?.form?.addEventListener('submit', () => sessionStorage.removeItem(remembered));

export {};
