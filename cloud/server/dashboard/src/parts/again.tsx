// Counts footage again: with the chosen model, or with another one that a worker has.
import { useState } from 'preact/hooks';
import { change } from '../api';
import { useRead } from '../data';
import type { Models } from '../types';
import { t } from '../words';
import { Act } from './basics';
import { short } from './models';

/** Again is a button for some footage, with a choice of the model where there are several. */
export function Again({ footage, label }: { footage: string[]; label: string }) {
  const read = useRead<Models>('/api/v1/models', { aside: true, keep: false });
  const [at, setAt] = useState(-1);
  const usable = (read.data?.models ?? []).filter((m) => m.workers > 0);
  const again = async () => {
    const model = usable[at] && { name: usable[at].name, sha256: usable[at].sha256 };
    for (const id of footage) await change('POST', `/api/v1/footage/${encodeURIComponent(id)}/recount`, model && { model });
    return t('queued_again');
  };
  return (
    <span class="actions again">
      {usable.length > 1 && <select class="choice" aria-label={t('md_with')} data-model="" onChange={(e) => setAt(Number((e.target as HTMLSelectElement).value))}>
        <option value="-1">{t('md_with_chosen')}</option>
        {usable.map((m, i) => <option key={m.name + m.sha256} value={i}>{t('md_with_named', { model: short(m) })}</option>)}
      </select>}
      <Act class="button" label={label} act={again} data={{ 'data-again': '' }} />
    </span>
  );
}
