// The question for an access token.
import { render } from 'preact';
import { saveToken, token } from '../api';
import { t } from '../words';

let asking: Promise<boolean> | null = null;

/** ask shows the question. It answers true when the person saved a token. */
export function ask(why = ''): Promise<boolean> {
  asking ||= new Promise((resolve) => {
    const dialog = document.getElementById('token') as HTMLDialogElement;
    let saved = false;
    const submit = () => { saveToken((document.getElementById('token-value') as HTMLInputElement).value.trim()); saved = true; };
    render(
      <form method="dialog" onSubmit={submit}>
        <h2 id="token-title">{t('token')}</h2>
        <p id="token-why" class="muted">{why || t('token_why')}</p>
        <label for="token-value">{t('token')}</label>
        <input id="token-value" type="password" autocomplete="off" spellcheck={false} placeholder="cc_…" defaultValue={token()} />
        <p class="muted">{t('token_help')} <code>cloud-api device add NAME --site SITE --role operator</code>. {t('token_kept')}</p>
        <div class="actions">
          <button class="button" type="button" onClick={() => { saveToken(''); dialog.close(); }}>{t('remove')}</button>
          <span class="grow" />
          <button class="button" type="button" onClick={() => dialog.close()}>{t('close')}</button>
          <button class="button primary" type="submit">{t('save')}</button>
        </div>
      </form>, dialog);
    dialog.onclose = () => { asking = null; render(null, dialog); resolve(saved); };
    dialog.showModal();
    const input = document.getElementById('token-value') as HTMLInputElement;
    input.value = token();
    input.focus();
    input.select();
  });
  return asking;
}
