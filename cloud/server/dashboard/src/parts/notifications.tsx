// Notifications: who hears of which events, and the messages that were sent or given up.
import { useState } from 'preact/hooks';
import { change } from '../api';
import { useRead } from '../data';
import * as f from '../format';
import { settings } from '../settings';
import type { Notification, NotificationRule, NotificationRules, Overview, Page } from '../types';
import { t, type Key } from '../words';
import { Act, Age, Card, Empty, Select, Shown } from './basics';

const base = '/api/v1/notifications';
const kinds = ['station_silent', 'station_fault', 'disk_full', 'upload_stuck', 'footage_failed', 'counting_late', 'count_ready', 'count_off_book', 'certificate_ending'] as const;
const kindText = (k: string) => t(`nt_${k}` as Key);
const input = (e: Event) => (e.target as HTMLInputElement).value;

export function Notifications() {
  const rules = useRead<NotificationRules>(`${base}/rules`, { keep: false });
  const [secret, setSecret] = useState('');
  const log = useRead<Page<Notification>>(`${base}?limit=30`, { every: 20_000, keep: false });
  const reload = () => { rules.reload(); log.reload(); };
  return (
    <>
      <Card id="notifications" title={t('nt_title')} aside={<Age at={rules.at} />}>
        <Shown read={rules}>{(d) => (
          <>
            {d.items.length ? <ul class="list">{d.items.map((r) => <Rule key={r.id} r={r} done={reload} />)}</ul> : <Empty title={t('nt_none')} text={t('nt_none_help')} />}
            {secret && <div class="pad" role="status"><p class="problem note"><strong>{t('nt_secret')}</strong><code id="nt-secret">{secret}</code><span>{t('nt_secret_help')}</span></p></div>}
            <AddRule email={d.email} pushKey={pushes ? d.push_key : undefined} done={(r) => { setSecret(r.secret ?? ''); reload(); }} />
          </>
        )}</Shown>
      </Card>
      <Card id="messages" title={t('nt_messages')} aside={<Age at={log.at} />}>
        <Shown read={log}>{(d) => (d.items.length ? <ul class="list">{d.items.map((n) => <Message key={n.id} n={n} done={log.reload} />)}</ul> : <Empty title={t('nt_no_messages')} />)}</Shown>
      </Card>
    </>
  );
}

function Rule({ r, done }: { r: NotificationRule; done: () => void }) {
  const at = `${base}/rules/${encodeURIComponent(r.id)}`;
  const quiet = r.quiet && t('nt_quiet_shown', { from: r.quiet.from, to: r.quiet.to, zone: r.quiet.zone });
  const test = async () => {
    const n = await change<Notification>('POST', `${at}/test`);
    done();
    if (n.state !== 'sent') throw new Error(t('nt_test_failed', { why: n.fault ?? '' }));
    return t('nt_test_sent');
  };
  const pause = async () => {
    const { kinds: k, language, quiet: q } = r;
    await change('PUT', at, { kinds: k, language, quiet: q, paused: !r.paused });
    done();
  };
  return (
    <li class="job-row" data-rule={r.id}>
      <span class="who"><strong class="name wrap">{siteText(r.site)} → {r.target}</strong>
        <span class="meta wrap">{[r.kinds.map(kindText).join(', '), quiet].filter(Boolean).join(' · ')}</span></span>
      {r.paused && <span class="badge wait">{t('nt_paused')}</span>}
      <span class="att-do">
        <Act label={t('nt_test')} act={test} data={{ 'data-test': '' }} />
        <Act label={t(r.paused ? 'nt_resume' : 'nt_pause')} act={pause} />
        <Act label={t('nt_remove')} act={async () => { await change('DELETE', at); done(); }} />
      </span>
    </li>
  );
}

const siteText = (site: string) => (site === '*' ? t('nt_all_sites') : site);

const pushes = 'PushManager' in window && 'serviceWorker' in navigator && isSecureContext;

// subscribe asks the browser for messages of this server. A subscription to another key, such as that of a server before this
// one, is replaced.
async function subscribe(key: string): Promise<string> {
  if (await Notification.requestPermission() !== 'granted') throw new Error(t('nt_denied'));
  const { pushManager } = await navigator.serviceWorker.ready;
  const wanted = Uint8Array.from(atob(key.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
  let s = await pushManager.getSubscription();
  const has = s?.options.applicationServerKey && new Uint8Array(s.options.applicationServerKey);
  if (s && (!has || has.some((b, i) => b !== wanted[i]))) { await s.unsubscribe(); s = null; }
  s ??= await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: wanted });
  const { endpoint, keys } = s.toJSON();
  return JSON.stringify({ endpoint, keys: { p256dh: keys?.p256dh, auth: keys?.auth } });
}

function AddRule({ email, pushKey, done }: { email: boolean; pushKey?: string; done: (r: NotificationRule) => void }) {
  const overview = useRead<Overview>('/api/v1/overview');
  const devices = useRead<Page<{ site: string }>>('/api/v1/devices');
  const sites = [...new Set([...(devices.data?.items ?? []), ...(overview.data?.sites ?? [])].map((s) => s.site))].filter(Boolean).sort();
  const [site, setSite] = useState('');
  const [channel, setChannel] = useState('webhook');
  const [target, setTarget] = useState('');
  const [chosen, setChosen] = useState<string[]>(['station_silent', 'disk_full', 'upload_stuck', 'footage_failed']);
  const [from, setFrom] = useState('');
  const [to, setTo] = useState('');
  const add = async () => {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const r = await change<NotificationRule>('POST', `${base}/rules`, {
      site: site || sites[0] || '*', kinds: chosen, channel, target: channel === 'push' ? await subscribe(pushKey!) : target.trim(), language: settings.language,
      quiet: from && to ? { from, to, zone } : undefined,
    });
    setTarget('');
    done(r);
    return t('nt_added');
  };
  const toggle = (k: string) => setChosen(chosen.includes(k) ? chosen.filter((x) => x !== k) : [...chosen, k]);
  return (
    <div class="pad stack" id="add-rule">
      <h3>{t('nt_add')}</h3>
      <div class="filters flush">
        <Select label={t('site')} value={site || sites[0] || '*'} onChange={setSite} options={[...sites.map((s): [string, string] => [s, s]), ['*', t('nt_all_sites')]]} />
        <Select label={t('nt_channel')} value={channel} onChange={setChannel} options={[['webhook', 'Webhook'], ...(email ? [['email', t('nt_email')] as [string, string]] : []), ...(pushKey ? [['push', t('nt_push')] as [string, string]] : [])]} />
        {channel !== 'push' && <label class="field wide">{t(channel === 'email' ? 'nt_address' : 'nt_url')}<input id="nt-target" type="text" inputMode={channel === 'email' ? 'email' : 'url'} autocomplete="off" value={target} placeholder={channel === 'email' ? 'anna@ranch.example' : 'https://'} onInput={(e) => setTarget(input(e))} /></label>}
        <label class="field">{t('nt_quiet_from')}<input type="time" value={from} onChange={(e) => setFrom(input(e))} /></label>
        <label class="field">{t('nt_quiet_to')}<input type="time" value={to} onChange={(e) => setTo(input(e))} /></label>
      </div>
      <fieldset class="checks"><legend>{t('nt_kinds')}</legend>
        {kinds.map((k) => <label key={k}><input type="checkbox" checked={chosen.includes(k)} onChange={() => toggle(k)} /> {kindText(k)}</label>)}
      </fieldset>
      <p class="muted">{t('nt_grouped')}{!email && ` ${t('nt_no_email')}`}</p>
      <p><Act class="button primary" label={t('nt_add_button')} act={add} data={{ 'data-add': '' }} /></p>
    </div>
  );
}

const stateKinds: Record<string, [Key, string]> = { waiting: ['nt_waiting', 'wait'], sent: ['nt_sent', 'good'], dead: ['nt_dead', 'bad'] };

function Message({ n, done }: { n: Notification; done: () => void }) {
  const [key, kind] = stateKinds[n.state];
  const again = async () => {
    await change('POST', `${base}/${encodeURIComponent(n.id)}/retry`);
    done();
    return t('nt_again_said');
  };
  return (
    <li class="job-row" data-message={n.id}>
      <span class="who"><span class="name wrap">{n.message.subject}</span>
        <span class="meta wrap">{[n.target, f.when(n.created), n.due && t('nt_next', { when: f.when(n.due) })].filter(Boolean).join(' · ')}</span>
        {n.fault && <span class="reason">{n.fault}</span>}</span>
      <span class={`badge ${kind}`} data-state={n.state}>{t(key)}</span>
      {n.state === 'dead' && <span class="att-do"><Act label={t('nt_again')} act={again} /></span>}
    </li>
  );
}
