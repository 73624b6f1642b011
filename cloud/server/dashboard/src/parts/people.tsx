// People who log in: listed, added by a link, changed, reset, removed. Only for admins.
import { useState } from 'preact/hooks';
import { change } from '../api';
import { useRead } from '../data';
import * as f from '../format';
import { session } from '../session';
import type { Page, Person } from '../types';
import { t, type Key } from '../words';
import { Act, Age, Card, Select, Shown } from './basics';

const base = '/api/v1/people';
const input = (e: Event) => (e.target as HTMLInputElement).value;

/** roles are the choices of a role, the weakest first. */
export const roles = () => ['viewer', 'reviewer', 'operator', 'admin'].map((r): [string, string] => [r, t(`pe_${r}` as Key)]);
/** sitesOf reads names of sites between commas or spaces. */
export const sitesOf = (text: string) => text.split(/[\s,]+/).filter(Boolean);
/** ownSites are the sites that a new person or token gets, unless others are typed. */
export const ownSites = () => (session().sites || []).join(', ');

export function People() {
  const read = useRead<Page<Person>>(base, { keep: false });
  const [made, setMade] = useState<Person>();
  const done = (p?: Person) => { setMade(p?.code ? p : undefined); read.reload(); };
  return (
    <Card id="people" title={t('pe_title')} aside={<Age at={read.at} />}>
      <Shown read={read}>{(d) => <ul class="list">{d.items.map((p) => <Row key={p.name} p={p} done={done} />)}</ul>}</Shown>
      {made && <div class="pad" role="status"><p class="problem note"><strong>{t('pe_link', { name: made.name, when: f.when(made.expires!) })}</strong>
        <code id="person-link" class="wrap-all">{`${location.origin}/#password=${made.code}`}</code><span>{t('pe_link_help')}</span></p></div>}
      {session().passwords !== false && <Add done={done} />}
    </Card>
  );
}

function Row({ p, done }: { p: Person; done: (p?: Person) => void }) {
  const at = `${base}/${encodeURIComponent(p.name)}`;
  const me = p.name === session().name;
  const [sure, setSure] = useState(false);
  const send = (method: 'POST' | 'PATCH' | 'DELETE', path: string, body?: unknown, said?: Key) => async () => {
    const got = await change<Person>(method, at + path, body);
    done(got);
    return said && t(said, { name: p.name });
  };
  return (
    <li class="job-row" data-person={p.name}>
      <span class="who"><strong class="name wrap">{p.name}</strong>
        <span class="meta wrap">{[t(`pe_${p.role}` as Key), p.sites.includes('*') ? t('pe_all_sites') : p.sites.join(', '), p.last_seen ? t('pe_seen', { age: f.ago(p.last_seen) }) : t('pe_never'),
          p.second_factor && t('sf_title'), p.provider && t('pe_by', { provider: p.provider })].filter(Boolean).join(' · ')}</span></span>
      {p.disabled && <span class="badge bad">{t('pe_disabled')}</span>}
      <details class="person-more"><summary aria-label={`${t('pe_change')} ${p.name}`}>{t('pe_change')}</summary>
        <div class="stack">
          {me ? <p class="muted">{t('pe_own')}</p> : !p.provider && <Grant p={p} done={done} />}
          <div class="actions">
            {!me && <Act label={t(p.disabled ? 'pe_enable' : 'pe_disable')} act={send('PATCH', '', { disabled: !p.disabled })} data={{ 'data-disable': '' }} />}
            {!me && !p.provider && session().passwords !== false && <Act label={t('pe_reset')} act={send('POST', '/reset', { password: true })} data={{ 'data-reset': '' }} />}
            {!me && p.second_factor && <Act label={t('sf_remove')} act={send('POST', '/reset', { second_factor: true }, 'pe_done')} data={{ 'data-factor': '' }} />}
            <Act label={t('pe_log_out')} act={send('POST', '/logout', {}, 'pe_done')} />
            <a class="button small" href={`${at}/export`} download={`${p.name}.json`}>{t('pe_export')}</a>
            {!me && (sure ? <Act label={t('pe_remove_sure', { name: p.name })} class="button small danger" act={send('DELETE', '', undefined, 'pe_removed')} data={{ 'data-remove': '' }} />
              : <button class="button small" type="button" data-ask="" onClick={() => setSure(true)}>{t('remove')}</button>)}
          </div>
          {sure && <p class="muted" role="status">{t('pe_remove_help')}</p>}
        </div>
      </details>
    </li>
  );
}

function Grant({ p, done }: { p: Person; done: () => void }) {
  const [role, setRole] = useState(p.role);
  const [sites, setSites] = useState(p.sites.join(', '));
  const save = async () => {
    await change('PATCH', `${base}/${encodeURIComponent(p.name)}`, { role, sites: sitesOf(sites) });
    done();
    return t('pe_done', { name: p.name });
  };
  return (
    <div class="filters flush">
      <Select label={t('pe_role')} value={role} options={roles()} onChange={setRole} />
      <label class="field">{t('pe_sites')}<input value={sites} data-sites="" onInput={(e) => setSites(input(e))} /></label>
      <Act label={t('save')} class="button" act={save} data={{ 'data-save': '' }} />
    </div>
  );
}

function Add({ done }: { done: (p: Person) => void }) {
  const [name, setName] = useState('');
  const [role, setRole] = useState('viewer');
  const [sites, setSites] = useState(ownSites());
  const add = async () => {
    done(await change<Person>('POST', base, { name: name.trim(), role, sites: sitesOf(sites) }));
    setName('');
  };
  return (
    <div class="filters" id="person-add">
      <label class="field">{t('login_name')}<input id="person-name" autocomplete="off" spellcheck={false} maxLength={64} value={name} onInput={(e) => setName(input(e))} /></label>
      <Select label={t('pe_role')} value={role} options={roles()} onChange={setRole} />
      <label class="field">{t('pe_sites')}<input id="person-sites" value={sites} onInput={(e) => setSites(input(e))} /></label>
      <Act label={t('pe_add')} class="button primary" act={add} data={{ 'data-add-person': '' }} />
    </div>
  );
}
