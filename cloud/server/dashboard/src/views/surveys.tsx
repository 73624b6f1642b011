// Surveys: the flights of a site counted in one go, per paddock, against the book; and the same as a report to print.
import { useState } from 'preact/hooks';
import { change, Problem, token } from '../api';
import { useRead } from '../data';
import * as f from '../format';
import { Act, Age, Card, Empty, Select, Shown } from '../parts/basics';
import { Pages } from '../parts/pages';
import { Shares } from '../parts/shares';
import { Verdict } from '../parts/verdict';
import { session } from '../session';
import { go, setQuery, useAddress } from '../router';
import type { Book, Expected, Footage, Overview, Page, Survey, SurveyHead, SurveyNote } from '../types';
import { t, type Key } from '../words';

export default function Surveys({ id }: { id: string }) {
  return id ? <One id={id} /> : <All />;
}

function All() {
  const { query } = useAddress();
  const devices = useRead<Page<{ site: string }>>('/api/v1/devices');
  const overview = useRead<Overview>('/api/v1/overview');
  const sites = [...new Set([...(devices.data?.items ?? []), ...(overview.data?.sites ?? [])].map((s) => s.site))].filter(Boolean).sort();
  const site = query.get('site') || sites[0] || '';
  const read = useRead<Page<SurveyHead>>(site ? `/api/v1/surveys?site=${encodeURIComponent(site)}` : '');
  const day = (back: number) => new Date(Date.now() - back * 86_400_000).toISOString().slice(0, 10);
  const [from, setFrom] = useState(day(7));
  const [to, setTo] = useState(day(0));
  const input = (e: Event) => (e.target as HTMLInputElement).value;
  const make = async () => {
    const body = { site, from: new Date(`${from}T00:00:00`).toISOString(), to: new Date(new Date(`${to}T00:00:00`).getTime() + 86_400_000).toISOString() };
    const v = await change<Survey>('POST', '/api/v1/surveys', body);
    go(`/surveys/${encodeURIComponent(v.id)}`);
  };
  return (
    <>
      <Card id="new-survey" title={t('sv_new')}>
        <div class="filters">
          <Select label={t('site')} value={site} onChange={(v) => setQuery({ site: v })} options={sites.map((s): [string, string] => [s, s])} />
          <label class="field">{t('sv_from')}<input type="date" value={from} onChange={(e) => setFrom(input(e))} /></label>
          <label class="field">{t('sv_to')}<input type="date" value={to} onChange={(e) => setTo(input(e))} /></label>
          {site && from && to && <Act class="button primary" label={t('sv_make')} act={make} data={{ 'data-make': '' }} />}
        </div>
      </Card>
      <Card id="surveys" title={t('surveys')} aside={<Age at={read.at} />}>
        {site ? <Shown read={read}>{(d) => d.items.length ? <ul class="list">{d.items.map((v) => (
          <li class="job-row" key={v.id}><span class="who"><a class="name" href={`/surveys/${encodeURIComponent(v.id)}`}>{t('sv_of', { site: v.site })}</a>
            <span class="meta">{[windowOf(v), v.who].filter(Boolean).join(' · ')}</span></span></li>))}</ul> : <Empty title={t('sv_none')} text={t('sv_none_help')} />}</Shown>
          : <Empty title={t('sv_none')} text={t('sv_none_help')} />}
      </Card>
      {site && <BookCard site={site} />}
    </>
  );
}

const windowOf = (v: SurveyHead) => (v.from && v.to ? t('sv_window', { from: f.when(v.from), to: f.when(v.to) }) : f.when(v.created));

function BookCard({ site }: { site: string }) {
  const base = `/api/v1/sites/${encodeURIComponent(site)}/book`;
  const read = useRead<Book>(base, { keep: false });
  const [said, setSaid] = useState('');
  const choose = async (e: Event) => {
    const el = e.target as HTMLInputElement;
    const file = el.files?.[0];
    el.value = '';
    if (!file) return;
    try {
      // The first book holds for earlier recordings too, as the first paddocks do.
      const first = (read.data?.expected ?? []).length === 0 ? '?from=2000-01-01T00:00:00Z' : '';
      await change('PUT', base + first, new Blob([await file.arrayBuffer()], { type: 'text/csv' }), first ? undefined : read.data);
      setSaid(t('sv_book_saved'));
      read.reload();
    } catch (err) {
      const stale = err instanceof Problem && err.status === 412;
      setSaid(`${stale ? `${t('sv_book_stale')} ` : ''}${(err as Error).message}`);
      if (stale) read.reload();
    }
  };
  return (
    <Card id="book" title={t('sv_book')} aside={<Age at={read.at} />}>
      <div class="pad stack">
        <p class="muted">{t('sv_book_help')}</p>
        {(read.data?.expected ?? []).length > 0 && <div class="scroll" tabIndex={0} role="group" aria-label={t('sv_expected')}><table><thead><tr><th>{t('pd_paddock')}</th><th>{t('count')}</th><th>{t('since_h')}</th></tr></thead>
          <tbody>{read.data!.expected.map((x) => <tr key={x.paddock}><td>{x.paddock || t('sv_whole')}</td><td>{x.animals === null ? '–' : f.number(x.animals)}</td><td>{f.when(x.since)}</td></tr>)}</tbody></table></div>}
        <p><label>{t('sv_book_file')} <input id="book-file" type="file" accept=".csv,text/csv" onChange={choose} /></label> {said && <span role="status">{said}</span>}</p>
        {(read.data?.expected ?? []).length > 0 && <p><a href={`${base}?format=csv`} download={`${site}-book.csv`}>{t('sv_export')}</a></p>}
      </div>
    </Card>
  );
}

function One({ id }: { id: string }) {
  const base = `/api/v1/surveys/${encodeURIComponent(id)}`;
  const read = useRead<Survey>(base, { events: ['count'] });
  return <Shown read={read} lines={10}>{(v) => <><Report v={v} at={read.at} base={base} /><Shares of="survey" base={base} /><Remove base={base} site={v.site} /></>}</Shown>;
}

// Remove is shown to those who may change the site.
function Remove({ base, site }: { base: string; site: string }) {
  if (!session().may?.includes('change') && !token()) return null;
  const remove = async () => {
    if (!confirm(t('sv_remove_sure'))) return;
    await change('DELETE', base);
    go(`/surveys?site=${encodeURIComponent(site)}`);
  };
  return <p class="actions no-print"><Act class="button" label={t('sv_remove')} act={remove} data={{ 'data-remove-survey': '' }} /></p>;
}

const notes: Record<string, Key> = {
  'no-counts': 'sn_no_counts', 'no-paddocks': 'sn_no_paddocks', unplaced: 'sn_unplaced', untimed: 'sn_untimed', 'part-seen': 'sn_part_seen', 'seen-again': 'sn_seen_again', 'unknown-paddocks': 'sn_unknown',
};

// noteOf is a warning in the language of the page; undefined for a kind that this page does not know.
function noteOf(n?: SurveyNote): string | undefined {
  const key = n && notes[n.code];
  return key && t(key, { count: f.number(n.count ?? 0), of: f.number(n.of ?? 0), animals: f.number(n.animals ?? 0), names: firstOf(n.names ?? []) });
}

const mostNamed = 10;
const firstOf = (names: string[]) => [...names.slice(0, mostNamed), ...(names.length > mostNamed ? [t('and_more')] : [])].join(', ');

type ReportProps = { v: Survey; at?: number; base?: string; pages?: string; title?: string };

/**
 * Report is a survey to read and print. Without base, the address of the survey, it shows nothing that needs a login;
 * pages is then the address whose report.pdf needs none.
 */
export function Report({ v, at, base, pages = base, title = t('sv_of', { site: v.site }) }: ReportProps) {
  return (
      <>
        <Card id="survey" title={title} aside={<Age at={at} />}>
          <div class="pad stack">
            <p class="muted">{[windowOf(v), v.who].filter(Boolean).join(' · ')}</p>
            <p class="result"><b>{f.number(v.unique)}</b> <span>{t('interval_long', { low: f.number(v.low), high: f.number(v.high) })}</span></p>
            <p class="muted">{[t('sv_placed', { n: f.number(v.placed), all: f.number(v.unique) }), t('sv_double', { n: f.number(v.double) }), t('sv_outside', { n: f.number(v.outside) })].join(' · ')}</p>
            {v.warnings.length > 0 && <ul class="warnings">{v.warnings.map((w, i) => <li key={w}>{noteOf(v.notes?.[i]) ?? w}</li>)}</ul>}
            <div class="actions no-print"><button class="button" type="button" onClick={() => print()}>{t('sv_print')}</button>
              {pages && <Pages base={pages} />}
              {base && <><a class="button" href={`${base}?format=csv`} download={`${v.id}.csv`}>CSV</a><a class="button" href={base} download={`${v.id}.json`}>JSON</a></>}</div>
          </div>
          <PaddockTable v={v} />
        </Card>
        <Card id="survey-parts" title={t('sv_parts')}>
          <div class="scroll" tabIndex={0} role="group" aria-label={t('sv_parts')}><table><thead><tr><th>{t('captured')}</th><th>{t('footage')}</th><th>{t('count')}</th><th>{t('pd_interval')}</th><th>{t('positions')}</th></tr></thead>
            <tbody>{v.parts.map((p) => <tr key={p.footage}><td>{f.when(p.captured)}</td><td>{base ? <a href={`/footage/${encodeURIComponent(p.footage)}`}>{p.footage}</a> : p.footage}</td><td>{f.number(p.unique)}</td><td>{f.interval(p)}</td><td>{f.number(p.placed)}</td></tr>)}</tbody></table></div>
        </Card>
        <Proof v={v} samples={Boolean(base)} />
      </>
  );
}

function Said({ x }: { x?: Expected }) {
  if (!x) return <><td>–</td><td>–</td><td>–</td></>;
  return <><td>{f.number(x.animals)}</td><td>{x.difference === null ? '–' : f.signed(x.difference)}</td><td><Verdict x={x} /></td></>;
}

function PaddockTable({ v }: { v: Survey }) {
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label={t('pd_paddock')}><table id="survey-table">
      <thead><tr><th>{t('pd_paddock')}</th><th>{t('count')}</th><th>{t('pd_interval')}</th><th>{t('pd_seen')}</th><th>{t('sv_area')}</th><th>{t('sv_expected')}</th><th>{t('sv_difference')}</th><th>{t('sv_verdict')}</th></tr></thead>
      <tbody>
        {v.paddocks.map((p) => <tr key={p.name}><td>{p.name}</td><td>{p.animals === null ? t('pd_not_placed') : f.number(p.animals)}</td><td>{p.low === null || p.high === null ? '–' : f.interval({ low: p.low, high: p.high })}</td>
          <td>{f.number(p.seen * 100)} %</td><td>{f.number(p.area_m2 / 10_000, 1)}</td><Said x={p.expected} /></tr>)}
        <tr><td><strong>{t('sv_whole')}</strong></td><td>{f.number(v.unique)}</td><td>{f.interval(v)}</td><td>–</td><td>–</td><Said x={v.expected} /></tr>
      </tbody>
    </table></div>
  );
}

// Proof is what a bank, an auditor or an insurer needs besides the numbers: method, model, digests, a sample, a signature.
function Proof({ v, samples }: { v: Survey; samples: boolean }) {
  const sample = v.parts.filter((_, i) => i % Math.max(1, Math.ceil(v.parts.length / 3)) === 0).slice(0, 3);
  return (
    <Card id="proof" title={t('sv_method')}>
      <div class="pad stack">
        <p>{t('sv_method_text')}</p>
        {samples && <><h3>{t('sv_sample')}</h3>
          <p>{t('sv_sample_text')}</p>
          {sample.map((p) => <Sample key={p.footage} id={p.footage} />)}</>}
        <dl class="sign"><div><dt>{t('sv_sign')}</dt><dd /></div><div><dt>{t('sv_date')}</dt><dd /></div></dl>
      </div>
    </Card>
  );
}

function Sample({ id }: { id: string }) {
  const read = useRead<Footage>(`/api/v1/footage/${encodeURIComponent(id)}`, { keep: false });
  const v = read.data;
  if (!v) return null;
  return (
    <figure class="sample">
      <img src={`/api/v1/footage/${encodeURIComponent(id)}/sheet`} alt={t('sheet_note')} loading="lazy" onError={(e) => { (e.target as HTMLElement).hidden = true; }} />
      <figcaption>{v.name} · {v.count && f.number(v.count.unique)} · {v.count?.model}<br />{t('sv_digest')}: <code>{v.sha256}</code></figcaption>
    </figure>
  );
}
