// The animals of a count in each paddock.
import * as f from '../format';
import type { PaddockCount } from '../types';
import { t } from '../words';
import { Card } from './basics';

export function ByPaddock({ paddocks }: { paddocks?: PaddockCount[] }) {
  if (!paddocks?.length) return null;
  return (
    <Card id="by-paddock" title={t('pd_by_paddock')}>
      <div class="scroll" tabIndex={0} role="group" aria-label={t('pd_by_paddock')}><table>
        <thead><tr><th>{t('pd_paddock')}</th><th>{t('count')}</th><th>{t('pd_interval')}</th><th>{t('pd_seen')}</th><th>{t('pd_border')}</th></tr></thead>
        <tbody>{paddocks.map((p) => <tr key={p.name}><td>{p.name}</td><td>{p.animals === null ? t('pd_not_placed') : f.number(p.animals)}</td>
          <td>{p.low === null || p.high === null ? '–' : f.interval({ low: p.low, high: p.high })}</td><td>{f.number(p.seen * 100)} %</td><td>{f.number(p.border + p.near)}</td></tr>)}</tbody>
      </table></div>
    </Card>
  );
}
