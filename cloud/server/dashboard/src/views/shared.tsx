// A survey that somebody shared by a link. The key is behind the # of the address and needs no login.
import { useEffect, useState } from 'preact/hooks';
import { problemFrom } from '../api';
import { Card, Empty } from '../parts/basics';
import * as f from '../format';
import type { Survey } from '../types';
import { t } from '../words';
import { Report } from './surveys';

type Doc = { survey: Survey; expires: string; shared_by?: string };

export default function SharedView() {
  const [read, setRead] = useState<{ doc?: Doc; at?: number; why?: string }>({});
  useEffect(() => {
    const load = async () => {
      try {
        const r = await fetch('/api/v1/shared', { headers: { 'X-Share-Key': location.hash.slice(1) }, cache: 'no-store', credentials: 'omit' });
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
  return (
    <>
      <p class="muted" id="shared-by">{[t('sh_shared'), read.doc.shared_by, t('sh_until', { when: f.when(read.doc.expires) })].filter(Boolean).join(' · ')}</p>
      <Report v={read.doc.survey} at={read.at} />
    </>
  );
}
