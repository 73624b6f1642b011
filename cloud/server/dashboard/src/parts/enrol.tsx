// Makes a one-time code with which a new station gets its identity. Only for admins.
import { useState } from 'preact/hooks';
import { change } from '../api';
import * as f from '../format';
import { session } from '../session';
import { t } from '../words';
import { Card } from './basics';

type Code = { device: string; site: string; code: string; expires: string };

export function Enrol() {
  const [device, setDevice] = useState('');
  const [site, setSite] = useState('');
  const [code, setCode] = useState<Code>();
  const [fault, setFault] = useState('');
  if (!session().may?.includes('administer')) return null;
  const input = (e: Event) => (e.target as HTMLInputElement).value.trim();
  const make = async (e: Event) => {
    e.preventDefault();
    setFault('');
    setCode(undefined);
    try { setCode(await change<Code>('POST', '/api/v1/enrolments', { device, site })); } catch (err) { setFault((err as Error).message); }
  };
  return (
    <Card id="enrol" title={t('en_title')}>
      <form class="filters" onSubmit={make}>
        <label class="field">{t('en_name')}<input id="enrol-device" value={device} maxLength={64} pattern="[A-Za-z0-9_\-]+" required onInput={(e) => setDevice(input(e))} /></label>
        <label class="field">{t('site')}<input id="enrol-site" value={site} maxLength={64} pattern="[A-Za-z0-9_\-]+" required onInput={(e) => setSite(input(e))} /></label>
        <button id="enrol-button" class="button primary" type="submit">{t('en_make')}</button>
      </form>
      <div class="pad" aria-live="polite">
        {fault && <p class="why">{fault}</p>}
        {code && <p id="enrol-code">{t('en_run', { time: f.when(code.expires) })}<br /><code>edge-agent enrol {location.origin} {code.code}</code></p>}
      </div>
    </Card>
  );
}
