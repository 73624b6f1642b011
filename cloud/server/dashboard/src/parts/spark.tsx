/** Spark is a small line of past values. */
export function Spark({ values, label }: { values: number[]; label: string }) {
  const low = Math.min(...values), high = Math.max(...values);
  const y = (v: number) => (high === low ? 10 : 18 - ((v - low) / (high - low)) * 16);
  const points = values.map((v, i) => `${((i / (values.length - 1)) * 100).toFixed(1)},${y(v).toFixed(1)}`).join(' ');
  return <svg class="spark" viewBox="0 0 100 20" preserveAspectRatio="none" role="img" aria-label={label}><polyline points={points} /></svg>;
}
