// Uploads of stations and other browsers, as the server reports them.
import { useEffect, useState } from 'preact/hooks';
import { get } from '../api';
import { bytes } from '../format';
import { on } from '../live';
import { reading } from '../opening';
import type { Page, Upload } from '../types';
import { t } from '../words';
import { isOwn } from './transfers';

export function Arriving() {
  const [all, setAll] = useState(new Map<string, Upload>());
  useEffect(() => {
    let gone = false;
    const load = () => get<Page<Upload>>('/api/v1/uploads').then((p) => { if (!gone) setAll(new Map(p.items.map((u) => [u.footage, u]))); }, () => { /* the list shows the fault */ });
    const offs = [on('ready', load), on('upload', (u: Upload) => setAll((old) => {
      const next = new Map(old);
      if (u.gone) next.delete(u.footage); else next.set(u.footage, u);
      return next;
    }))];
    reading(load());
    return () => { gone = true; offs.forEach((f) => f()); };
  }, []);
  const videos = [...all.values()].filter((u) => u.kind === 'video' && !isOwn(u.name, u.size));
  if (!videos.length) return null;
  return (
    <ul id="arriving" class="uploads arriving" aria-label={t('arriving')}>
      {videos.map((u) => (
        <li class="up" key={u.footage}><span class="up-name">{u.name || u.footage}</span>
          <span class="up-line">{t('arriving_from', { device: u.device })} · {u.size ? t('up_of', { sent: bytes(u.offset), total: bytes(u.size) }) : bytes(u.offset)}</span>
          <progress max={1} value={u.size ? u.offset / u.size : 0} aria-label={t('upload_of', { name: u.name })} /></li>
      ))}
    </ul>
  );
}
