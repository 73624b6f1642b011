// The annotated video with the selected animal outlined over it, and the visible animals over time below it.
import { useEffect, useRef, useState } from 'preact/hooks';
import * as f from '../format';
import type { Footage, Result, Track } from '../types';
import { t } from '../words';
import { Card } from './basics';
import type { Draft } from './review';

type Props = {
  v: Footage; base: string; result?: Result; picked: number; pick: (id: number) => void; at?: { seconds: number; asked: number }; seek: (seconds: number) => void; draft: Draft;
};

export function Film({ v, base, result, picked, pick, at, seek, draft }: Props) {
  const video = useRef<HTMLVideoElement>(null);
  const [now, setNow] = useState(0);
  const [missing, setMissing] = useState(false);
  useEffect(() => { if (video.current && at) { video.current.currentTime = at.seconds; setNow(at.seconds); } }, [at?.asked]);
  useEffect(() => {
    const el = video.current;
    return () => { el?.pause(); el?.removeAttribute('src'); el?.load(); }; // gives its connection back
  }, []);
  if (missing) return <Still base={base} v={v} />;
  const size = result?.video.width ? result.video : undefined;
  const select = (e: MouseEvent) => {
    const box = (e.currentTarget as Element).getBoundingClientRect();
    if (!size || e.clientY > box.bottom - 48) return; // the controls of the player
    const hit = nearest(result!.tracks, now, ((e.clientX - box.left) / box.width) * size.width, ((e.clientY - box.top) / box.height) * size.height);
    if (hit) { e.preventDefault(); pick(hit.id); }
  };
  const box = result && picked ? boxAt(result.tracks.find((x) => x.id === picked), now) : undefined;
  return (
    <Card id="film-card" title={t('video')}>
      <div class="film-box" style={size ? `aspect-ratio:${size.width}/${size.height}` : undefined} onClick={select}>
        <video ref={video} class="film" src={`${base}/video`} controls preload="metadata" playsInline aria-label={t('video_of', { name: v.name })}
          onTimeUpdate={(e) => setNow((e.target as HTMLVideoElement).currentTime)} onError={() => setMissing(true)} />
        {draft.adding && size && <Draw size={size} done={(b) => { draft.put({ verdict: 'added', seconds: Math.round(now * 1000) / 1000, box: b }); draft.setAdding(false); }} />}
        {box && size && <div class="outline" aria-hidden="true" style={`left:${(box[0] / size.width) * 100}%;top:${(box[1] / size.height) * 100}%;width:${((box[2] - box[0]) / size.width) * 100}%;height:${((box[3] - box[1]) / size.height) * 100}%`} />}
      </div>
      <p class="pad muted">{t('video_note')}</p>
      {result && result.visible.length > 1 && <Timeline result={result} now={now} seek={seek} />}
    </Card>
  );
}

type Box = [number, number, number, number];

// Draw takes a box around an animal that the count did not find. It covers the video while it is used.
function Draw({ size, done }: { size: { width: number; height: number }; done: (box: Box) => void }) {
  const [box, setBox] = useState<Box>();
  const place = (e: PointerEvent): [number, number] => {
    const r = (e.currentTarget as Element).getBoundingClientRect();
    return [Math.round(((e.clientX - r.left) / r.width) * size.width), Math.round(((e.clientY - r.top) / r.height) * size.height)];
  };
  const down = (e: PointerEvent) => { e.preventDefault(); (e.currentTarget as Element).setPointerCapture(e.pointerId); const [x, y] = place(e); setBox([x, y, x, y]); };
  const move = (e: PointerEvent) => { if (box && e.buttons) { const [x, y] = place(e); setBox([box[0], box[1], x, y]); } };
  const up = () => {
    if (!box) return;
    const b: Box = [Math.min(box[0], box[2]), Math.min(box[1], box[3]), Math.max(box[0], box[2]), Math.max(box[1], box[3])];
    setBox(undefined);
    if (b[2] - b[0] > 3 && b[3] - b[1] > 3) done(b);
  };
  const style = box && `left:${(Math.min(box[0], box[2]) / size.width) * 100}%;top:${(Math.min(box[1], box[3]) / size.height) * 100}%;width:${(Math.abs(box[2] - box[0]) / size.width) * 100}%;height:${(Math.abs(box[3] - box[1]) / size.height) * 100}%`;
  return <div class="draw" onPointerDown={down} onPointerMove={move} onPointerUp={up} onClick={(e) => e.stopPropagation()}>{box && <div class="outline" style={style} />}</div>;
}

function Still({ v, base }: { v: Footage; base: string }) {
  const [missing, setMissing] = useState(false);
  if (missing) return null;
  return <Card id="still-card" title={t('still')}><a href={`${base}/still`} target="_blank" rel="noopener" title={t('full_size')}>
    <img class="still" src={`${base}/still`} alt={t('still_of', { name: v.name })} onError={() => setMissing(true)} /></a></Card>;
}

// boxAt is the outline of a track at a time, between the two detections around it; none where the track is not seen.
function boxAt(track: Track | undefined, seconds: number): [number, number, number, number] | undefined {
  const way = track?.way.filter((p) => p.box) ?? [];
  const slack = 0.4; // seconds: players stop near a picture, not at it
  if (!way.length || seconds < way[0].seconds - slack || seconds > way[way.length - 1].seconds + slack) return undefined;
  const i = way.findIndex((p) => p.seconds >= seconds);
  if (i <= 0) return (i === 0 ? way[0] : way[way.length - 1]).box;
  const [a, b] = [way[i - 1], way[i]];
  const share = b.seconds > a.seconds ? (seconds - a.seconds) / (b.seconds - a.seconds) : 0;
  return a.box!.map((x, k) => x + (b.box![k] - x) * share) as [number, number, number, number];
}

function nearest(tracks: Track[], seconds: number, x: number, y: number): Track | undefined {
  let best: Track | undefined;
  let least = Infinity;
  for (const track of tracks) {
    const b = boxAt(track, seconds);
    if (!b || x < b[0] || x > b[2] || y < b[1] || y > b[3]) continue;
    const d = Math.hypot(x - (b[0] + b[2]) / 2, y - (b[1] + b[3]) / 2);
    if (d < least) { least = d; best = track; }
  }
  return best;
}

function Timeline({ result, now, seek }: { result: Result; now: number; seek: (s: number) => void }) {
  const most = Math.max(1, ...result.visible.map((p) => p.animals));
  const length = Math.max(result.video.duration_seconds, result.visible[result.visible.length - 1].second + 1);
  const w = 100 / length;
  const at = (e: MouseEvent) => {
    const r = (e.currentTarget as Element).getBoundingClientRect();
    seek(Math.min(length, Math.max(0, ((e.clientX - r.left) / r.width) * length)));
  };
  const key = (e: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowUp: 1, ArrowDown: -1 }[e.key];
    if (step) { e.preventDefault(); seek(Math.min(length, Math.max(0, Math.round(now) + step))); }
  };
  return (
    <div class="pad">
      <div id="timeline" class="timeline" role="slider" tabIndex={0} aria-label={t('visible_over_time')} aria-valuemin={0} aria-valuemax={Math.round(length)} aria-valuenow={Math.round(now)}
        aria-valuetext={`${f.clock(now)}, ${result.visible.find((p) => p.second === Math.floor(now))?.animals ?? 0}`} onClick={at} onKeyDown={key}>
        <svg viewBox="0 0 100 40" preserveAspectRatio="none" aria-hidden="true">
          {result.visible.map((p) => <rect key={p.second} x={p.second * w} y={40 - (p.animals / most) * 38} width={w * 0.86} height={(p.animals / most) * 38} />)}
          <line x1={now * w} x2={now * w} y1="0" y2="40" />
        </svg>
      </div>
      <p class="muted">{t('visible_over_time')} (0 – {f.number(most)}). {t('visible_note')}</p>
    </div>
  );
}
