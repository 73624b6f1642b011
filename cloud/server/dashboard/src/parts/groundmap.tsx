// The counted animals on the ground, with the camera's path and the ground that it saw. No tiles are fetched: the flight
// itself is the map, unless the server names a source of tiles.
import * as maplibregl from 'maplibre-gl';
import { useEffect, useRef } from 'preact/hooks';
import { useRead } from '../data';
import { t } from '../words';
import { Card, Empty } from './basics';
import { stylesheet } from './stylesheet';

export type Shape = { type: 'Feature'; geometry: { type: string; coordinates: any } | null; properties: Record<string, any> };
export type Shapes = { type: 'FeatureCollection'; features: Shape[] };

maplibregl.setWorkerUrl('/map-worker.js');

type Props = { footage: string; site: string; picked: number; pick: (id: number) => void };

export default function GroundMap({ footage, picked, pick }: Props) {
  const read = useRead<Shapes>(`/api/v1/counts/${encodeURIComponent(footage)}/positions?format=geojson`, { keep: false });
  const there = read.data?.features.some((x) => x.geometry);
  return (
    <Card id="map-card" title={t('on_map')}>
      {there ? <Plane shapes={read.data!} picked={picked} pick={pick} /> : read.data || read.error ? <Empty title={t('no_positions')} text={read.error?.message ?? t('no_positions_help')} /> : <div class="skeleton" aria-busy="true" />}
    </Card>
  );
}

const color = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** bounds are the west, south, east and north of shapes. */
export function bounds(shapes: Shapes): [number, number, number, number] | undefined {
  const b: [number, number, number, number] = [Infinity, Infinity, -Infinity, -Infinity];
  const walk = (c: any): void => {
    if (typeof c[0] === 'number') { b[0] = Math.min(b[0], c[0]); b[1] = Math.min(b[1], c[1]); b[2] = Math.max(b[2], c[0]); b[3] = Math.max(b[3], c[1]); } else c.forEach(walk);
  };
  for (const x of shapes.features) if (x.geometry) walk(x.geometry.coordinates);
  return Number.isFinite(b[0]) ? b : undefined;
}

const area: any = ['in', ['geometry-type'], ['literal', ['Polygon', 'MultiPolygon']]];

/** Corner is a longitude and a latitude. */
export type Corner = [number, number];

const draftShapes = (corners: Corner[]): any => ({ type: 'FeatureCollection', features: [
  ...(corners.length > 1 ? [{ type: 'Feature', properties: {}, geometry: { type: 'LineString', coordinates: corners } }] : []),
  ...corners.map((c) => ({ type: 'Feature', properties: {}, geometry: { type: 'Point', coordinates: c } })),
] });

type PlaneProps = {
  shapes: Shapes; picked: number; pick: (id: number, properties: Record<string, any>) => void;
  draft?: Corner[]; place?: (corner: Corner, near: (other: Corner) => boolean) => void;
};

/**
 * Plane draws shapes: points as animals, lines as paths, polygons as ground or paddocks. With place, a click gives its
 * corner, and near tells whether another corner is at the same place of the screen.
 */
export function Plane({ shapes, picked, pick, draft, place }: PlaneProps) {
  if (!drawable()) return <Empty title={t('no_map')} text={t('no_map_help')} />;
  return <Drawing shapes={shapes} picked={picked} pick={pick} draft={draft} place={place} />;
}

let canDraw: boolean | undefined;
/** drawable reports whether this browser has what the map is drawn with. */
function drawable(): boolean {
  canDraw ??= Boolean(document.createElement('canvas').getContext('webgl2'));
  return canDraw;
}

function Drawing({ shapes, picked, pick, draft, place }: PlaneProps) {
  const onPlace = useRef(place);
  onPlace.current = place;
  const at = useRef<HTMLDivElement>(null);
  const map = useRef<maplibregl.Map>(undefined);
  const onPick = useRef(pick);
  onPick.current = pick;
  const now = useRef({ shapes, picked, draft });
  now.current = { shapes, picked, draft };
  const fitted = useRef(''); // the bounds that the map was moved to
  // The map stays for as long as it is shown. The same shapes are read again after a lost connection, while a person draws.
  useEffect(() => {
    let gone = false;
    stylesheet('/map.css').then(() => { if (!gone) draw(); }); // the map measures its room when it is made
    return () => { gone = true; map.current?.remove(); map.current = undefined; };
  }, []);
  const source = (name: string) => map.current?.getSource(name) as maplibregl.GeoJSONSource | undefined;
  const putShapes = () => { source('shapes')?.setData(now.current.shapes as any); fit(); };
  const putDraft = () => { source('draft')?.setData(draftShapes(now.current.draft ?? [])); };
  const putPicked = () => { if (map.current?.getLayer('picked')) map.current.setFilter('picked', ['==', ['get', 'id'], now.current.picked || -1]); };
  const fit = () => {
    const b = bounds(now.current.shapes);
    if (!map.current || !b || now.current.draft?.length || fitted.current === b.join()) return;
    fitted.current = b.join();
    map.current.fitBounds([[b[0], b[1]], [b[2], b[3]]], { padding: 32, animate: false, maxZoom: 21 });
  };
  const draw = () => {
    const m = new maplibregl.Map({
      container: at.current!, attributionControl: false,
      style: { version: 8, sources: { shapes: { type: 'geojson', data: draftShapes([]) }, draft: { type: 'geojson', data: draftShapes([]) } }, layers: [
        { id: 'back', type: 'background', paint: { 'background-color': color('--map') } },
        { id: 'ground', type: 'fill', source: 'shapes', filter: area, paint: { 'fill-color': color('--green'), 'fill-opacity': 0.14 } },
        { id: 'edge', type: 'line', source: 'shapes', filter: area, paint: { 'line-color': color('--green'), 'line-width': 1.2 } },
        { id: 'path', type: 'line', source: 'shapes', filter: ['==', ['geometry-type'], 'LineString'], paint: { 'line-color': color('--amber-text'), 'line-width': 2, 'line-dasharray': [2, 1.5] } },
        { id: 'animals', type: 'circle', source: 'shapes', filter: ['==', ['geometry-type'], 'Point'], paint: {
          'circle-radius': 5, 'circle-color': color('--red'), 'circle-stroke-color': '#fff', 'circle-stroke-width': 1.2 } },
        { id: 'picked', type: 'circle', source: 'shapes', filter: ['==', ['get', 'id'], -1], paint: { 'circle-radius': 10, 'circle-color': 'transparent', 'circle-stroke-color': color('--ink'), 'circle-stroke-width': 3 } },
        { id: 'draft-line', type: 'line', source: 'draft', filter: ['==', ['geometry-type'], 'LineString'], paint: { 'line-color': color('--ink'), 'line-width': 2 } },
        { id: 'draft-corners', type: 'circle', source: 'draft', filter: ['==', ['geometry-type'], 'Point'], paint: { 'circle-radius': 6, 'circle-color': color('--card'), 'circle-stroke-color': color('--ink'), 'circle-stroke-width': 2 } },
      ] },
    });
    map.current = m;
    fit();
    m.once('style.load', () => { putShapes(); putDraft(); putPicked(); });
    m.addControl(new maplibregl.NavigationControl({ visualizePitch: false }), 'top-right');
    m.addControl(new maplibregl.ScaleControl({}), 'bottom-left');
    m.on('click', (e) => {
      const near = (c: Corner) => m.project(c).dist(e.point) < 14; // pixels
      onPlace.current?.([e.lngLat.lng, e.lngLat.lat], near);
    });
    m.on('click', 'animals', (e) => { const p = e.features?.[0]?.properties; if (p) onPick.current(Number(p.id ?? p.track ?? 0), p); });
    m.on('mouseenter', 'animals', () => { m.getCanvas().style.cursor = 'pointer'; });
    m.on('mouseleave', 'animals', () => { m.getCanvas().style.cursor = ''; });
    m.once('idle', () => { at.current?.setAttribute('data-drawn', 'true'); });
  };
  useEffect(putShapes, [shapes]);
  useEffect(putDraft, [draft]);
  useEffect(putPicked, [picked]);
  return <div class="plane" data-corners={draft?.length} ref={at} aria-label={t('on_map')} />;
}
