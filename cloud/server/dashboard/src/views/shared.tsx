// A survey, a flight or footage that somebody shared by a link. The key is behind the # of the address and needs no login;
// the answer sets a cookie that opens the pictures and videos of this link alone.
import { useEffect, useState } from 'preact/hooks';
import { problemFrom } from '../api';
import { Card, Empty } from '../parts/basics';
import { Lazy } from '../parts/lazy';
import { Sheet } from '../parts/sheet';
import * as f from '../format';
import type { Survey } from '../types';
import { t } from '../words';
import { Report } from './surveys';

type Doc = { id: string; of: 'survey' | 'flight' | 'footage'; survey: Survey; names: string[]; video: boolean; expires: string; shared_by?: string };

const sharedMap = () => import('../parts/sharedmap');

export default function SharedView() {
  const [read, setRead] = useState<{ doc?: Doc; at?: number; why?: string }>({});
  useEffect(() => {
    const load = async () => {
      try {
        const r = await fetch('/api/v1/shared', { headers: { 'X-Share-Key': location.hash.slice(1) }, cache: 'no-store', credentials: 'same-origin' });
        const text = await r.text();
        if (!r.ok) throw problemFrom(r.status, text);
        setRead({ doc: JSON.parse(text), at: Date.now() });
      } catch (err) { setRead({ why: (err as Error).message }); }
    };
    void load();
    addEventListener('hashchange', load);
    return () => removeEventListener('hashchange', load);
  }, []);
  if (read.why) return <Card id="shared" title={t('sh_shared')}><Empty title={t('cannot_load')} text={read.why} /></Card>;
  if (!read.doc) return <div class="skeleton" aria-busy="true" style="--lines:8" />;
  const { doc } = read;
  const base = `/api/v1/shared/${encodeURIComponent(doc.id)}`;
  const title = doc.of === 'survey' ? undefined : doc.names.length === 1 ? doc.names[0] : t('sh_flight_of', { site: doc.survey.site });
  return (
    <>
      <p class="muted" id="shared-by">{[t('sh_shared'), doc.shared_by, t('sh_until', { when: f.when(doc.expires) })].filter(Boolean).join(' · ')}</p>
      <Report v={doc.survey} at={read.at} pages={base} title={title} />
      {doc.of !== 'survey' && <Parts doc={doc} base={base} />}
    </>
  );
}

// Parts are the videos, sheets and maps of a flight.
function Parts({ doc, base }: { doc: Doc; base: string }) {
  return (
    <>
      {doc.of === 'flight' && <Sheet src={`${base}/sheet`} title={t('sheet')} note={t('sheet_note')} />}
      {doc.survey.parts.map((p, i) => {
        const at = `${base}/footage/${encodeURIComponent(p.footage)}`;
        return (
          <div key={p.footage} class="stack">
            {doc.video && <Clip src={`${at}/video`} name={doc.names[i]} />}
            {doc.of === 'footage' && <Sheet src={`${at}/sheet`} title={t('sheet')} note={t('sheet_note')} />}
            {p.placed > 0 && <Lazy load={sharedMap} props={{ src: `${at}/positions`, name: doc.names[i] }} />}
          </div>
        );
      })}
    </>
  );
}

function Clip({ src, name }: { src: string; name: string }) {
  const [missing, setMissing] = useState(false);
  if (missing) return null;
  return <Card id="film-card" title={t('video_of', { name })}><video class="film" src={src} controls preload="metadata" playsInline aria-label={t('video_of', { name })} onError={() => setMissing(true)} /></Card>;
}
