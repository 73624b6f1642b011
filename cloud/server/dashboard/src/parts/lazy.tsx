// A view that is loaded when it is first shown.
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { t } from '../words';
import { Empty } from './basics';

type Load = () => Promise<{ default: ComponentType<any> }>;
const loaded = new Map<Load, ComponentType<any>>();

export function Lazy({ load, props, redraw }: { load: Load; props: object; redraw?: () => void }) {
  const [state, set] = useState<{ failed?: Error }>({});
  useEffect(() => {
    if (loaded.has(load)) return;
    let gone = false;
    load().then((m) => { loaded.set(load, m.default); if (!gone) set({}); }, (failed) => { if (!gone) set({ failed }); });
    return () => { gone = true; };
  }, [load]);
  const View = loaded.get(load);
  if (View) return <View {...props} redraw={redraw} />;
  return <div class="card">{state.failed ? <Empty title={t('cannot_load')} text={state.failed.message} /> : <div class="skeleton" aria-busy="true" />}</div>;
}
