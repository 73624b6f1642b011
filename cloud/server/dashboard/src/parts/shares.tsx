// Links for people without a login: made, listed, revoked.
import { useState } from 'preact/hooks';
import { change, token } from '../api';
import { useRead } from '../data';
import * as f from '../format';
import { session } from '../session';
import type { Page, Share } from '../types';
import { t } from '../words';
import { Act, Card, Select, Shown } from './basics';

type Props = { of: 'survey' | 'flight' | 'footage'; base: string };

/** Shares are the links to what is at an address of the API. It is shown to those who may share. */
export function Shares({ of, base }: Props) {
  return session().may?.includes('change') || token() ? <Links of={of} base={`${base}/shares`} /> : null;
}

function Links({ of, base }: Props) {
  const read = useRead<Page<Share>>(base, { keep: false });
  const [days, setDays] = useState('30');
  const [video, setVideo] = useState(false);
  const [link, setLink] = useState('');
  const add = async () => {
    const s = await change<Share>('POST', base, { days: Number(days), ...(of !== 'survey' && video ? { video } : {}) });
    setLink(`${location.origin}/shared#${s.key}`);
    read.reload();
    return t('sh_made');
  };
  const revoke = (s: Share) => async () => { await change('DELETE', `${base}/${encodeURIComponent(s.id)}`); setLink(''); read.reload(); };
  if (!session().may?.includes('change') && !read.data) return null; // a token that may not share
  return (
    <Card id="shares" title={t(of === 'survey' ? 'sh_title' : 'sh_title_flight')} class="no-print">
      <div class="pad stack">
        <p class="muted">{t(of === 'survey' ? 'sh_help' : 'sh_help_flight')}</p>
        <div class="filters flush">
          <Select label={t('sh_days')} value={days} onChange={setDays} options={['1', '7', '30', '90', '365'].map((d): [string, string] => [d, t('sh_n_days', { n: d })])} />
          {of !== 'survey' && <label class="check"><input id="share-video" type="checkbox" checked={video} onChange={() => setVideo(!video)} /> {t('sh_video')}</label>}
          <Act class="button" label={t('sh_make')} act={add} data={{ 'data-share': '' }} />
        </div>
        {link && <p class="problem note" role="status"><strong>{t('sh_link')}</strong><a id="share-link" class="wrap-all" href={link} target="_blank" rel="noreferrer">{link}</a></p>}
      </div>
      <Shown read={read} lines={1}>{(d) => <ul class="list">{d.items.map((s) => (
        <li class="job-row" key={s.id} data-share-row={s.id}>
          <span class="who"><span class="name">{t('sh_until', { when: f.when(s.expires) })}</span><span class="meta">{[s.who, f.when(s.created), s.video && t('sh_video')].filter(Boolean).join(' · ')}</span></span>
          {s.revoked ? <span class="badge bad">{t('sh_revoked')}</span> : Date.parse(s.expires) < Date.now() ? <span class="badge">{t('sh_expired')}</span>
            : <span class="att-do"><Act label={t('sh_revoke')} act={revoke(s)} data={{ 'data-revoke': '' }} /></span>}
        </li>))}</ul>}</Shown>
    </Card>
  );
}
