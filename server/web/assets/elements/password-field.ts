/// <reference lib="dom" />
/**
 * `<password-field data-label="Show password"><input type="password"></password-field>`: adds the button that shows what was typed.
 * Without JavaScript it is a plain password field.
 */

const eye = 'M2 12s3.6-6.5 10-6.5S22 12 22 12s-3.6 6.5-10 6.5S2 12 2 12Z';
const pupil = 'M12 14.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6Z';
const slash = 'M4.5 4.5l15 15';

function drawIcon(): SVGSVGElement {
  const namespace = 'http://www.w3.org/2000/svg';
  const icon = document.createElementNS(namespace, 'svg');
  icon.setAttribute('viewBox', '0 0 24 24');
  icon.setAttribute('aria-hidden', 'true');
  icon.setAttribute('class', 'icon');
  for (const [name, shape] of Object.entries({ eye, pupil, slash })) {
    const path = document.createElementNS(namespace, 'path');
    path.setAttribute('d', shape);
    path.setAttribute('class', name);
    icon.append(path);
  }
  return icon;
}

class PasswordField extends HTMLElement {
  connectedCallback(): void {
    const input = this.querySelector('input');
    if (!input || this.querySelector('button')) return;
    const button = document.createElement('button');
    button.type = 'button';
    button.setAttribute('aria-label', this.dataset.label ?? '');
    button.setAttribute('aria-controls', input.id);
    button.append(drawIcon());
    const show = (shown: boolean) => {
      input.type = shown ? 'text' : 'password';
      button.setAttribute('aria-pressed', String(shown));
    };
    show(false);
    button.addEventListener('click', () => show(input.type === 'password'));
    // Else the browser would remember the password as ordinary text.
    input.form?.addEventListener('submit', () => show(false));
    this.append(button);
  }
}

customElements.define('password-field', PasswordField);

export {};
