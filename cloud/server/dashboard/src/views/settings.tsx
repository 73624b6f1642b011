// Settings: what this browser shows and how.
import { token } from '../api';
import { forget } from '../data';
import { ask } from '../parts/ask';
import { Card, Select } from '../parts/basics';
import { Audit } from '../parts/audit';
import { Factor } from '../parts/factor';
import { Notifications } from '../parts/notifications';
import { People } from '../parts/people';
import { Tokens } from '../parts/tokens';
import { logOut, session } from '../session';
import { choose, settings, type Settings } from '../settings';
import { t } from '../words';

export default function SettingsView({ redraw }: { redraw: () => void }) {
  const set = (change: Partial<Settings>) => { choose(change); redraw(); };
  return (
    <>
      <Card id="appearance" title={t('appearance')}>
        <div class="filters">
          <Select label={t('language')} value={settings.language} options={[['en', 'English'], ['es', 'Español']]} onChange={(v) => set({ language: v as Settings['language'] })} />
          <Select label={t('units')} value={settings.units} options={[['metric', t('metric')], ['imperial', t('imperial')]]} onChange={(v) => set({ units: v as Settings['units'] })} />
          <Select label={t('appearance')} value={settings.look} options={[['auto', t('auto')], ['light', t('light')], ['dark', t('dark')]]} onChange={(v) => set({ look: v as Settings['look'] })} />
        </div>
      </Card>
      <Card id="account" title={t('account')}>
        <div class="pad actions">
          {!session().csrf && <button id="token-button" class="button" type="button" onClick={async () => { if (await ask()) redraw(); if (!token()) forget(); }}>{t(token() ? 'token' : 'log_in')}</button>}
          {session().csrf && <span id="who">{session().name}, {session().role}</span>}
          {session().csrf && <button id="log-out" class="button" type="button" onClick={async () => { await logOut(); forget(); location.reload(); }}>{t('log_out')}</button>}
          <a href="/metrics">{t('metrics')}</a>
        </div>
      </Card>
      {session().csrf && <Factor changed={redraw} />}
      {(session().may?.includes('notify') || token()) && <Notifications />}
      {session().may?.includes('manage') && <><People /><Tokens /></>}
      {session().may?.includes('administer') && <Audit />}
    </>
  );
}
