// The question for a log-in: a name and a password, an access token, or on the first visit the code of the console.
import { render } from 'preact';
import { useState } from 'preact/hooks';
import { saveToken, token } from '../api';
import { loadSession, logIn, session, setUp } from '../session';
import { t } from '../words';

let asking: Promise<boolean> | null = null;
const field = (id: string) => document.getElementById(id) as HTMLInputElement;

/** ask shows the question. It answers true when the person logged in or saved a token. offered is a token to save. */
export function ask(why = '', offered = token()): Promise<boolean> {
  asking ||= new Promise((resolve) => {
    const dialog = document.getElementById('token') as HTMLDialogElement;
    let saved = false;
    const done = () => { saved = true; dialog.close(); };
    const submit = () => { saveToken(field('token-value').value.trim()); saved = true; };
    render(
      <>
        <h2 id="token-title">{t('log_in')}</h2>
        <p id="token-why" class="muted">{why || t('token_why')}</p>
        <Forms done={done} />
        <form method="dialog" id="token-form" onSubmit={submit}>
          <label for="token-value">{t('token')}</label>
          <input id="token-value" type="password" autocomplete="off" spellcheck={false} placeholder="cc_…" defaultValue={offered} />
          <p class="muted">{t('token_help')} <code>cloud-api device add NAME --site SITE --role operator</code>. {t('token_kept')}</p>
          <div class="actions">
            <button class="button" type="button" onClick={() => { saveToken(''); dialog.close(); }}>{t('remove')}</button>
            <span class="grow" />
            <button class="button" type="button" onClick={() => dialog.close()}>{t('close')}</button>
            <button class="button primary" type="submit">{t('save')}</button>
          </div>
        </form>
      </>, dialog);
    dialog.onclose = () => { asking = null; render(null, dialog); resolve(saved); };
    dialog.showModal();
    const input = field('token-value');
    input.value = offered;
    input.focus();
    input.select();
    if (!offered && session().setup === undefined) void loadSession();
  });
  return asking;
}

function Forms({ done }: { done: () => void }) {
  const [first, setFirst] = useState(false);
  const [fault, setFault] = useState('');
  const send = (go: () => Promise<unknown>) => async (e: Event) => {
    e.preventDefault();
    try { await go(); done(); } catch (err) { setFault((err as Error).message); }
  };
  return first ? (
    <form id="first" onSubmit={send(() => setUp(field('login-code').value.trim(), field('login-name').value, field('login-password').value))}>
      <p class="muted">{t('setup_help')}</p>
      <label for="login-code">{t('setup_code')}</label>
      <input id="login-code" autocomplete="off" spellcheck={false} placeholder="cc_…" required />
      <Names minLength={12} autocomplete="new-password" />
      <Foot fault={fault} button={t('setup_button')} />
    </form>
  ) : (
    <form id="login" onSubmit={send(() => logIn(field('login-name').value, field('login-password').value))}>
      <Names autocomplete="current-password" />
      <Foot fault={fault} button={t('log_in')}>
        {session().setup && <button id="setup-button" class="button" type="button" onClick={() => setFirst(true)}>{t('setup')}</button>}
      </Foot>
    </form>
  );
}

const Names = ({ minLength, autocomplete }: { minLength?: number; autocomplete: string }) => (
  <>
    <label for="login-name">{t('login_name')}</label>
    <input id="login-name" autocomplete="username" spellcheck={false} required />
    <label for="login-password">{t('login_password')}</label>
    <input id="login-password" type="password" autocomplete={autocomplete} minLength={minLength} required />
  </>
);

const Foot = ({ fault, button, children }: { fault: string; button: string; children?: any }) => (
  <>
    <p id="login-fault" class="muted" role="alert">{fault}</p>
    <div class="actions">{children}<span class="grow" /><button class="button primary" type="submit">{button}</button></div>
  </>
);
