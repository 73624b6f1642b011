// The second factor: a new key for an authenticator app, its first code, and the backup codes.
import { useEffect, useState } from 'preact/hooks';
import { forget } from '../data';
import { confirmFactor, type FactorKey, newFactor, Refused, removeFactor, session } from '../session';
import { t } from '../words';
import { Card } from './basics';

const typed = (id: string) => (document.getElementById(id) as HTMLInputElement).value;

/** Code is the field of a code of the app, or of a backup code. */
export const Code = ({ id, label }: { id: string; label: string }) => (
  <>
    <label for={id}>{label}</label>
    <input id={id} autocomplete="one-time-code" autocapitalize="none" spellcheck={false} maxLength={32} required />
  </>
);

/** NewFactor shows a new key until its first code is right, and then the backup codes until the person has kept them. */
export function NewFactor({ name, password, current, confirmed, failed, done }: {
  name: string; password: string; current?: string; confirmed?: () => void; failed?: (why: string) => void; done: () => void;
}) {
  const [key, setKey] = useState<FactorKey>();
  const [codes, setCodes] = useState<string[]>();
  const [fault, setFault] = useState('');
  useEffect(() => { newFactor(name, password, current).then(setKey, (err) => (failed || setFault)(err.message)); }, []);
  const confirm = async (e: Event) => {
    e.preventDefault();
    try { setCodes((await confirmFactor(name, password, typed('factor-first'))).backup_codes); confirmed?.(); } catch (err) { setFault((err as Error).message); }
  };
  if (codes) return (
    <div class="stack" id="factor-backup">
      <p role="status">{t('sf_backup')}</p>
      <ul class="codes">{codes.map((c) => <li key={c}><code>{c}</code></li>)}</ul>
      <div class="actions"><span class="grow" /><button id="factor-kept" class="button primary" type="button" onClick={done}>{t('sf_kept')}</button></div>
    </div>
  );
  return (
    <form id="factor-new" class="stack" onSubmit={confirm}>
      {key && <>
        <p>{t('sf_scan')}</p>
        <img class="qr" src={key.qr} width={240} height={240} alt={t('sf_qr')} />
        <p>{t('sf_type')} <code id="factor-key" class="wrap-all">{key.key}</code></p>
        <Code id="factor-first" label={t('sf_first')} />
      </>}
      <p id="factor-fault" class="muted" role="alert">{fault}</p>
      {key && <div class="actions"><span class="grow" /><button class="button primary" type="submit">{t('sf_confirm')}</button></div>}
    </form>
  );
}

/** Factor is the part of the settings for a person who has logged in. */
export function Factor({ changed }: { changed: () => void }) {
  const [proof, setProof] = useState<{ password: string; current: string }>();
  const [fault, setFault] = useState('');
  const me = session();
  const on = Boolean(me.second_factor);
  const password = () => ({ password: typed('factor-password'), current: on ? typed('factor-current') : '' });
  const remove = async () => {
    const form = document.getElementById('factor') as HTMLFormElement;
    if (!form.reportValidity()) return;
    const p = password();
    try { await removeFactor(me.name!, p.password, p.current); forget(); location.reload(); } catch (err) { setFault((err as Refused).message); }
  };
  return (
    <Card id="second-factor" title={t('sf_title')}>
      <div class="pad stack">
        <p id="factor-state">{t(on ? 'sf_on' : 'sf_off')}</p>
        {proof ? <NewFactor name={me.name!} password={proof.password} current={proof.current} confirmed={changed} failed={(why) => { setProof(undefined); setFault(why); }} done={() => { setProof(undefined); changed(); }} /> : (
          <form id="factor" class="stack" onSubmit={(e) => { e.preventDefault(); setFault(''); setProof(password()); }}>
            <label for="factor-password">{t('login_password')}</label>
            <input id="factor-password" type="password" autocomplete="current-password" required />
            {on && <Code id="factor-current" label={t('sf_code')} />}
            {fault && <p class="why" role="alert">{fault}</p>}
            <div class="actions">
              {on && <button id="factor-remove" class="button" type="button" onClick={remove}>{t('sf_remove')}</button>}
              <button id="factor-set" class="button primary" type="submit">{t(on ? 'sf_new' : 'sf_set')}</button>
            </div>
          </form>)}
      </div>
    </Card>
  );
}
