// Ends the access of a station. Only for admins, and with a second question.
import { useState } from 'preact/hooks';
import { change } from '../api';
import { go } from '../router';
import { session } from '../session';
import { t } from '../words';
import { Act } from './basics';

export function Revoke({ device }: { device: string }) {
  const [asked, setAsked] = useState(false);
  if (!session().may?.includes('administer')) return null;
  const revoke = async () => {
    await change('DELETE', `/api/v1/devices/${encodeURIComponent(device)}`);
    go('/stations');
    return t('rk_done', { device });
  };
  return (
    <div id="revoke" class="actions">
      {asked ? <>
        <span role="alert">{t('rk_sure', { device })}</span>
        <Act label={t('rk_yes')} act={revoke} class="button small danger" data={{ 'data-revoke': 'yes' }} />
        <button class="button small" type="button" onClick={() => setAsked(false)}>{t('pd_cancel')}</button>
      </> : <button class="button small" type="button" data-revoke="ask" onClick={() => setAsked(true)}>{t('rk_ask')}</button>}
    </div>
  );
}
