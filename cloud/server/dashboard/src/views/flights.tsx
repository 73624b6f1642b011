// Flights: the list of footage with filters, and what can be done with several pieces at once.
import { useEffect, useRef, useState } from 'preact/hooks';
import { change } from '../api';
import { useRead } from '../data';
import { retryable, state as stateOf } from '../format';
import { Act, Age, Card, Empty, Select } from '../parts/basics';
import { FlightRow, Row } from '../parts/row';
import { Arriving } from '../parts/arriving';
import { Uploads } from '../parts/uploads';
import { WaitingList } from '../parts/waiting';
import { go, setQuery, useAddress } from '../router';
import { useStock, type Filters, type Stock } from '../stock';
import type { Footage, Page } from '../types';
import { many, t } from '../words';

type Entry = { key: string; at: string; animals: number; flight?: string; parts: Footage[] };

// entries puts the parts of a flight under it. An entry stands where the first of its parts does in the order of the server, so
// that a further page moves none.
function entries(stock: Stock, sort: string): Entry[] {
  const all = new Map<string, Entry>();
  for (const v of stock.footage.values()) {
    const flight = v.flight && stock.flights.get(v.flight)?.state !== 'ended' && stock.flights.has(v.flight) ? v.flight : undefined;
    const key = flight ?? v.id;
    const e = all.get(key) ?? { key, at: v.received, animals: -1, flight, parts: [] };
    e.parts.push(v);
    if (sort === 'oldest' ? v.received < e.at : v.received > e.at) e.at = v.received;
    e.animals = Math.max(e.animals, v.count?.unique ?? -1);
    all.set(key, e);
  }
  for (const e of all.values()) {
    if (!e.flight) continue;
    const order = stock.flights.get(e.flight)!.parts.map((p) => p.footage);
    e.parts.sort((a, b) => order.indexOf(a.id) - order.indexOf(b.id));
  }
  const list = [...all.values()].sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : 0));
  if (sort === 'oldest') list.reverse();
  if (sort === 'most') list.sort((a, b) => b.animals - a.animals);
  return list;
}

export function Flights() {
  const { query } = useAddress();
  const sort = query.get('sort') ?? '';
  const filters: Filters = { site: query.get('site') ?? '', device: query.get('device') ?? '', state: query.get('state') ?? '', paddock: query.get('paddock') ?? '', from: dayStart(query.get('from')), to: dayEnd(query.get('to')), name: query.get('name') ?? '', sort };
  const stock = useStock(filters);
  const [picked, setPicked] = useState(new Set<string>());
  const pick = (id: string, on: boolean) => { const s = new Set(picked); if (on) s.add(id); else s.delete(id); setPicked(s); };
  const list = entries(stock, sort);
  const shown = list.reduce((n, e) => n + e.parts.length, 0);
  const filtered = Object.entries(filters).some(([k, v]) => v && k !== 'sort');
  return (
    <>
      <Uploads />
      <WaitingList />
      <Card id="footage-card" title={t('flights')} aside={<>{shown > 0 && many('shown', shown)} <Age at={stock.at || undefined} /></>}>
        <FilterBar />
        {picked.size > 0 && <Selection ids={[...picked]} stock={stock} clear={() => setPicked(new Set())} />}
        <Arriving />
        {stock.loaded && stock.error && shown === 0 && <Empty title={t('cannot_load')} text={stock.error.message} />}
        {stock.loaded && !stock.error && shown === 0 && <div id="empty"><Empty title={t(filtered ? 'no_match' : 'no_footage')} text={t(filtered ? 'no_match_help' : 'no_footage_help')} /></div>}
        {!stock.loaded && <div class="skeleton" aria-busy="true" style="--lines:6" />}
        <ul id="footage" class="list">
          {list.map((e) => e.flight ? <FlightRow key={e.key} flight={stock.flights.get(e.flight)!} parts={e.parts} picks={{ picked, pick }} />
            : <Row key={e.key} v={e.parts[0]} picks={{ picked, pick }} />)}
        </ul>
        {stock.next && <div class="more"><Act class="button" label={t('show_older')} act={() => stock.more()} /></div>}
      </Card>
    </>
  );
}

const dayStart = (d: string | null) => (d ? new Date(`${d}T00:00:00`).toISOString() : '');
const dayEnd = (d: string | null) => (d ? new Date(new Date(`${d}T00:00:00`).getTime() + 86_400_000).toISOString() : '');
const states = ['queued', 'processing', 'done', 'failed', 'poisoned', 'canceled'];

function FilterBar() {
  const { query } = useAddress();
  const devices = useRead<Page<{ name: string; site: string; role: string }>>('/api/v1/devices');
  const of = (k: string) => query.get(k) ?? '';
  const stations = (devices.data?.items ?? []).filter((d) => !of('site') || d.site === of('site'));
  const sites = [...new Set((devices.data?.items ?? []).map((d) => d.site))].sort();
  const site = of('site') || (sites.length === 1 ? sites[0] : '');
  const borders = useRead<{ features: { properties: { name?: string } }[] }>(site && `/api/v1/sites/${encodeURIComponent(site)}/paddocks`, { aside: true });
  const paddocks = [...new Set([of('paddock'), ...(borders.data?.features ?? []).map((b) => b.properties.name ?? '')])].filter(Boolean).sort();
  const any = ['name', 'site', 'device', 'state', 'paddock', 'from', 'to'].some(of);
  const input = (e: Event) => (e.target as HTMLInputElement).value;
  return (
    <div class="filters" role="search">
      <NameFilter value={of('name')} />
      <Select label={t('site')} value={of('site')} onChange={(to) => setQuery({ site: to, device: '', paddock: '' })} options={[['', t('all')], ...sites.map((s): [string, string] => [s, s])]} />
      {paddocks.length > 0 && <Select label={t('pd_paddock')} value={of('paddock')} onChange={(paddock) => setQuery({ paddock })} options={[['', t('all')], ...paddocks.map((p): [string, string] => [p, p])]} />}
      <Select label={t('station')} value={of('device')} onChange={(device) => setQuery({ device })} options={[['', t('all')], ...stations.map((d): [string, string] => [d.name, d.name])]} />
      <Select label={t('state')} value={of('state')} onChange={(state) => setQuery({ state })} options={[['', t('all')], ...states.map((s): [string, string] => [s, stateName(s)])]} />
      <label class="field">{t('from')}<input type="date" value={of('from')} onChange={(e) => setQuery({ from: input(e) })} /></label>
      <label class="field">{t('to')}<input type="date" value={of('to')} onChange={(e) => setQuery({ to: input(e) })} /></label>
      <Select label={t('sort')} value={of('sort')} onChange={(sort) => setQuery({ sort })} options={[['', t('newest')], ['oldest', t('oldest')], ['most', t('most')]]} />
      {any && <button class="button small" type="button" onClick={() => setQuery({ name: '', site: '', device: '', state: '', paddock: '', from: '', to: '' })}>{t('clear')}</button>}
    </div>
  );
}

const pause = 300; // a letter that follows sooner belongs to the same question

// NameFilter asks the server when a person has stopped typing.
function NameFilter({ value }: { value: string }) {
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const [text, setText] = useState(value);
  useEffect(() => { setText(value); return () => clearTimeout(timer.current); }, [value]);
  const typed = (e: Event) => {
    const name = (e.target as HTMLInputElement).value;
    setText(name);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setQuery({ name }), pause);
  };
  return <label class="field">{t('search')}<input type="search" maxLength={200} value={text} onInput={typed} /></label>;
}

const stateName = (s: string) => stateOf(s)[0];

function Selection({ ids, stock, clear }: { ids: string[]; stock: Stock; clear: () => void }) {
  const chosen = ids.map((id) => stock.footage.get(id)).filter((v): v is Footage => Boolean(v));
  const failed = chosen.filter((v) => retryable(v.job?.state));
  const retry = async () => {
    for (const v of failed) await change('POST', `/api/v1/jobs/${encodeURIComponent(v.job!.id)}/retry`);
    clear();
    return t('queued_again');
  };
  return (
    <div class="selection">
      <strong>{many('selected', ids.length)}</strong>
      {failed.length > 0 && <Act label={t('retry_selected')} act={retry} />}
      {ids.length === 2 && <button class="button small" type="button" onClick={() => go(`/flights/compare?a=${encodeURIComponent(ids[0])}&b=${encodeURIComponent(ids[1])}`)}>{t('compare')}</button>}
      <button class="button small" type="button" onClick={() => exportCSV(chosen)}>{t('export_csv')}</button>
      <button class="link" type="button" onClick={clear}>{t('clear')}</button>
    </div>
  );
}

// exportCSV saves the selected rows. A cell that a spreadsheet would take for a formula begins with an apostrophe.
function exportCSV(list: Footage[]): void {
  const cell = (v: unknown) => {
    const s = String(v ?? '');
    const safe = /^[=+\-@\t\r]/.test(s) && Number.isNaN(Number(s)) ? `'${s}` : s;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const head = ['footage', 'name', 'site', 'device', 'captured', 'received', 'state', 'animals', 'low', 'high', 'duplicate_of', 'flight'];
  const rows = list.map((v) => [v.id, v.name, v.site, v.device, v.captured, v.received, v.job?.state, v.count?.unique, v.count?.low, v.count?.high, v.duplicate_of, v.flight]);
  const url = URL.createObjectURL(new Blob([[head, ...rows].map((r) => r.map(cell).join(',')).join('\n') + '\n'], { type: 'text/csv' }));
  const a = Object.assign(document.createElement('a'), { href: url, download: 'footage.csv' });
  a.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
