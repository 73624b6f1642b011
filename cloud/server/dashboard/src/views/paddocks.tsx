// Paddocks of a site: borders on the map, drawn or imported, in versions.
import { useEffect, useState } from 'preact/hooks';
import { change, get, Problem } from '../api';
import { useRead } from '../data';
import { when } from '../format';
import { Act, Age, Card, Empty, Select } from '../parts/basics';
import { Plane, type Corner, type Shape, type Shapes } from '../parts/groundmap';
import { setQuery, useAddress } from '../router';
import type { Borders, Footage, Overview, Page } from '../types';
import { t } from '../words';

const context = 6; // newest pieces of footage that show where the herd was

export default function Paddocks() {
  const { query } = useAddress();
  const devices = useRead<Page<{ site: string }>>('/api/v1/devices');
  const overview = useRead<Overview>('/api/v1/overview');
  const sites = [...new Set([...(devices.data?.items ?? []), ...(overview.data?.sites ?? [])].map((s) => s.site))].filter(Boolean).sort();
  const site = query.get('site') || sites[0];
  if (!site) return <div class="card">{devices.data ? <Empty title={t('pd_pick_site')} /> : <div class="skeleton" aria-busy="true" />}</div>;
  return <Site key={site} site={site} sites={sites} />;
}

const isBorder = (x: Shape) => /Polygon$/.test(x.geometry?.type ?? '');

// merged adds what one person changed in the borders base to the borders that another person made of them meanwhile.
function merged(base: Shape[], newer: Shape[], own: Shape[]): Shape[] {
  const key = (x: Shape) => JSON.stringify([x.properties.name, x.geometry]);
  const was = new Set(base.map(key)), has = new Set(own.map(key)), is = new Set(newer.map(key));
  return [...newer.filter((x) => !was.has(key(x)) || has.has(key(x))), ...own.filter((x) => !was.has(key(x)) && !is.has(key(x)))];
}

function Site({ site, sites }: { site: string; sites: string[] }) {
  const base = `/api/v1/sites/${encodeURIComponent(site)}/paddocks`;
  const read = useRead<Shapes & Partial<Borders>>(base, { keep: false });
  const versions = useRead<Page<Borders>>(`${base}/versions`, { keep: false });
  const seen = useSeen(site);
  const [own, setBorders] = useState<Shape[]>(); // borders that are not saved
  const [drawnOver, setDrawnOver] = useState<Shapes & Partial<Borders>>(); // what they were drawn over
  const [clash, setClash] = useState(false); // others have saved meanwhile, and what is not saved is kept
  const [draft, setDraft] = useState<Corner[]>();
  const [name, setName] = useState('');
  const none = read.error !== undefined && (read.error as { status?: number }).status === 404;
  const stored = (none ? [] : read.data?.features ?? []).filter(isBorder);
  const borders = own ?? stored;
  const setOwn = (list?: Shape[]) => {
    if (!own) setDrawnOver(none ? undefined : read.data);
    if (!list) setClash(false);
    setBorders(list);
  };
  const ready = none || read.data !== undefined;
  const [shapes, setShapes] = useState<Shapes>();
  useEffect(() => { if (ready) setShapes({ type: 'FeatureCollection', features: [...borders, ...seen] }); }, [own, read.data, none, seen]);
  const again = () => { setOwn(undefined); setDraft(undefined); read.reload(); versions.reload(); };

  const close = () => {
    if (!draft || draft.length < 3) return;
    const ring = [...draft, draft[0]];
    setOwn([...borders, { type: 'Feature', properties: { name: name.trim() || `${t('pd_paddock')} ${borders.length + 1}` }, geometry: { type: 'Polygon', coordinates: [ring] } }]);
    setDraft(undefined);
    setName('');
  };
  const place = (c: Corner, near: (other: Corner) => boolean) => {
    if (!draft) return;
    if (draft.length >= 3 && near(draft[0])) close(); else setDraft([...draft, c]);
  };
  const put = async (body: Blob, over = none ? undefined : read.data) => {
    let v: Borders;
    try { v = await change<Borders>('PUT', base, body, over); } catch (err) {
      if (!(err instanceof Problem) || err.status !== 412) throw err;
      versions.reload();
      await read.reload();
      setClash(own !== undefined);
      throw new Error(`${t(own ? 'pd_stale' : 'pd_stale_file')} ${err.message}`);
    }
    again();
    return [t('pd_saved', { n: v.version }), ...(v.warnings ?? [])].join(' ');
  };
  const merge = () => {
    setBorders(merged((drawnOver?.features ?? []).filter(isBorder), stored, own ?? []));
    setDrawnOver(none ? undefined : read.data);
    setClash(false);
  };
  const save = () => put(new Blob([JSON.stringify({ type: 'FeatureCollection', features: borders })], { type: 'application/geo+json' }), drawnOver);
  return (
    <>
      <Card id="paddocks" title={t('paddocks')} aside={<Age at={read.at} />}>
        <div class="filters">
          <Select label={t('site')} value={site} onChange={(v) => setQuery({ site: v })} options={sites.map((s): [string, string] => [s, s])} />
          {draft && <label class="field">{t('pd_name')}<input value={name} maxLength={100} onInput={(e) => setName((e.target as HTMLInputElement).value)} /></label>}
          {!draft && <button class="button" type="button" onClick={() => setDraft([])}>{t('pd_draw')}</button>}
          {draft && <button class="button" type="button" disabled={!draft.length} onClick={() => setDraft(draft.slice(0, -1))}>{t('pd_undo')}</button>}
          {draft && <button class="button" type="button" onClick={() => setDraft(undefined)}>{t('pd_cancel')}</button>}
          {own && clash && <button class="button" type="button" data-merge onClick={merge}>{t('pd_merge')}</button>}
          {own && <Act class="button primary" label={t('pd_save')} act={save} data={{ 'data-save': '' }} />}
          {own && <button class="button" type="button" onClick={() => setOwn(undefined)}>{t('pd_cancel')}</button>}
        </div>
        {draft && <p class="pad" role="status">{t('pd_drawing')}</p>}
        {own && <p class="pad muted">{t('pd_unsaved')}</p>}
        {shapes && (shapes.features.length > 0 || draft) ? <Plane shapes={shapes} picked={0} pick={() => {}} draft={draft} place={place} />
          : ready ? <Empty title={t('pd_none')} text={t('pd_none_help')} /> : <div class="skeleton" aria-busy="true" style="--lines:8" />}
        {borders.length > 0 && <ul class="list">{borders.map((x, i) => (
          <li class="job-row" key={i}><span class="who name">{String(x.properties.name ?? i + 1)}</span>
            <button class="button small" type="button" onClick={() => setOwn(borders.filter((_, k) => k !== i))}>{t('pd_remove')}</button></li>))}</ul>}
      </Card>
      <Card id="import" title={t('pd_import')}>
        <div class="pad stack"><p class="muted">{t('pd_import_help')}</p><Import put={put} />
          {stored.length > 0 && <p class="actions">{t('pd_export')}: <a class="button small" href={`${base}?format=geojson`} download={`${site}.geojson`}>GeoJSON</a> <a class="button small" href={`${base}?format=kml`} download={`${site}.kml`}>KML</a></p>}</div>
      </Card>
      {(versions.data?.items ?? []).length > 0 && (
        <Card id="versions" title={t('pd_versions')} aside={<Age at={versions.at} />}>
          <ul class="list">{versions.data!.items.map((v) => (
            <li class="job-row" key={v.version}><span class="who"><a class="name" href={`${base}?version=${v.version}&format=geojson`} download={`${site}-${v.version}.geojson`}>{t('pd_version', { n: v.version })}</a>
              <span class="meta">{[v.valid_from ? t('pd_from', { when: when(v.valid_from) }) : t('pd_always'), when(v.created), v.who && t('pd_by', { who: v.who })].filter(Boolean).join(' · ')}</span></span><span class="tally"><b>{v.paddocks}</b></span></li>))}</ul>
        </Card>
      )}
    </>
  );
}

function Import({ put }: { put: (file: Blob) => Promise<string> }) {
  const [said, setSaid] = useState('');
  const choose = async (e: Event) => {
    const input = e.target as HTMLInputElement;
    const file = input.files?.[0];
    input.value = '';
    if (!file) return;
    try { setSaid(await put(file)); } catch (err) { setSaid((err as Error).message); }
  };
  return <p><input id="paddock-file" type="file" accept=".geojson,.json,.kml,.kmz,.zip" aria-label={t('pd_import')} onChange={choose} /> {said && <span role="status">{said}</span>}</p>;
}

// useSeen returns the animals and the flown ground of the newest footage of a site, so that borders are drawn around something.
function useSeen(site: string): Shape[] {
  const read = useRead<Page<Footage>>(`/api/v1/footage?limit=50&site=${encodeURIComponent(site)}`, { keep: false });
  const [seen, setSeen] = useState<Shape[]>([]);
  const chosen = (read.data?.items ?? []).filter((v) => v.telemetry && v.count && !v.duplicate_of).slice(0, context);
  useEffect(() => {
    let gone = false;
    Promise.all(chosen.map((v) => get<Shapes>(`/api/v1/counts/${encodeURIComponent(v.id)}/positions?format=geojson`).then((s) => s.features.filter((x) => !isBorder(x)), () => [])))
      .then((all) => { if (!gone) setSeen(all.flat()); });
    return () => { gone = true; };
  }, [chosen.map((v) => v.id).join()]);
  return seen;
}
