// A view that is loaded when it is first shown.
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { ahead } from '../data';
import { t } from '../words';
import { reading } from '../opening';
import { Empty } from './basics';

type Load = () => Promise<{ default: ComponentType<any> }>;
const loaded = new Map<Load, ComponentType<any>>();

/**
 * Lazy draws what load brings. A view waits for it with its first reads, unless it is late: heavy and below the rest. first is
 * what it reads first: that is read while the code loads. */
export function Lazy({ load, props, first, late, redraw }: { load: Load; props: object; first?: string; late?: boolean; redraw?: () => void }) {
  const [state, set] = useState<{ failed?: Error }>({});
  useEffect(() => {
    if (loaded.has(load)) return;
    let gone = false;
    if (first) ahead(first);
    (late ? load() : reading(load())).then((m) => { loaded.set(load, m.default); if (!gone) set({}); }, (failed) => { if (!gone) set({ failed }); });
    return () => { gone = true; };
  }, [load]);
  const View = loaded.get(load);
  if (View) return <View {...props} redraw={redraw} />;
  return <div class="card">{state.failed ? <Empty title={t('cannot_load')} text={state.failed.message} /> : <div class="skeleton" aria-busy="true" />}</div>;
}
