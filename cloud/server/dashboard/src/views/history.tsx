// History: the counts of each site over time with their intervals. Every chart has its table.
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { useRead } from '../data';
import * as f from '../format';
import { Age, Card, Empty, Select, Shown } from '../parts/basics';
import { stylesheet } from '../parts/stylesheet';
import { setQuery, useAddress } from '../router';
import type { HistoryItem, Page } from '../types';
import { t } from '../words';

stylesheet('/chart.css');

export default function History() {
  const { query } = useAddress();
  const days = query.get('days') || '90';
  const site = query.get('site') ?? '';
  const path = `/api/v1/history?${new URLSearchParams({ days, ...(site ? { site } : {}) })}`;
  const read = useRead<Page<HistoryItem>>(path, { events: ['count', 'flight'] });
  const all = useRead<Page<HistoryItem>>(`/api/v1/history?days=${days}`);
  const sites = [...new Set((all.data?.items ?? []).map((i) => i.site))].sort();
  return (
    <Card id="history" title={t('herd_over_time')} aside={<><a href={`${path}&format=csv`} download="">CSV</a> <Age at={read.at} /></>}>
      <div class="filters">
        <Select label={t('site')} value={site} onChange={(v) => setQuery({ site: v })} options={[['', t('all')], ...sites.map((s): [string, string] => [s, s])]} />
        <Select label={t('days')} value={days} onChange={(v) => setQuery({ days: v })} options={['7', '30', '90', '365', '1825'].map((d): [string, string] => [d, d])} />
      </div>
      <Shown read={read} lines={8}>{(d) => d.items.length === 0 ? <Empty title={t('no_history')} /> : <>
        {[...new Set(d.items.map((i) => i.site))].sort().map((s) => <Site key={s} site={s} items={d.items.filter((i) => i.site === s)} />)}
      </>}</Shown>
    </Card>
  );
}

function Site({ site, items }: { site: string; items: HistoryItem[] }) {
  const sorted = [...items].sort((a, b) => (a.at < b.at ? -1 : 1));
  return (
    <section class="pad" data-site={site} aria-label={site}>
      <h3>{site}</h3>
      <Chart site={site} items={sorted} />
      <details><summary>{t('table')}</summary><div class="scroll" tabIndex={0} role="group" aria-label={site}><table>
        <thead><tr><th>{t('date')}</th><th>{t('count')}</th><th>{t('low')}</th><th>{t('high')}</th></tr></thead>
        <tbody>{sorted.toReversed().map((i) => <tr key={i.at + (i.footage ?? i.flight)}><td><a href={i.flight ? `/flight/${encodeURIComponent(i.flight)}` : `/footage/${encodeURIComponent(i.footage ?? '')}`}>{f.when(i.at)}</a></td><td>{f.number(i.unique)}</td><td>{f.number(i.low)}</td><td>{f.number(i.high)}</td></tr>)}</tbody>
      </table></div></details>
    </section>
  );
}

const color = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function Chart({ site, items }: { site: string; items: HistoryItem[] }) {
  const at = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const el = at.current!;
    const ink = color('--soft');
    const axis = { stroke: ink, grid: { stroke: color('--line') }, ticks: { stroke: color('--line') } };
    const plot = new uPlot({
      width: el.clientWidth, height: 240, legend: { show: false }, cursor: { y: false },
      scales: { y: { range: (_u, _lo, hi) => [0, Math.max(1, hi * 1.1)] } },
      axes: [axis, { ...axis, size: 48 }],
      series: [{}, { stroke: 'transparent', points: { show: false } }, { stroke: 'transparent', points: { show: false } }, { stroke: color('--green'), width: 2, points: { show: true, size: 7, fill: color('--green') } }],
      bands: [{ series: [2, 1], fill: color('--green-soft') }],
    }, [items.map((i) => Date.parse(i.at) / 1000), items.map((i) => i.low), items.map((i) => i.high), items.map((i) => i.unique)], el);
    const fit = new ResizeObserver(() => plot.setSize({ width: el.clientWidth, height: 240 }));
    fit.observe(el);
    return () => { fit.disconnect(); plot.destroy(); };
  }, [items]);
  return <div class="chart" ref={at} role="img" aria-label={t('chart_of', { site })} />;
}
