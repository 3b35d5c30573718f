/// <reference lib="dom" />
/** A form that was sent says so, and is not sent again by a second click. The server bears repetition; this saves the surprise. */

function sentButtons(form: HTMLFormElement): NodeListOf<HTMLButtonElement> {
  return form.querySelectorAll('button:not([type=button])');
}

document.addEventListener('submit', (event) => {
  const form = event.target as HTMLFormElement;
  const submitter = (event as SubmitEvent).submitter;
  submitter?.setAttribute('aria-busy', 'true');
  // After this turn: a disabled button would be missing from what is sent.
  setTimeout(() => {
    for (const button of sentButtons(form)) button.disabled = true;
  }, 0);
});

// Back from the next page: browsers restore this one as it was left.
addEventListener('pageshow', () => {
  for (const form of document.forms)
    for (const button of sentButtons(form)) {
      button.disabled = false;
      button.removeAttribute('aria-busy');
    }
});

export {};
