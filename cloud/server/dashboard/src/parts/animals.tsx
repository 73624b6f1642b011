// The counted animals and the tracks that were not counted, as a list to go through by mouse or keyboard.
import { useState } from 'preact/hooks';
import * as f from '../format';
import type { NotCounted, Result, Track } from '../types';
import { many, t, type Key } from '../words';
import { Card } from './basics';

type Props = { result: Result; base: string; picked: number; pick: (id: number) => void };

export function Animals({ result, base, picked, pick }: Props) {
  return (
    <>
      <Card id="animals" title={t('animals_list')} aside={many('animals', result.tracks.length)}>
        <div class="scroll tall" tabIndex={0} role="group" aria-label={t('animals_list')}><table>
          <thead><tr><th>{t('animal')}</th><th>{t('class_of')}</th><th>{t('seen_from')}</th><th>{t('score')}</th><th>{t('place')}</th></tr></thead>
          <tbody>{result.tracks.map((x) => <Line key={x.id} x={x} fps={result.video.fps} picked={picked === x.id} pick={pick} />)}</tbody>
        </table></div>
        <Contact base={base} page={1} />
      </Card>
      {result.not_counted.length > 0 && (
        <Card id="not-counted" title={t('not_counted')} aside={f.number(result.not_counted.length)}>
          <div class="scroll tall" tabIndex={0} role="group" aria-label={t('not_counted')}><table>
            <thead><tr><th>{t('animal')}</th><th>{t('reason')}</th><th>{t('score')}</th></tr></thead>
            <tbody>{result.not_counted.map((x) => (
              <tr key={x.id} class={picked === x.id ? 'picked' : ''}><td><button class="link" type="button" onClick={() => pick(x.id)}>{x.id}</button></td><td>{why(x)}</td><td>{f.number(x.confidence, 2)}</td></tr>))}</tbody>
          </table></div>
        </Card>
      )}
    </>
  );
}

function Line({ x, fps, picked, pick }: { x: Track; fps: number; picked: boolean; pick: (id: number) => void }) {
  const from = x.way[0]?.seconds ?? x.best.frame / (fps || 1);
  const to = x.way[x.way.length - 1]?.seconds ?? from;
  const p = x.position;
  return (
    <tr class={picked ? 'picked' : ''} data-animal={x.id}>
      <td><button class="link" type="button" aria-pressed={picked} title={t('show_in_video')} onClick={() => pick(x.id)}>{x.id}</button></td>
      <td>{x.label}</td><td>{f.clock(from)} – {f.clock(to)}</td><td>{f.number(x.confidence, 2)}</td>
      <td>{p ? `${p.latitude.toFixed(6)}, ${p.longitude.toFixed(6)} ± ${f.metres(p.radius_m)}` : '–'}</td>
    </tr>
  );
}

const reasons: Record<string, Key> = { 'too-brief': 'nc_too_brief', weak: 'nc_weak', 'part-of': 'nc_part_of', 'same-as': 'nc_same_as', outside: 'nc_outside', 'other-animal': 'nc_other_animal', size: 'nc_size' };
const why = (x: NotCounted) => (reasons[x.reason] ? t(reasons[x.reason], { of: x.of ?? '' }) : x.reason);

// Contact shows the pages of crops, one after the other as far as there are any.
function Contact({ base, page }: { base: string; page: number }) {
  const [state, set] = useState<'wait' | 'there' | 'none'>('wait');
  if (state === 'none') return null;
  const src = `${base}/contact/${page}`;
  return (
    <>
      <a class="contact" href={src} target="_blank" rel="noopener" title={t('full_size')}>
        <img class="contact-sheet" src={src} alt={t('contact_note')} loading={page > 1 ? 'lazy' : undefined} onLoad={() => set('there')} onError={() => set('none')} /></a>
      {state === 'there' && <Contact base={base} page={page + 1} />}
    </>
  );
}
