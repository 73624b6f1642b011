// The frame of a view: it keeps the view's place and shows the view when its first reads have been answered.
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { whenRead } from '../opening';

const shown = new Set<string>(); // a view that is opened again has its figures in memory

export function Opening({ id, children }: { id: string; children: ComponentChildren }) {
  const [, draw] = useState(0);
  useEffect(() => shown.has(id) ? undefined : whenRead(() => { shown.add(id); draw((n) => n + 1); }), [id]);
  const waits = !shown.has(id);
  return (
    <>
      {waits && <div class="opening card" aria-busy="true"><div class="skeleton" style="--lines:8" /></div>}
      <div class={waits ? 'waits' : undefined}>{children}</div>
    </>
  );
}
