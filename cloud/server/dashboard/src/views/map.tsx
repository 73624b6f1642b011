// Map: the animals of the newest counts that have ground positions.
import { useEffect, useState } from 'preact/hooks';
import { get } from '../api';
import { useRead } from '../data';
import { when } from '../format';
import { Age, Card, Empty, Select } from '../parts/basics';
import { Plane, type Shapes } from '../parts/groundmap';
import { go, setQuery, useAddress } from '../router';
import type { Footage, Page } from '../types';
import { t } from '../words';

const most = 12; // pieces of footage at once

export default function MapView() {
  const { query } = useAddress();
  const read = useRead<Page<Footage>>('/api/v1/footage?limit=200', { events: ['count'] });
  const placed = (read.data?.items ?? []).filter((v) => v.telemetry && v.count && !v.duplicate_of);
  const sites = [...new Set(placed.map((v) => v.site))].sort();
  const site = query.get('site') ?? '';
  const chosen = placed.filter((v) => !site || v.site === site).slice(0, most);
  const key = chosen.map((v) => `${v.id}:${v.count!.seq}`).join();
  const [shapes, setShapes] = useState<Shapes>();
  useEffect(() => {
    let gone = false;
    Promise.all(chosen.map(async (v) => {
      try {
        const s = await get<Shapes>(`/api/v1/counts/${encodeURIComponent(v.id)}/positions?format=geojson`);
        return s.features.map((x) => ({ ...x, properties: { ...x.properties, footage: v.id } }));
      } catch { return []; } // one that cannot be placed is not on the map
    })).then((all) => { if (!gone) setShapes({ type: 'FeatureCollection', features: all.flat() }); });
    return () => { gone = true; };
  }, [key]);
  return (
    <Card id="map-view" title={t('map')} aside={<Age at={read.at} />}>
      <div class="filters"><Select label={t('site')} value={site} onChange={(v) => setQuery({ site: v })} options={[['', t('all')], ...sites.map((s): [string, string] => [s, s])]} /></div>
      {read.error && !read.data ? <Empty title={t('cannot_load')} text={read.error.message} />
        : shapes && shapes.features.length > 0 ? <Plane shapes={shapes} picked={0} pick={(_, p) => go(`/footage/${encodeURIComponent(p.footage)}`)} />
          : shapes ? <Empty title={t('no_positions')} text={t('no_positions_help')} /> : <div class="skeleton" aria-busy="true" style="--lines:8" />}
      <ul class="list">{chosen.map((v) => <li class="job-row" key={v.id}><span class="who"><a class="name" href={`/footage/${encodeURIComponent(v.id)}`}>{v.name}</a><span class="meta">{[v.site, when(v.captured || v.received)].join(' · ')}</span></span><span class="tally"><b>{v.count!.unique}</b></span></li>)}</ul>
    </Card>
  );
}
