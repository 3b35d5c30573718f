/// <reference lib="dom" />
/** Sends the sign-out form that needs no question. Without JavaScript its button does. */

const form = document.querySelector<HTMLFormElement>('form[data-automatic]');
form?.requestSubmit(form.querySelector<HTMLButtonElement>('#sign-out-confirm'));

export {};
