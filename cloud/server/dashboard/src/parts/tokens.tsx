// Tokens of programs: listed, made, revoked. Only for admins.
import { useState } from 'preact/hooks';
import { change } from '../api';
import { useRead } from '../data';
import * as f from '../format';
import type { Page, Token } from '../types';
import { t, type Key } from '../words';
import { Act, Age, Card, Empty, Select, Shown } from './basics';
import { ownSites, roles, sitesOf } from './people';

const base = '/api/v1/tokens';
const input = (e: Event) => (e.target as HTMLInputElement).value;

export function Tokens() {
  const read = useRead<Page<Token>>(base, { keep: false });
  const [made, setMade] = useState<Token>();
  return (
    <Card id="tokens" title={t('to_title')} aside={<Age at={read.at} />}>
      <Shown read={read} lines={1}>{(d) => (d.items.length ? <ul class="list">{d.items.map((one) => <Row key={one.name} token={one} done={() => { setMade(undefined); read.reload(); }} />)}</ul>
        : <Empty title={t('to_none')} text={t('to_none_help')} />)}</Shown>
      {made && <div class="pad" role="status"><p class="problem note"><strong>{t('to_shown', { name: made.name })}</strong><code id="token-made" class="wrap-all">{made.token}</code></p></div>}
      <Make done={(one) => { setMade(one); read.reload(); }} />
    </Card>
  );
}

function Row({ token, done }: { token: Token; done: () => void }) {
  const revoke = async () => { await change('DELETE', `${base}/${encodeURIComponent(token.name)}`); done(); };
  const ended = token.expires && Date.parse(token.expires) < Date.now();
  return (
    <li class="job-row" data-token={token.name}>
      <span class="who"><strong class="name wrap">{token.name}</strong>
        <span class="meta wrap">{[t(`pe_${token.role === 'reader' ? 'viewer' : token.role}` as Key), token.sites.includes('*') ? t('pe_all_sites') : token.sites.join(', '),
          token.last_seen ? t('to_used', { age: f.ago(token.last_seen) }) : t('to_unused'), token.expires && t('sh_until', { when: f.when(token.expires) })].filter(Boolean).join(' · ')}</span></span>
      {token.revoked ? <span class="badge bad">{t('sh_revoked')}</span> : ended ? <span class="badge">{t('sh_expired')}</span>
        : <span class="att-do"><Act label={t('sh_revoke')} act={revoke} data={{ 'data-revoke': '' }} /></span>}
    </li>
  );
}

function Make({ done }: { done: (one: Token) => void }) {
  const [name, setName] = useState('');
  const [role, setRole] = useState('viewer');
  const [sites, setSites] = useState(ownSites());
  const [days, setDays] = useState('90');
  const make = async () => {
    done(await change<Token>('POST', base, { name: name.trim(), role, sites: sitesOf(sites), days: Number(days) }));
    setName('');
  };
  return (
    <div class="filters" id="token-add">
      <label class="field">{t('to_name')}<input id="token-name" autocomplete="off" spellcheck={false} maxLength={64} value={name} onInput={(e) => setName(input(e))} /></label>
      <Select label={t('pe_role')} value={role} options={roles()} onChange={setRole} />
      <label class="field">{t('pe_sites')}<input value={sites} onInput={(e) => setSites(input(e))} /></label>
      <Select label={t('sh_days')} value={days} onChange={setDays} options={['7', '30', '90', '365'].map((d): [string, string] => [d, t('sh_n_days', { n: d })])} />
      <Act label={t('to_make')} class="button primary" act={make} data={{ 'data-add-token': '' }} />
    </div>
  );
}
