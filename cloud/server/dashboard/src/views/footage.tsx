// One piece of footage: its count, and everything a person checks the count with. An animal that is selected in the
// video, the list or on the map is selected in all of them.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { change, get } from '../api';
import { useRead } from '../data';
import * as f from '../format';
import { on } from '../live';
import { Act, Age, Card, Shown } from '../parts/basics';
import { Again } from '../parts/again';
import { Animals } from '../parts/animals';
import { ByPaddock } from '../parts/bypaddock';
import { Film } from '../parts/film';
import { Lazy } from '../parts/lazy';
import { Pages } from '../parts/pages';
import { LineTotals, statusText, label } from '../parts/row';
import { ReviewCard, useDraft } from '../parts/review';
import { Shares } from '../parts/shares';
import { Sheet } from '../parts/sheet';
import { Warned } from '../parts/warned';
import { merge, showsSibling } from '../stock';
import type { Count, Footage, Job, Result, Reviews } from '../types';
import { many, t } from '../words';

const groundMap = () => import('../parts/groundmap');

export default function FootageView({ id }: { id: string }) {
  const base = `/api/v1/footage/${encodeURIComponent(id)}`;
  const read = useRead<Footage>(base);
  const [live, setLive] = useState<Footage>();
  useEffect(() => { if (read.data) setLive((old) => merge(old, read.data!)); }, [read.data]);
  useEffect(() => {
    const change = (of: string, part: Partial<Footage>) => setLive((v) => v && (v.id === of || v.duplicate_of === of || (v.sibling_of === of && showsSibling(v))) ? merge(v, part) : v);
    const offs = [on('job', (j: Job) => change(j.footage, { job: j })), on('count', (c: Count) => change(c.footage, { count: c })),
      on('footage', async (v: Footage) => { if (v.id === id) { const whole = await get<Footage>(base); setLive((old) => merge(old, whole)); } })];
    return () => offs.forEach((off) => off());
  }, [id]);
  return <div id="detail"><Shown read={{ ...read, data: live ?? read.data }} lines={8}>{(v) => <Whole v={v} base={base} at={read.at} />}</Shown></div>;
}

function Whole({ v, base, at }: { v: Footage; base: string; at?: number }) {
  const done = v.job?.state === 'done' && v.count;
  const result = useRead<Partial<Result>>(done ? `${base}/result` : '', { keep: false });
  const whole = useMemo(() => result.data && complete(result.data), [result.data]);
  useEffect(() => { if (done) result.reload(); }, [v.count?.at]);
  const [picked, setPicked] = useState(0);
  return (
    <>
      <Card id="head" title={v.name || v.id} aside={<Age at={at} />}>
        <div class="pad stack">
          {done ? <Number v={v} /> : v.job && <Working v={v} />}
          {showsSibling(v) && <div class="problem note"><span>{t('sib_note')}</span><Act label={t('count_too')} act={() => queue(`${base}/count`, 'queued_file')} data={{ 'data-retry': '' }} /></div>}
          {whole && whole.warnings.length > 0 && <ul class="warnings" aria-label={t('warnings')}>{whole.warnings.map((w) => <li key={w.code + w.text}><Warned kind={w.code} text={w.text} /></li>)}</ul>}
          {v.count && <LineTotals of={v.count} class="flight-lines" />}
          {done && <Downloads v={v} base={base} />}
          {v.flight && <p><a href={`/flight/${encodeURIComponent(v.flight)}`}>{t('flight_of')}</a></p>}
        </div>
      </Card>
      {v.count && <ByPaddock paddocks={v.count.paddocks} />}
      {done && <Evidence v={v} base={base} result={whole} picked={picked} pick={setPicked} />}
      {done && !v.duplicate_of && !v.sibling_of && <Shares of="footage" base={base} />}
      <Card id="facts" title={t('facts')}><Facts v={v} /></Card>
    </>
  );
}

// complete fills in what results of older versions do not have.
const complete = (r: Partial<Result>): Result => ({
  video: { width: 0, height: 0, fps: 0, duration_seconds: 0 }, count: { unique: 0, low: 0, high: 0, method: '' }, ...r,
  visible: r.visible ?? [], tracks: r.tracks ?? [], not_counted: r.not_counted ?? [], warnings: r.warnings ?? [],
});

const Number = ({ v }: { v: Footage }) => (
  <p class="result"><b>{f.number(v.count!.unique)}</b> <span>{many('animals', v.count!.unique).replace(/^[\d\s.,]+/, '')}<span class="muted"> · {t('interval_long', { low: f.number(v.count!.low), high: f.number(v.count!.high) })}</span></span></p>
);

function Working({ v }: { v: Footage }) {
  const j = v.job!;
  const [text, kind] = label(v);
  if (f.uncounted(j.state)) {
    return <div class="problem"><span>{j.reason || t('no_reason')}</span>{!f.retryable(j.state) ? <span>{t('fault_of_file')}</span> : <Act label={t('try_again')} act={() => queue(`/api/v1/jobs/${encodeURIComponent(j.id)}/retry`, 'queued_again')} data={{ 'data-retry': '' }} />}</div>;
  }
  const values = { animals: many('animals', j.count), done: f.number(j.frames_done), total: j.frames_total ? f.number(j.frames_total) : '?', fps: f.number(j.fps, 1) };
  return (
    <div class="work">
      <span class="work-line"><span class={`badge ${kind}`} data-state={j.state}>{text}</span>{statusText(v)}</span>
      {j.state === 'processing' && <progress max={100} value={j.percent} aria-label={t('progress_of_count')} />}
      {j.state === 'processing' && <span class="muted">{t('so_far_long', values)}</span>}
      {!f.ended(j.state) && <Act label={t('cancel_job')} act={() => queue(`/api/v1/jobs/${encodeURIComponent(j.id)}/cancel`, 'canceled_said')} />}
    </div>
  );
}

// queue sends a request that changes a job. The event of the change renews the view.
async function queue(path: string, said: 'queued_again' | 'queued_file' | 'canceled_said'): Promise<string> {
  await change('POST', path);
  return t(said);
}

function Downloads({ v, base }: { v: Footage; base: string }) {
  const positions = `/api/v1/counts/${encodeURIComponent(v.id)}/positions?format=`;
  const links: [string, string, boolean?][] = [['JSON', `${base}/result`], ['CSV', `${base}/result.csv`], [t('crossings'), `${base}/crossings.csv`, Boolean(v.count!.lines || v.count!.zones)],
    [t('still'), `${base}/still`], [t('video'), `${base}/video`], [t('sheet'), `${base}/sheet`], ['GeoJSON', `${positions}geojson`, v.telemetry], ['KML', `${positions}kml`, v.telemetry], ['GPX', `${positions}gpx`, v.telemetry], ['GeoTIFF', `${base}/sheet.tif`, v.telemetry]];
  return (
    <div class="actions downloads"><span class="muted">{t('download')}</span>
      <Pages base={base} />
      {links.filter(([, , there = true]) => there).map(([name, href]) => <a key={name} class="button" href={href} download="">{name}</a>)}
      <span class="grow" />
      <Again footage={[v.id]} label={t('count_again')} />
    </div>
  );
}

type EvidenceProps = { v: Footage; base: string; result?: Result; picked: number; pick: (id: number) => void };

function Evidence({ v, base, result, picked, pick }: EvidenceProps) {
  const [at, setAt] = useState<{ seconds: number; asked: number }>();
  const seek = (seconds: number) => setAt({ seconds, asked: Date.now() });
  const reviews = useRead<Reviews>(v.duplicate_of || showsSibling(v) ? '' : `${base}/reviews`, { keep: false });
  useEffect(() => { reviews.reload(); }, [v.count?.at]);
  const draft = useDraft();
  const select = (id: number) => {
    pick(id);
    const track = result?.tracks.find((x) => x.id === id);
    const other = result?.not_counted.find((x) => x.id === id);
    if (track) seek(track.way[Math.floor(track.way.length / 2)]?.seconds ?? track.best.frame / (result!.video.fps || 1));
    else if (other) seek(other.best.frame / (result!.video.fps || 1));
  };
  return (
    <>
      <Film key={v.count!.at} v={v} base={base} result={result} picked={picked} pick={pick} at={at} seek={seek} draft={draft} />
      {result && <ReviewCard result={result} base={base} read={reviews} picked={picked} pick={select} draft={draft} />}
      <Sheet key={`s${v.count!.at}`} src={`${base}/sheet`} title={t('sheet')} note={t('sheet_note')} />
      {v.telemetry && <Lazy late load={groundMap} props={{ footage: v.id, site: v.site, picked, pick: select }} />}
      {result && <Animals result={result} base={base} picked={picked} pick={select} />}
    </>
  );
}

function Facts({ v }: { v: Footage }) {
  const log = v.flight_log ? [v.flight_log.state, v.flight_log.dialect, v.flight_log.why].filter(Boolean).join(': ') : t(v.telemetry ? 'log_yes' : 'log_no');
  const rows: ([string, string] | false | undefined)[] = [
    [t('device'), t('device_site', { device: v.device, site: v.site })], [t('captured'), f.when(v.captured)], [t('received'), f.when(v.received)], [t('size'), f.bytes(v.size)],
    [t('flight_log'), log], Boolean(v.duplicate_of) && [t('same_file_as'), v.duplicate_of!], Boolean(v.sibling_of) && [t('same_flight_as'), v.sibling_of!],
    v.count && [t('by_class'), Object.entries(v.count.by_class).map(([k, n]) => `${k} ${f.number(n)}`).join(', ') || '–'],
    v.count && [t('model'), v.count.model], (v.job?.attempt ?? 0) > 1 && [t('attempts'), String(v.job!.attempt)],
    [t('footage'), v.id], ['SHA-256', v.sha256],
  ];
  return <dl class="facts pad">{rows.filter((r): r is [string, string] => Boolean(r)).flatMap(([k, x]) => [<dt key={`${k}-t`}>{k}</dt>, <dd key={k}>{x}</dd>])}</dl>;
}
