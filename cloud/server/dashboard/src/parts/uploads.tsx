// The card to add footage, with the uploads of this browser.
import { useEffect, useState } from 'preact/hooks';
import { useRead } from '../data';
import { session } from '../session';
import type { Page } from '../types';
import { t } from '../words';
import { Select } from './basics';
import { add, cancel, listUnfinished, setUploadSite, toggle, transfers, uploadSite, watch, type Transfer } from './transfers';

export function Uploads() {
  const [, draw] = useState(0);
  const [over, setOver] = useState(false);
  useEffect(() => watch(() => draw((n) => n + 1)), []);
  useEffect(() => { listUnfinished(); }, []);
  useEffect(() => dropZone(setOver), []);
  const choose = (e: Event) => { const input = e.target as HTMLInputElement; add([...(input.files ?? [])]); input.value = ''; };
  return (
    <section class="card upload" aria-labelledby="upload-title">
      <div id="drop" class={`drop ${over ? 'over' : ''}`}>
        <svg class="drop-icon" viewBox="0 0 24 24" aria-hidden="true"><path d="M12 16V4m0 0L7.500 8.500M12 4l4.500 4.500M4 15v3a2 2 0 0 0 2 2h12a2 2 0 0 0 2-2v-3" /></svg>
        <div class="drop-text"><h2 id="upload-title">{t('add_footage')}</h2><p>{t('drop_here')}</p></div>
        <Site />
        <label class="button primary" for="files">{t('choose')}
          <input id="files" type="file" multiple accept="video/*,.mp4,.mov,.mkv,.avi,.ts" class="hidden-input" onChange={choose} />
        </label>
      </div>
      <ul id="uploads" class="uploads" aria-label={t('uploads')}>{transfers.map((x) => <Up key={x.id} x={x} />)}</ul>
    </section>
  );
}

// Site chooses where the footage belongs to, for a person with several sites.
function Site() {
  const mine = session().sites ?? [];
  const every = mine.includes('*');
  const devices = useRead<Page<{ site: string }>>(every ? '/api/v1/devices' : '');
  const [, draw] = useState(0);
  const sites = every ? [...new Set((devices.data?.items ?? []).map((d) => d.site))].filter((s) => s && s !== '*').sort() : mine;
  if (sites.length < 2) return null;
  if (!sites.includes(uploadSite)) setUploadSite(sites[0]);
  return <Select label={t('site')} value={uploadSite} options={sites.map((s): [string, string] => [s, s])} onChange={(s) => { setUploadSite(s); draw((n) => n + 1); }} />;
}

// dropZone takes files that are dropped anywhere on the page.
function dropZone(setOver: (over: boolean) => void): () => void {
  let depth = 0;
  const files = (e: DragEvent) => e.dataTransfer?.types.includes('Files');
  const stop = new AbortController();
  const listen = (kind: 'dragenter' | 'dragleave' | 'dragover' | 'drop', f: (e: DragEvent) => void) => addEventListener(kind, f, { signal: stop.signal });
  listen('dragenter', (e) => { if (files(e)) { depth++; setOver(true); } });
  listen('dragleave', (e) => { if (files(e) && --depth <= 0) { depth = 0; setOver(false); } });
  listen('dragover', (e) => { if (files(e)) e.preventDefault(); });
  listen('drop', (e) => {
    if (!files(e)) return;
    e.preventDefault();
    depth = 0;
    setOver(false);
    add([...e.dataTransfer!.files]);
  });
  return () => stop.abort();
}

function Up({ x }: { x: Transfer }) {
  return (
    <li class={`up ${x.failed ? 'failed' : ''}`} data-unfinished={x.stored ? `${x.name}:${x.size}` : undefined}>
      <span class="up-name" title={x.name}>{x.name}</span>
      <span class="up-line">{x.line}</span>
      {!x.done && (
        <span class="up-actions">
          {!x.stored && (!x.failed || x.again) && <button class="button small" type="button" onClick={() => toggle(x)}>{t(x.failed ? 'try_again' : x.paused ? 'resume' : 'pause')}</button>}
          <button class="button small" type="button" onClick={() => cancel(x)}>{t(x.failed || x.stored ? 'remove' : 'cancel')}</button>
        </span>
      )}
      {x.share !== undefined && <progress max={1} value={x.share} aria-label={t('upload_of', { name: x.name })} />}
    </li>
  );
}
