// The question for a log-in: a name and a password, an access token, or on the first visit the code of the console.
import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { saveToken, token } from '../api';
import { loadSession, logIn, logInWithCode, openIDAddress, openIDFault, Refused, session, setFirstPassword, setUp, waitingCode, waitingInvitation } from '../session';
import { t } from '../words';
import { Code, NewFactor } from './factor';

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
        <Forms done={done} confirmed={() => { saved = true; }} />
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

function Forms({ done, confirmed }: { done: () => void; confirmed: () => void }) {
  const [first, setFirst] = useState(false);
  const [fault, setFault] = useState(() => { const why = openIDFault(); return why ? t(why, { name: session().openid || '' }) : ''; });
  const [factor, setFactor] = useState(false); // the server has asked for the code of the second factor
  const [invited, setInvited] = useState(waitingInvitation());
  const [name, setName] = useState(''); // whose password was set
  const [none, setNone] = useState<{ name: string; password: string }>(); // who must set up a second factor first
  const send = (go: () => Promise<unknown>) => async (e: Event) => {
    e.preventDefault();
    try { await go(); done(); } catch (err) {
      const kind = (err as Refused).kind;
      if (kind === 'second-factor') setFactor(true);
      if (kind === 'no-second-factor') setNone({ name: field('login-name').value, password: field('login-password').value });
      setFault(why(err));
    }
  };
  useEffect(() => { if (factor) field('login-factor').focus(); }, [factor]);
  if (none) return <><p class="muted" role="status">{t('sf_needed')}</p><NewFactor {...none} confirmed={confirmed} done={done} /></>;
  const choose = async (e: Event) => {
    e.preventDefault();
    try {
      setName(await setFirstPassword(field('login-new').value));
      setInvited('');
      setFault(t('pw_set'));
    } catch (err) { setFault(why(err)); }
  };
  if (invited) return (
    <form id="invited" onSubmit={choose}>
      <p class="muted">{t('pw_help')}</p>
      <label for="login-new">{t('pw_new')}</label>
      <input id="login-new" type="password" autocomplete="new-password" minLength={12} required />
      <Foot fault={fault} button={t('pw_save')} />
    </form>
  );
  if (waitingCode()) return (
    <form id="login" onSubmit={send(() => logInWithCode(field('login-factor').value))}>
      <Code id="login-factor" label={t('sf_code')} />
      <Foot fault={fault} button={t('log_in')} />
    </form>
  );
  return first ? (
    <form id="first" onSubmit={send(() => setUp(field('login-code').value.trim(), field('login-name').value, field('login-password').value))}>
      <p class="muted">{t('setup_help')}</p>
      <label for="login-code">{t('setup_code')}</label>
      <input id="login-code" autocomplete="off" spellcheck={false} placeholder="cc_…" required />
      <Names minLength={12} autocomplete="new-password" />
      <Foot fault={fault} button={t('setup_button')} />
    </form>
  ) : (
    <>
    {session().openid && <div class="actions"><a id="openid" class="button primary" href={openIDAddress()}>{t('oi_log_in', { name: session().openid! })}</a></div>}
    {session().passwords === false && !session().setup ? <p id="login-fault" class="muted" role="alert">{fault}</p> : <form id="login" onSubmit={send(() => logIn(field('login-name').value, field('login-password').value, factor ? field('login-factor').value : ''))}>
      <Names autocomplete="current-password" name={name} />
      {factor && <Code id="login-factor" label={t('sf_code')} />}
      <Foot fault={fault} button={t('log_in')}>
        {session().setup && <button id="setup-button" class="button" type="button" onClick={() => setFirst(true)}>{t('setup')}</button>}
      </Foot>
    </form>}
    </>
  );
}

/** why says why a log-in or a new password was refused, in the language of the page where the person can mend it. */
const why = (err: unknown) => (err as Refused).kind === 'leaked-password' ? t('pw_leaked') : (err as Error).message;

const Names = ({ minLength, autocomplete, name }: { minLength?: number; autocomplete: string; name?: string }) => (
  <>
    <label for="login-name">{t('login_name')}</label>
    <input id="login-name" autocomplete="username" spellcheck={false} required defaultValue={name} />
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
