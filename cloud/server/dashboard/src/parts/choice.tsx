// Choice is a small select that sends what is chosen. It shows the reason when that fails, and then the old value.
import { useState } from 'preact/hooks';
import { Declined } from '../api';
import { say } from './say';

export function Choice(p: { label: string; value: string; options: [string, string][]; set: (v: string) => Promise<string | void> }) {
  const [sent, setSent] = useState<string>();
  const [why, setWhy] = useState('');
  const choose = async (e: Event) => {
    const v = (e.target as HTMLSelectElement).value;
    setSent(v);
    setWhy('');
    try {
      const done = await p.set(v);
      if (done) say(done);
    } catch (err) {
      if (!(err instanceof Declined)) setWhy((err as Error).message);
    }
    setSent(undefined);
  };
  const shown = sent ?? p.value;
  return (
    <span class="act">
      {why && <span role="alert" class="why">{why}</span>}
      <select class="choice" aria-label={p.label} value={shown} disabled={sent !== undefined} onChange={choose}>
        {p.options.map(([v, text]) => <option key={v} value={v} selected={v === shown}>{text}</option>)}
      </select>
    </span>
  );
}
