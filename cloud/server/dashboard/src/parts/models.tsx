// The models that workers have: which one counts, and how two of them compare.
import { useState } from 'preact/hooks';
import { change } from '../api';
import { useRead } from '../data';
import * as f from '../format';
import { session } from '../session';
import type { Model, ModelChoice, ModelRef, Models as Doc, ModelsCompared, Overview } from '../types';
import { many, t, type Key } from '../words';
import { Act, Age, Card, Empty, Select, Shown } from './basics';

/** short names a model with the first digits of its digest. */
export const short = (m: ModelRef) => `${m.name} (${m.sha256.slice(0, 8)})`;
const same = (a?: ModelRef, b?: ModelRef) => a?.name === b?.name && a?.sha256 === b?.sha256;
const ref = (m?: ModelRef) => m && { name: m.name, sha256: m.sha256 };
const where = (site?: string) => site || t('md_all_sites');
const nameOf = (c: ModelChoice) => (c.model ? short(c.model) : t(c.site ? 'md_of_all' : 'md_of_each'));

export function Models() {
  const read = useRead<Doc>('/api/v1/models', { every: 15_000 });
  const admin = Boolean(session().may?.includes('administer'));
  const sites = useRead<Overview>(admin ? '/api/v1/overview' : '', { aside: true });
  const [site, setSite] = useState('');
  const choose = async (model?: ModelRef, of = site, force = false) => {
    await change('PUT', '/api/v1/models/choice', { site: of || undefined, model: ref(model) ?? null, force: force || undefined });
    read.reload();
    return t('md_chosen', { site: where(of), model: nameOf({ site: of, model, at: '' }) });
  };
  return (
    <Card id="models" title={t('models')} aside={<Age at={read.at} />}>
      <Shown read={read}>{(d) => (
        <>
          <InUse d={d} admin={admin} choose={choose} />
          {admin && d.models.length > 0 && (sites.data?.sites.length ?? 0) > 1 && <div class="filters"><Select label={t('md_for')} value={site} onChange={setSite}
            options={[['', t('md_all_sites')], ...sites.data!.sites.map((s): [string, string] => [s.site, s.site])]} /></div>}
          {d.models.length ? <ul class="list">{d.models.map((m) => <Row key={m.name + m.sha256} m={m} d={d} use={admin ? choose : undefined} site={site} />)}</ul>
            : <Empty title={t('md_none')} text={t('md_none_help')} />}
          {d.models.length > 1 && <Compare models={d.models} />}
        </>
      )}</Shown>
    </Card>
  );
}

type Choose = (model?: ModelRef, site?: string, force?: boolean) => Promise<string>;

// InUse says which model counts where since when, and offers the way back.
function InUse({ d, admin, choose }: { d: Doc; admin: boolean; choose: Choose }) {
  const all: ModelChoice[] = d.chosen.some((c) => !c.site) ? d.chosen : [{ at: '' }, ...d.chosen];
  return (
    <dl class="facts pad" id="models-chosen">{all.filter((c) => !c.site || c.model || c.before).map((c) => [<dt key={`${c.site}-t`}>{where(c.site)}</dt>,
      <dd key={c.site ?? ''} data-chosen={c.site ?? ''}><strong>{nameOf(c)}</strong>
        {c.at && <span class="muted"> {t('md_since', { when: f.when(c.at) })}{c.who && ` · ${c.who}`}</span>}
        {admin && c.before && <Back key={c.at} d={d} c={c} choose={choose} />}</dd>])}</dl>
  );
}

// Back offers the model of before. One with a caution needs a second click, and one that no worker has cannot be chosen.
function Back({ d, c, choose }: { d: Doc; c: ModelChoice; choose: Choose }) {
  const [asked, setAsked] = useState(false);
  const site = c.site ?? '';
  const model = c.before!.model;
  const name = nameOf({ site: c.site, model, at: '' });
  const has = d.models.find((m) => same(m, model) && m.workers > 0);
  const data = { 'data-back': site };
  if (model && !has) return <span class="meta wrap" data-no-back={site}>{t('md_back_gone', { model: name })}</span>;
  if (!has?.caution) return <> <Act label={t('md_back', { model: name })} act={() => choose(model, site)} data={data} /></>;
  if (!asked) return <> <button class="button small" type="button" data-back-ask={site} onClick={() => setAsked(true)}>{t('md_back', { model: name })}</button></>;
  return <><span class="reason">{has.caution}</span> <Act label={t('md_back_force', { model: name })} class="button small danger" act={() => choose(model, site, true)} data={data} /></>;
}

function Row({ m, d, use, site }: { m: Model; d: Doc; use?: Choose; site: string }) {
  const [asked, setAsked] = useState(false);
  const now = d.chosen.find((c) => (c.site ?? '') === site)?.model;
  const at = [many('md_workers', m.workers), f.bytes(m.size), t('md_threshold', { n: f.number(m.threshold, 2) }), t('md_installed', { when: f.when(m.since) })];
  return (
    <li class="job-row" data-model={m.name}>
      <span class="who"><strong class="name wrap">{m.name}</strong> <code>{m.sha256.slice(0, 12)}</code>
        <span class="meta wrap">{at.join(' · ')}</span>
        {m.fault && <span class="reason">{t('md_fault', { why: m.fault })}</span>}
        {m.caution && <span class="meta wrap">{m.caution}</span>}</span>
      {m.loaded > 0 && <span class="badge good">{many('md_loaded', m.loaded)}</span>}
      {use && m.workers > 0 && !same(now, m) && <span class="att-do">{m.caution && !asked
        ? <button class="button small" type="button" data-use="ask" onClick={() => setAsked(true)}>{t('md_use', { site: where(site) })}</button>
        : <Act label={t(m.caution ? 'md_use_force' : 'md_use', { site: where(site) })} class={m.caution ? 'button small danger' : 'button small'} act={() => use(m, site, Boolean(m.caution))} data={{ 'data-use': 'yes' }} />}</span>}
    </li>
  );
}

function Compare({ models }: { models: Model[] }) {
  const [at, setAt] = useState<[number, number]>(() => { const own = Math.max(0, models.findIndex((m) => m.own)); return [own, own === 0 ? 1 : 0]; });
  const options = models.map((m, i): [string, string] => [String(i), short(m)]);
  const [a, b] = at.map((i) => models[Math.min(i, models.length - 1)]);
  const query = (m: Model) => encodeURIComponent(`${m.name}@${m.sha256}`);
  const read = useRead<ModelsCompared>(same(a, b) ? '' : `/api/v1/models/compare?old=${query(a)}&new=${query(b)}`, { aside: true, keep: false });
  return (
    <details id="models-compare"><summary class="pad">{t('md_compare')}</summary>
      <div class="filters">
        <Select label={t('md_old')} value={String(at[0])} onChange={(v) => setAt((now) => [Number(v), now[1]])} options={options} />
        <Select label={t('md_new')} value={String(at[1])} onChange={(v) => setAt((now) => [now[0], Number(v)])} options={options} />
      </div>
      {!same(a, b) && <Shown read={read}>{(c) => <Compared c={c} />}</Shown>}
    </details>
  );
}

const figures: [Key, 'precision' | 'recall' | 'f1' | 'count_error' | 'false_a_picture'][] = [['md_precision', 'precision'], ['md_recall', 'recall'], ['md_f1', 'f1'], ['md_count_error', 'count_error'], ['md_false', 'false_a_picture']];

function Compared({ c }: { c: ModelsCompared }) {
  const total = (k: 'old' | 'new') => c.counts.reduce((n, x) => n + x[k].unique, 0);
  const p = c.pictures;
  return (
    <>
      {p ? <><p class="pad muted">{t('md_pictures', { n: f.number(p.new.pictures), animals: f.number(p.new.animals), when: f.when(p.compared), verdict: t(`md_${p.verdict}` as Key) })}</p>
        <div class="scroll" tabIndex={0} role="region" aria-label={t('md_compare')}><table data-pictures=""><thead><tr><th scope="col">{t('md_figure')}</th><th scope="col">{t('md_old')}</th><th scope="col">{t('md_new')}</th></tr></thead>
          <tbody>{figures.map(([key, k]) => <tr key={k}><th scope="row">{t(key)}</th><td>{f.number(p.old[k], 3)}</td><td>{f.number(p.new[k], 3)}</td></tr>)}</tbody></table></div></>
        : <p class="pad muted">{t('md_no_pictures')}</p>}
      {c.counts.length ? <div class="scroll" tabIndex={0} role="region" aria-label={t('md_counts')}><table data-counts=""><thead><tr><th scope="col">{t('footage')}</th><th scope="col">{t('md_old')}</th><th scope="col">{t('md_new')}</th></tr></thead>
        <tbody>{c.counts.map((x) => <tr key={x.footage}><th scope="row"><a href={`/footage/${encodeURIComponent(x.footage)}`}>{x.name || x.footage}</a></th><td>{f.number(x.old.unique)} <span class="muted">{f.interval(x.old)}</span></td><td>{f.number(x.new.unique)} <span class="muted">{f.interval(x.new)}</span></td></tr>)}
          <tr><th scope="row">{t('md_sum')}</th><td>{f.number(total('old'))}</td><td>{f.number(total('new'))}</td></tr></tbody></table></div>
        : <p class="pad muted">{t('md_no_counts')}</p>}
    </>
  );
}
