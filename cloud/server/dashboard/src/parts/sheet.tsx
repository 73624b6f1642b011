// A large picture that can be zoomed and moved, by mouse, touch and keyboard.
import { useRef, useState } from 'preact/hooks';
import { t } from '../words';
import { Card } from './basics';

const most = 12;

export function Sheet({ src, title, note }: { src: string; title: string; note: string }) {
  const [missing, setMissing] = useState(false);
  const [view, setView] = useState({ scale: 1, x: 0, y: 0 });
  const box = useRef<HTMLDivElement>(null);
  const pointers = useRef(new Map<number, { x: number; y: number }>());
  if (missing) return null;

  const zoom = (by: number, at?: { x: number; y: number }) => setView((v) => {
    const r = box.current!.getBoundingClientRect();
    const scale = Math.min(most, Math.max(1, v.scale * by));
    const [px, py] = at ? [at.x - r.left, at.y - r.top] : [r.width / 2, r.height / 2];
    return inside({ scale, x: px - ((px - v.x) * scale) / v.scale, y: py - ((py - v.y) * scale) / v.scale });
  });
  const inside = (v: typeof view) => {
    const r = box.current!.getBoundingClientRect();
    const clamp = (n: number, size: number) => Math.min(0, Math.max(size - size * v.scale, n));
    return { scale: v.scale, x: clamp(v.x, r.width), y: clamp(v.y, r.height) };
  };
  const move = (dx: number, dy: number) => setView((v) => inside({ ...v, x: v.x + dx, y: v.y + dy }));

  const down = (e: PointerEvent) => { pointers.current.set(e.pointerId, { x: e.clientX, y: e.clientY }); (e.currentTarget as Element).setPointerCapture(e.pointerId); };
  const drag = (e: PointerEvent) => {
    const all = pointers.current;
    const before = all.get(e.pointerId);
    if (!before) return;
    const now = { x: e.clientX, y: e.clientY };
    if (all.size === 2) {
      const other = [...all].find(([id]) => id !== e.pointerId)![1];
      zoom(Math.hypot(now.x - other.x, now.y - other.y) / Math.max(1, Math.hypot(before.x - other.x, before.y - other.y)), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
    } else move(now.x - before.x, now.y - before.y);
    all.set(e.pointerId, now);
  };
  const up = (e: PointerEvent) => { pointers.current.delete(e.pointerId); };
  const wheel = (e: WheelEvent) => {
    if (!e.ctrlKey && view.scale === 1 && e.deltaY > 0) return; // the page scrolls
    e.preventDefault();
    zoom(Math.exp(-e.deltaY / 400), { x: e.clientX, y: e.clientY });
  };
  const key = (e: KeyboardEvent) => {
    const f = { '+': () => zoom(1.5), '=': () => zoom(1.5), '-': () => zoom(1 / 1.5), '0': () => setView({ scale: 1, x: 0, y: 0 }),
      ArrowLeft: () => move(60, 0), ArrowRight: () => move(-60, 0), ArrowUp: () => move(0, 60), ArrowDown: () => move(0, -60) }[e.key];
    if (f) { e.preventDefault(); f(); }
  };
  return (
    <Card id="sheet-card" title={title} aside={<span class="zooms">
      <button class="button small" type="button" aria-label={t('zoom_out')} title={t('zoom_out')} onClick={() => zoom(1 / 1.5)}>−</button>
      <button class="button small" type="button" aria-label={t('zoom_in')} title={t('zoom_in')} onClick={() => zoom(1.5)}>+</button>
      <button class="button small" type="button" onClick={() => setView({ scale: 1, x: 0, y: 0 })}>{t('zoom_fit')}</button>
      <a class="button small" href={src} target="_blank" rel="noopener">{t('full_size')}</a></span>}>
      <div ref={box} class={`sheet-box ${view.scale > 1 ? 'zoomed' : ''}`} tabIndex={0} role="group" aria-label={note} onPointerDown={down} onPointerMove={drag} onPointerUp={up} onPointerCancel={up} onWheel={wheel} onKeyDown={key}>
        <img class="sheet" src={src} alt={note} draggable={false} loading="lazy" onError={() => setMissing(true)}
          onLoad={(e) => { const i = e.target as HTMLImageElement; if (box.current) box.current.style.aspectRatio = `${i.naturalWidth}/${i.naturalHeight}`; }} style={`transform:translate(${view.x}px,${view.y}px) scale(${view.scale})`} />
      </div>
      <p class="pad muted">{note}</p>
    </Card>
  );
}
