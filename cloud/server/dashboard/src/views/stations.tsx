// Stations: each with its state from its own birth and will, its readings, its queue, and orders to it.
import { useState } from 'preact/hooks';
import { change } from '../api';
import { useRead } from '../data';
import * as f from '../format';
import { Act, Age, Card, Empty, Shown } from '../parts/basics';
import { Enrol } from '../parts/enrol';
import { Spark } from '../parts/spark';
import type { Page, Station, Vitals } from '../types';
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
            {s.warnings.length > 0 && <ul class="warnings">{s.warnings.map((w) => <li key={w.kind}>{w.text}</li>)}</ul>}
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
            {s.warnings.length > 0 && <ul class="warnings">{s.warnings.map((w) => <li key={w.kind}>{w.text}</li>)}</ul>}
            <Orders device={s.device} />
          </div>
        </Card>
        <Card id="vitals" title={t('vitals')} aside={<Age at={s.vitals_at} />}>
          {s.vitals ? <Readings v={s.vitals} history={s.history ?? []} /> : <Empty title={t('no_vitals')} />}
        </Card>
        <Card id="station-queue" title={t('queue_there')} aside={<>{many('pieces', s.waiting)}, {f.bytes(s.waiting_bytes)} <Age at={read.at} /></>}>
          <ul class="list">{s.footage.filter((v) => v.state !== 'uploaded').map((v) => (
            <li class="job-row" key={v.footage}><span class="who"><a class="name" href={`/footage/${encodeURIComponent(v.footage)}`}>{v.name || v.footage}</a><span class="meta">{v.state}{v.size ? ` · ${f.bytes(v.size)}` : ''}</span></span>
              {v.size && v.offset !== undefined && v.offset < v.size ? <progress max={v.size} value={v.offset} aria-label={t('upload_of', { name: v.name ?? v.footage })} /> : <span />}</li>
          ))}</ul>
        </Card>
      </>
    )}</Shown>
  );
}

const orders: [string, Key][] = [['pause', 'cm_pause'], ['resume', 'cm_resume'], ['retry', 'cm_retry'], ['rescan', 'cm_rescan']];

function Orders({ device }: { device: string }) {
  const [reply, setReply] = useState('');
  const send = (command: string) => async () => {
    setReply('');
    const r = await change<{ state: string; text?: string }>('POST', `/api/v1/stations/${encodeURIComponent(device)}/commands`, { command });
    const text = t('reply', { text: [r.state, r.text].filter(Boolean).join(': ') });
    setReply(text);
    return text;
  };
  return (
    <div class="actions" aria-label={t('commands')} role="group">
      {orders.map(([command, key]) => <Act key={command} label={t(key)} act={send(command)} class="button small" data={{ 'data-command': command }} />)}
      {reply && <span class="muted">{reply}</span>}
    </div>
  );
}

type Point = Record<string, number> & { at: string };

// Readings are what a person looks at; the rest of the vitals is below, as the station sends it.
function Readings({ v, history }: { v: Vitals; history: Point[] }) {
  const n = (k: string) => (typeof v[k] === 'number' ? (v[k] as number) : undefined);
  const past = (k: string) => {
    const values = history.map((h) => h[k]).filter((x) => typeof x === 'number');
    return values.length > 1 ? <Spark values={values} label={`${k.replaceAll('_', ' ')}, ${t('day')}`} /> : null;
  };
  const rows: [Key, string | undefined, string][] = [
    ['disk_free', n('disk_free') !== undefined ? `${f.bytes(n('disk_free')!)}${n('disk_total') ? ` / ${f.bytes(n('disk_total')!)}` : ''}` : undefined, 'disk_free'],
    ['spool', n('spool_bytes') !== undefined ? `${f.bytes(n('spool_bytes')!)}, ${f.number(n('spool_percent') ?? 0, 1)} %` : undefined, 'spool_percent'],
    ['link', typeof v.link_up === 'boolean' ? t(v.link_up ? 'online' : 'offline') : undefined, ''],
    ['clock', v.clock ? `${v.clock}${n('clock_offset_seconds') !== undefined ? `, ${f.number(n('clock_offset_seconds')!, 1)} s` : ''}` : undefined, 'clock_offset_seconds'],
    ['temperature', n('temperature_c') !== undefined ? `${f.number(n('temperature_c')!, 1)} °C` : undefined, 'temperature_c'],
    ['uptime', n('uptime_seconds') !== undefined ? f.lasting(n('uptime_seconds')!) : undefined, ''],
  ];
  return (
    <div class="pad stack">
      <dl class="facts">{rows.filter(([, text]) => text).flatMap(([key, text, of]) => [<dt key={`${key}-t`}>{t(key)}</dt>, <dd key={key}>{text} {of && past(of)}</dd>])}</dl>
      <details><summary>{t('as_sent')}</summary><pre>{JSON.stringify(v, null, 1)}</pre></details>
    </div>
  );
}
