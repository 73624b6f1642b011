// A flight of several pieces of footage: one count, never the sum of its parts.
import { useRead } from '../data';
import * as f from '../format';
import { Again } from '../parts/again';
import { Age, Card, Shown } from '../parts/basics';
import { Pages } from '../parts/pages';
import { LineTotals, Thumb } from '../parts/row';
import { Shares } from '../parts/shares';
import { Sheet } from '../parts/sheet';
import type { Flight } from '../types';
import { many, t } from '../words';

export default function FlightView({ id }: { id: string }) {
  const base = `/api/v1/flights/${encodeURIComponent(id)}`;
  const read = useRead<Flight>(base, { events: ['flight'] });
  return (
    <Shown read={read} lines={8}>{(v) => (
      <>
        <Card id="head" title={many('parts', v.parts.length)} aside={<Age at={read.at} />}>
          <div class="pad stack">
            <p class="result"><b>{f.number(v.unique)}</b> <span class="muted">{t('interval_long', { low: f.number(v.low), high: f.number(v.high) })}</span></p>
            <p class="muted">{t('device_site', { device: v.device, site: v.site })} · {f.when(v.parts[0]?.started ?? v.updated)}</p>
            {v.state === 'stale' && <p class="problem note">{t('renewed')}</p>}
            {v.state === 'ended' && v.next && <p class="problem note"><a href={`/flight/${encodeURIComponent(v.next)}`}>{t('open')}</a></p>}
            {v.warnings.length > 0 && <ul class="warnings">{v.warnings.map((w) => <li key={w}>{w}</li>)}</ul>}
            <LineTotals of={v} class="flight-lines" />
            <div class="actions downloads"><span class="muted">{t('download')}</span>
              <Pages base={base} />
              <a class="button" href={`${base}/result`} download="">JSON</a>
              {(v.lines || v.zones) && <a class="button" href={`${base}/crossings.csv`} download="">{t('crossings')}</a>}
              <a class="button" href={`${base}/sheet`} download="">{t('sheet')}</a>
              <a class="button" href={`${base}/sheet.tif`} download="">GeoTIFF</a>
              <span class="grow" />
              <Again footage={v.parts.map((p) => p.footage)} label={t('count_parts_again')} /></div>
          </div>
        </Card>
        <Card id="parts" title={t('parts')}>
          <ul class="list">{v.parts.map((p) => (
            <li class="job-row" key={p.footage} data-footage={p.footage}><Thumb id={p.footage} /><span class="who"><a class="name" href={`/footage/${encodeURIComponent(p.footage)}`}>{p.name}</a>
              <span class="meta">{[f.when(p.started), f.clock(p.duration_seconds)].join(' · ')}</span></span>
              <span class="tally"><b>{f.number(p.unique)}</b><span>{f.interval(p)} {t('part_alone')}</span></span></li>
          ))}</ul>
        </Card>
        <Shares of="flight" base={base} />
        <Sheet key={v.seq} src={`${base}/sheet`} title={t('sheet')} note={t('sheet_note')} />
      </>
    )}</Shown>
  );
}
