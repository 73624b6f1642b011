// Footage of which the cloud has only the thumbnail: the video is still at its station.
import { useRead } from '../data';
import * as f from '../format';
import type { Page, Waiting } from '../types';
import { many, t } from '../words';
import { Age, Card } from './basics';

export function WaitingList() {
  const read = useRead<Page<Waiting>>('/api/v1/waiting?limit=24', { every: 20_000, events: ['footage'] }); // no event reports a thumbnail
  const items = read.data?.items ?? [];
  if (!items.length) return null;
  return (
    <Card id="waiting" title={t('waiting_at_stations')} aside={<><span id="waiting-count">{many('pieces', items.length)}{read.data!.next ? ` ${t('and_more')}` : ''}</span> <Age at={read.at} /></>}>
      <ul id="waiting-list" class="waiting">
        {items.map((v) => (
          <li key={v.footage} data-footage={v.footage}>
            <img src={`/api/v1/footage/${encodeURIComponent(v.footage)}/thumbnail`} alt="" loading="lazy" width="160" height="90" />
            <span class="name" title={v.name}>{v.name}</span><span class="meta">{[v.device, f.when(v.captured || v.received)].join(' · ')}</span>
          </li>
        ))}
      </ul>
    </Card>
  );
}
