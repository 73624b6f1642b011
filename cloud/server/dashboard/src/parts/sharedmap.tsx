// The map of footage that a link shows.
import { useEffect, useState } from 'preact/hooks';
import { t } from '../words';
import { Card } from './basics';
import { Plane, type Shapes } from './groundmap';

/** SharedMap reads its shapes with the cookie of the link. Without shapes there is no map. */
export default function SharedMap({ src, name }: { src: string; name: string }) {
  const [shapes, setShapes] = useState<Shapes>();
  const [picked, pick] = useState(0);
  useEffect(() => { fetch(src).then((r) => (r.ok ? r.json() : undefined)).then(setShapes, () => setShapes(undefined)); }, [src]);
  if (!shapes?.features.some((x) => x.geometry)) return null;
  return <Card id="map-card" title={`${t('on_map')} · ${name}`}><Plane shapes={shapes} picked={picked} pick={pick} /></Card>;
}
