// What a count says about the number in the book.
import type { Expected } from '../types';
import { t, type Key } from '../words';

const verdicts: Record<Expected['verdict'], [Key, string]> = { agrees: ['vd_agrees', 'good'], fewer: ['vd_fewer', 'bad'], more: ['vd_more', 'wait'], part_seen: ['vd_part_seen', ''], not_seen: ['vd_not_seen', ''] };

export function Verdict({ x }: { x: Expected }) {
  const [key, kind] = verdicts[x.verdict];
  return <span class={`badge ${kind}`}>{t(key)}</span>;
}
