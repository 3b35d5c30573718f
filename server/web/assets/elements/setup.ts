/// <reference lib="dom" />
/**
 * Moves the setup key from the fragment of the printed link (`/setup#k=...`) into the form. Fragments are not sent to servers, so the key is in
 * no log and no Referer; it also leaves the address bar, so that it is in no screenshot and no history.
 */

const field = document.querySelector<HTMLInputElement>('input[name=key]');
const key = new URLSearchParams(location.hash.slice(1)).get('k');
if (field && key) {
  field.value = key;
  history.replaceState(history.state, '', location.pathname + location.search);
  document.querySelector<HTMLInputElement>('input[name=name]')?.focus();
}

export {};
