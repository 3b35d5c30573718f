/** Nobody is signed in: the button, and a person to try it with. */
import { type Html, html } from '../../server/web/html.ts';
import { arch } from '../../server/web/icons.ts';
import { facts, page } from './page.view.ts';
import type { DemoSettings } from './seed.ts';

export interface WelcomeProps {
  person: DemoSettings['person'];
  notice: string | undefined;
  issuer: string;
}

export function welcomeView({ person, notice, issuer }: WelcomeProps): Html {
  return page(
    'Welcome',
    html`<div class="hero">
<h1>The shop that never sees your password</h1>
<p class="lead">Demo Shop leaves signing in to Gatehouse at <code>${issuer}</code>. You come back with tokens, and this site shows you what is in them.</p>
<p><a class="btn primary" id="sign-in-with-gatehouse" href="/sign-in">${arch}Sign in with Gatehouse</a></p>
</div>
<section class="card">
<h2>Somebody to try it with</h2>
${facts([
  ['Name', person.name],
  ['Email', html`<code id="demo-identifier">${person.identifier}</code>`],
  ['Password', html`<code id="demo-password">${person.password}</code>`],
])}
<p class="muted small">This account was made for the demo, so its password may stand here. A real application never sees one.</p>
</section>
<section class="card">
<h2>What will happen</h2>
<ol>
<li>The button sends your browser to Gatehouse. This server remembers that you left, so that nobody else’s answer is taken for yours.</li>
<li>You sign in there and decide what Demo Shop may have.</li>
<li>You come back with a code, which this server trades for tokens. Your browser never holds them.</li>
</ol>
</section>`,
    notice,
  );
}
