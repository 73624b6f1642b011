// One piece of footage, and a flight with its parts, as rows of a list.
import { useState } from 'preact/hooks';
import * as f from '../format';
import { showsSibling } from '../stock';
import type { Flight, Footage, Totals } from '../types';
import { many, t } from '../words';

export function label(v: Footage): [string, string] {
  if (v.duplicate_of) return [t('st_duplicate'), ''];
  if (showsSibling(v)) return [t('st_same_flight'), ''];
  return f.state(v.job?.state);
}

export function statusText(v: Footage): string {
  const j = v.job;
  if (v.duplicate_of) return t('dup_text');
  if (showsSibling(v)) return t('sib_text');
  if (!j) return '';
  if (j.state === 'processing') {
    const left = j.eta_seconds !== undefined ? ` · ${t('left', { time: f.lasting(j.eta_seconds) })}` : '';
    return `${f.stage(j.stage)} · ${Math.floor(j.percent)} %${left}`;
  }
  if (f.uncounted(j.state)) return j.reason ?? '';
  if (j.state === 'done') return j.frames_total ? many('frames', j.frames_total) : '';
  return j.reason && j.attempt > 0 ? t('waiting_retry', { reason: j.reason }) : '';
}

type Picks = { picked: Set<string>; pick: (id: string, on: boolean) => void };

export function Row({ v, picks }: { v: Footage; picks: Picks }) {
  const s = v.job?.state;
  const busy = s === 'processing' || s === 'leased';
  const [text, kind] = label(v);
  const why = f.uncounted(s) && v.job?.reason ? 'reason' : '';
  return (
    <li class="row" data-footage={v.id}>
      <label class="pick"><input type="checkbox" checked={picks.picked.has(v.id)} aria-label={t('select', { name: v.name || v.id })}
        onChange={(e) => picks.pick(v.id, (e.target as HTMLInputElement).checked)} /></label>
      <Thumb id={v.id} />
      <a class="row-link" href={`/footage/${encodeURIComponent(v.id)}`}>
        <span class="who"><span class="name" title={v.name || v.id}>{v.name || v.id}</span>
          <span class="meta">{[v.device, f.when(v.captured || v.received), f.bytes(v.size)].join(' · ')}</span></span>
        <span class="work"><span class="work-line"><span class={`badge ${kind}`} data-state={s ?? ''}>{text}</span><span class={why}>{statusText(v)}</span></span>
          {busy && <progress max={100} value={v.job!.percent} aria-label={t('progress_of_count')} />}</span>
        <span class={`tally ${!v.count && busy ? 'running' : ''}`}>
          <b>{v.count ? f.number(v.count.unique) : busy ? f.number(v.job!.count) : ''}</b>
          <span>{v.count ? f.interval(v.count) : busy ? t('so_far') : ''}</span></span>
      </a>
    </li>
  );
}

/** Thumb is the small picture of the camera. Without one it keeps its place. */
export function Thumb({ id }: { id: string }) {
  const [missing, setMissing] = useState(false);
  return <span class="thumb" aria-hidden="true">{!missing && <img src={`/api/v1/footage/${encodeURIComponent(id)}/thumbnail`} alt="" loading="lazy" width="64" height="40" onError={() => setMissing(true)} />}</span>;
}

export function FlightRow({ flight, parts, picks }: { flight: Flight; parts: Footage[]; picks: Picks }) {
  return (
    <li class="flight" data-flight={flight.id}>
      <a class="flight-head" href={`/flight/${encodeURIComponent(flight.id)}`}>
        <span class="who"><span class="name">{many('parts', flight.parts.length)}</span><span class="meta">{[flight.device, ...flight.warnings].join(' · ')}</span></span>
        <span class="tally"><b>{f.number(flight.unique)}</b><span>{f.interval(flight)}</span></span>
      </a>
      <LineTotals of={flight} class="flight-lines" />
      <ul class="parts">{parts.map((v) => <Row key={v.id} v={v} picks={picks} />)}</ul>
    </li>
  );
}

/** LineTotals are the totals of lines and zones. */
export function LineTotals({ of, class: name }: { of: Totals; class: string }) {
  const items = [
    ...(of.lines ?? []).map((l) => ({ name: t('line', { name: l.name }), text: t('line_total', { in: f.number(l.in), out: f.number(l.out), net: f.number(l.net) }), n: l.not_judged })),
    ...(of.zones ?? []).map((z) => ({ name: t('zone_named', { name: z.name }), text: t('zone_total', { passed: f.number(z.passed), most: f.number(z.most) }), n: z.not_judged })),
  ];
  if (!items.length) return null;
  return <ul class={name}>{items.map((i) => <li key={i.name}><span>{i.name}</span><b>{i.text}</b>{i.n > 0 && <span>{many('not_judged', i.n)}</span>}</li>)}</ul>;
}
