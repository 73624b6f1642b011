// Small parts that several views use.
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { Declined } from '../api';
import type { Read } from '../data';
import * as f from '../format';
import { t } from '../words';
import { say } from './say';

/** Age says how old the figures of a part of the page are. */
export const Age = ({ at }: { at?: number | string }) => (at ? <span class="age muted">{t('as_of', { age: f.ago(at) })}</span> : null);

/** Card is a titled part of a view. aside stands beside the title. */
export function Card(p: { id: string; title: string; aside?: ComponentChildren; children: ComponentChildren; class?: string }) {
  return (
    <section class={`card ${p.class ?? ''}`} aria-labelledby={`${p.id}-title`} id={p.id}>
      <div class="section-head"><h2 id={`${p.id}-title`}>{p.title}</h2><span class="aside">{p.aside}</span></div>
      {p.children}
    </section>
  );
}

export const Empty = ({ title, text, children }: { title: string; text?: string; children?: ComponentChildren }) => (
  <div class="empty"><strong>{title}</strong>{text}{children}</div>
);

/** Shown draws what was read: the error, the place of what is still read, or the data. */
export function Shown<T>({ read, lines = 3, children }: { read: Read<T>; lines?: number; children: (data: T) => ComponentChildren }) {
  if (read.data === undefined) {
    if (read.error) return <Empty title={t('cannot_load')} text={read.error.message} />;
    return <div class="skeleton" aria-busy="true" style={`--lines:${lines}`} />;
  }
  return (
    <>
      {read.kept && <p class="stale" role="status">{t('offline_copy', { age: f.ago(read.at) })}</p>}
      {children(read.data)}
    </>
  );
}

/** Act is a button that sends something. It shows the reason when it fails. */
export function Act(p: { label: string; act: () => Promise<string | void>; class?: string; data?: Record<string, string> }) {
  const [busy, setBusy] = useState(false);
  const [why, setWhy] = useState('');
  const run = async () => {
    setBusy(true);
    setWhy('');
    try {
      const done = await p.act();
      if (done) say(done);
    } catch (err) {
      if (!(err instanceof Declined)) setWhy((err as Error).message);
    }
    setBusy(false);
  };
  return (
    <span class="act">
      {why && <span role="alert" class="why">{why}</span>}
      <button class={p.class ?? 'button small'} type="button" disabled={busy} onClick={run} {...p.data}>{p.label}</button>
    </span>
  );
}

export const Badge = ({ state }: { state?: string }) => {
  const [label, kind] = f.state(state);
  return <span class={`badge ${kind}`} data-state={state ?? ''}>{label}</span>;
};

/** Select is a labelled choice. */
export function Select(p: { label: string; value: string; options: [string, string][]; onChange: (v: string) => void }) {
  return (
    <label class="field">{p.label}
      <select value={p.value} onChange={(e) => p.onChange((e.target as HTMLSelectElement).value)}>
        {p.options.map(([v, text]) => <option value={v} key={v} selected={v === p.value}>{text}</option>)}
      </select>
    </label>
  );
}
