// Two counts side by side.
import { useRead } from '../data';
import * as f from '../format';
import { Age, Card, Empty, Shown } from '../parts/basics';
import { useAddress } from '../router';
import type { Footage } from '../types';
import { t } from '../words';

export default function Compare() {
  const { query } = useAddress();
  const [a, b] = ['a', 'b'].map((k) => query.get(k) ?? '');
  const path = (id: string) => (id ? `/api/v1/footage/${encodeURIComponent(id)}` : '');
  const left = useRead<Footage>(path(a), { events: ['count'] });
  const right = useRead<Footage>(path(b), { events: ['count'] });
  if (!a || !b) return <div class="card"><Empty title={t('compare_title')} text={t('compare_pick')} /></div>;
  const [x, y] = [left.data?.count, right.data?.count];
  return (
    <Card id="compare" title={t('compare_title')} aside={<Age at={left.at} />}>
      <div class="pair">{[left, right].map((read, i) => <Shown key={i} read={read}>{(v) => <Side v={v} />}</Shown>)}</div>
      {x && y && <p class="pad"><strong>{t('difference')}: {f.signed(y.unique - x.unique)}.</strong> {t(x.low <= y.high && y.low <= x.high ? 'overlap' : 'no_overlap')}</p>}
    </Card>
  );
}

function Side({ v }: { v: Footage }) {
  return (
    <div class="pad">
      <h3><a href={`/footage/${encodeURIComponent(v.id)}`}>{v.name || v.id}</a></h3>
      <p class="muted">{[v.site, v.device, f.when(v.captured || v.received)].join(' · ')}</p>
      {v.count ? <p class="result"><b>{f.number(v.count.unique)}</b> <span>{t('interval_long', { low: f.number(v.count.low), high: f.number(v.count.high) })}</span></p> : <p class="muted">{t('no_counts')}</p>}
      <a href={`/api/v1/footage/${encodeURIComponent(v.id)}/sheet`} target="_blank" rel="noopener"><img class="side-sheet" src={`/api/v1/footage/${encodeURIComponent(v.id)}/sheet`} alt={t('sheet_note')} loading="lazy" /></a>
    </div>
  );
}
