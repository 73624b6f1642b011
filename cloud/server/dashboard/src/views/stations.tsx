// Stations: each with its state from its own birth and will, its readings, its queue, and orders to it.
import { useRead } from '../data';
import * as f from '../format';
import { Act, Age, Card, Empty, Shown } from '../parts/basics';
import { Enrol } from '../parts/enrol';
import { Lazy } from '../parts/lazy';
import { Orders, order } from '../parts/orders';
import { Revoke } from '../parts/revoke';
import { Warned } from '../parts/warned';
import type { Page, Station, Vitals, Waiting } from '../types';
import { many, t, type Key } from '../words';

export default function Stations({ id }: { id: string }) {
  return id ? <One id={id} /> : <All />;
}

const dots: Record<Station['state'], [string, Key]> = { online: ['good', 'online'], silent: ['wait', 'silent'], offline: ['bad', 'offline'], never: ['', 'never_seen'] };

function State({ s }: { s: Station }) {
  const [kind, key] = dots[s.state];
  return <span class="state"><span class={`dot ${kind}`} aria-hidden="true" />{t(key)}{s.since && ` ${t('since', { age: f.ago(s.since) })}`}</span>;
}

function All() {
  const read = useRead<Page<Station>>('/api/v1/stations', { every: 20_000, events: ['station'] });
  return (
    <>
    <Card id="stations" title={t('stations')} aside={<Age at={read.at} />}>
      <Shown read={read}>{(d) => d.items.length ? (
        <ul class="stations">{d.items.map((s) => (
          <li key={s.device} data-device={s.device} data-state={s.state}>
            <a class="station-link" href={`/stations/${encodeURIComponent(s.device)}`}>
              <span class="who"><span class="name">{s.device}</span><span class="meta">{[s.site, s.version && t('version_n', { v: s.version })].filter(Boolean).join(' · ')}</span></span>
              <State s={s} />
              <span class="muted">{s.waiting > 0 ? `${t('queue_there')}: ${many('pieces', s.waiting)}, ${f.bytes(s.waiting_bytes)}` : s.last_seen ? t('last_seen', { age: f.ago(s.last_seen) }) : ''}</span>
            </a>
            {s.warnings.length > 0 && <ul class="warnings">{s.warnings.map((w) => <li key={w.kind}><Warned kind={w.kind} text={w.text} /></li>)}</ul>}
          </li>
        ))}</ul>) : <Empty title={t('no_stations')} text={t('no_stations_help')} />}</Shown>
    </Card>
    <Enrol />
    </>
  );
}

function One({ id }: { id: string }) {
  const read = useRead<Station>(`/api/v1/stations/${encodeURIComponent(id)}`, { every: 20_000, events: ['station'] });
  return (
    <Shown read={read}>{(s) => (
      <>
        <Card id="station" title={s.device} aside={<Age at={read.at} />}>
          <div class="pad">
            <p><State s={s} /> <span class="muted">{[s.site, s.version && t('version_n', { v: s.version }), s.last_seen && t('last_seen', { age: f.ago(s.last_seen) })].filter(Boolean).join(' · ')}</span></p>
            {s.warnings.length > 0 && <ul class="warnings">{s.warnings.map((w) => <li key={w.kind}><Warned kind={w.kind} text={w.text} /></li>)}</ul>}
            <Orders device={s.device} replies={s.replies ?? []} done={read.reload} />
            <Revoke device={s.device} />
          </div>
        </Card>
        <Card id="vitals" title={t('vitals')} aside={<Age at={s.vitals_at} />}>
          {s.vitals ? <Readings v={s.vitals} /> : <Empty title={t('no_vitals')} />}
        </Card>
        <Card id="vitals-day" title={t('day')} aside={<Age at={read.at} />}><Lazy load={chartsOf} props={{ history: s.history ?? [] }} /></Card>
        <Queue s={s} at={read.at} done={read.reload} />
      </>
    )}</Shown>
  );
}

const chartsOf = () => import('../parts/vitalscharts');

// Queue is what the cloud does not have yet, with the small picture that the camera left where the station has sent it.
function Queue({ s, at, done }: { s: Station; at?: number; done: () => void }) {
  const pictures = useRead<Page<Waiting>>(`/api/v1/waiting?device=${encodeURIComponent(s.device)}&limit=100`, { every: 60_000, events: ['footage'] });
  const seen = new Set(pictures.data?.items.map((v) => v.footage));
  const first = (id: string) => async () => {
    const text = await order(s.device, 'prioritise', { footage: id, priority: '100', now: 'true' });
    done();
    return text;
  };
  return (
    <Card id="station-queue" title={t('queue_there')} aside={<>{many('pieces', s.waiting)}, {f.bytes(s.waiting_bytes)} <Age at={at} /></>}>
      <ul class="list">{s.footage.filter((v) => v.state !== 'uploaded').map((v) => (
        <li class="job-row" key={v.footage} data-footage={v.footage}>
          {seen.has(v.footage) ? <img class="thumb" src={`/api/v1/footage/${encodeURIComponent(v.footage)}/thumbnail`} alt="" loading="lazy" width="64" height="40" /> : <span class="thumb none" aria-hidden="true" />}
          <span class="who"><a class="name" href={`/footage/${encodeURIComponent(v.footage)}`}>{v.name || v.footage}</a>
            <span class="meta wrap">{[t(there[v.state] ?? 'unknown'), v.size && f.bytes(v.size), v.rate ? `${f.bytes(v.rate)}/s` : ''].filter(Boolean).join(' · ')}</span>
            {v.reason && <span class="reason">{v.reason}</span>}</span>
          <span class="work">{v.size && v.offset !== undefined && v.offset < v.size ? <progress max={v.size} value={v.offset} aria-label={t('upload_of', { name: v.name ?? v.footage })} /> : null}</span>
          <span class="att-do"><Act label={t('cm_first')} act={first(v.footage)} data={{ 'data-first': v.footage }} /></span>
        </li>
      ))}</ul>
    </Card>
  );
}

const there: Record<string, Key> = { captured: 'fs_captured', spooled: 'fs_spooled', uploading: 'fs_uploading', quarantined: 'fs_quarantined' };

// Readings are what a person looks at; the rest of the vitals is below, as the station sends it.
function Readings({ v }: { v: Vitals }) {
  const n = (k: string) => (typeof v[k] === 'number' ? (v[k] as number) : undefined);
  const rows: [Key, string | undefined][] = [
    ['disk_free', n('disk_free') !== undefined ? `${f.bytes(n('disk_free')!)}${n('disk_total') ? ` / ${f.bytes(n('disk_total')!)}` : ''}` : undefined],
    ['spool', n('spool_bytes') !== undefined ? `${f.bytes(n('spool_bytes')!)}, ${f.number(n('spool_percent') ?? 0, 1)} %` : undefined],
    ['link', typeof v.link_up === 'boolean' ? t(v.link_up ? 'online' : 'offline') : undefined],
    ['clock', v.clock ? `${v.clock}${n('clock_offset_seconds') !== undefined ? `, ${f.number(n('clock_offset_seconds')!, 1)} s` : ''}` : undefined],
    ['temperature', n('temperature_c') !== undefined ? `${f.number(n('temperature_c')!, 1)} °C` : undefined],
    ['uptime', n('uptime_seconds') !== undefined ? f.lasting(n('uptime_seconds')!) : undefined],
  ];
  return (
    <div class="pad stack">
      <dl class="facts">{rows.filter(([, text]) => text).flatMap(([key, text]) => [<dt key={`${key}-t`}>{t(key)}</dt>, <dd key={key}>{text}</dd>])}</dl>
      <details><summary>{t('as_sent')}</summary><pre>{JSON.stringify(v, null, 1)}</pre></details>
    </div>
  );
}
