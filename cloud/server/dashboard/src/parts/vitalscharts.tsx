// Charts of a station's readings of the last day, each with its table. Loaded when the page of a station is opened.
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import * as f from '../format';
import type { VitalsPoint } from '../types';
import { t, type Key } from '../words';
import { Empty } from './basics';
import { stylesheet } from './stylesheet';

stylesheet('/chart.css');

type Reading = { key: keyof VitalsPoint; title: Key; shown: (n: number) => string };
const readings: Reading[] = [
  { key: 'disk_free', title: 'disk_free', shown: f.bytes },
  { key: 'spool_percent', title: 'spool', shown: (n) => `${f.number(n, 1)} %` },
  { key: 'temperature_c', title: 'temperature', shown: (n) => `${f.number(n, 1)} °C` },
  { key: 'clock_offset_seconds', title: 'clock', shown: (n) => `${f.number(n, 1)} s` },
];
const mostRows = 100;

export default function VitalsCharts({ history }: { history: VitalsPoint[] }) {
  const shown = readings.filter((r) => history.filter((h) => typeof h[r.key] === 'number').length > 0);
  if (shown.length === 0) return <Empty title={t('vc_none')} />;
  return (
    <div class="charts">{shown.map((r) => {
      const points = history.filter((h) => typeof h[r.key] === 'number').map((h) => ({ at: h.at, value: h[r.key] as number }));
      return (
        <figure key={r.key} data-reading={r.key}>
          <figcaption>{t(r.title)}: <b>{r.shown(points.at(-1)!.value)}</b> <span class="age muted">{t('as_of', { age: f.ago(points.at(-1)!.at) })}</span></figcaption>
          <Chart reading={r} points={points} />
          <details><summary>{t('table')}</summary><div class="scroll tall" tabIndex={0} role="group" aria-label={t(r.title)}><table>
            <thead><tr><th>{t('date')}</th><th>{t(r.title)}</th></tr></thead>
            <tbody>{points.slice(-mostRows).reverse().map((p) => <tr key={p.at}><td>{f.when(p.at)}</td><td>{r.shown(p.value)}</td></tr>)}</tbody>
          </table></div></details>
        </figure>
      );
    })}</div>
  );
}

const color = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const height = 130;

function Chart({ reading, points }: { reading: Reading; points: { at: string; value: number }[] }) {
  const at = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const el = at.current!;
    const axis = { stroke: color('--soft'), grid: { stroke: color('--line') }, ticks: { stroke: color('--line') } };
    const plot = new uPlot({
      width: el.clientWidth, height, legend: { show: false }, cursor: { y: false },
      scales: { x: { range: () => [Date.now() / 1000 - 86_400, Date.now() / 1000] } },
      axes: [axis, { ...axis, size: 70, values: (_u, all) => all.map((n) => reading.shown(n)) }],
      series: [{}, { stroke: color('--green'), width: 2, points: { show: points.length === 1 } }],
    }, [points.map((p) => Date.parse(p.at) / 1000), points.map((p) => p.value)], el);
    const fit = new ResizeObserver(() => plot.setSize({ width: el.clientWidth, height }));
    fit.observe(el);
    return () => { fit.disconnect(); plot.destroy(); };
  }, [points.length, points.at(-1)?.at]);
  return <div class="chart" ref={at} role="img" aria-label={`${t(reading.title)}, ${t('day')}`} />;
}
