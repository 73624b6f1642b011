// Today: what needs attention, and the latest count of each site and its paddocks. Counts of different times are never added up.
import { change } from '../api';
import { useRead } from '../data';
import * as f from '../format';
import { Act, Age, Card, Empty, Shown } from '../parts/basics';
import { Uploads } from '../parts/uploads';
import { Verdict } from '../parts/verdict';
import { WaitingList } from '../parts/waiting';
import { Warned } from '../parts/warned';
import type { Attention, Latest, Overview, PaddockToday, SiteToday } from '../types';
import { many, t } from '../words';

export function Today() {
  const read = useRead<Overview>('/api/v1/overview', { every: 60_000, events: ['job', 'count', 'flight', 'station', 'footage'] });
  return (
    <>
      <Card id="attention" title={t('needs_attention')} aside={<Age at={read.data?.at} />}>
        <Shown read={read} lines={2}>{(o) => o.attention.length ? <ul class="attention">{o.attention.map((a) => <Item key={keyOf(a)} a={a} done={read.reload} />)}</ul>
          : <p class="calm">{t('nothing_wrong')}</p>}</Shown>
      </Card>
      <Card id="sites" title={t('latest_counts')} aside={<Age at={read.data?.at} />}>
        <Shown read={read}>{(o) => o.sites.some((s) => s.latest) ? <ul class="sites">{o.sites.map((s) => <Site key={s.site} s={s} />)}</ul>
          : <Empty title={t('no_counts')} text={t('no_counts_help')} />}</Shown>
      </Card>
      <WaitingList />
      <Uploads />
    </>
  );
}

const keyOf = (a: Attention) => [a.kind, a.site, a.device, a.footage, a.job, a.flight].join('|');

const linkOf = (a: { footage?: string; flight?: string; device?: string }) =>
  a.flight ? `/flight/${encodeURIComponent(a.flight)}` : a.footage ? `/footage/${encodeURIComponent(a.footage)}` : a.device ? `/stations/${encodeURIComponent(a.device)}` : '';

function Item({ a, done }: { a: Attention; done: () => void }) {
  const href = linkOf(a) || (/worker|queue/.test(a.kind) ? '/queue' : '');
  const act = async () => {
    if (a.action === 'retry') await change('POST', `/api/v1/jobs/${encodeURIComponent(a.job ?? a.footage ?? '')}/retry`);
    else await change('POST', `/api/v1/footage/${encodeURIComponent(a.footage ?? '')}/recount`);
    done();
    return t('queued_again');
  };
  return (
    <li class={`att ${a.severity}`} data-kind={a.kind}>
      <span class={`dot ${a.severity === 'bad' ? 'bad' : 'wait'}`} aria-hidden="true" />
      <span class="att-text"><Warned kind={a.kind} text={a.text} /><span class="meta">{[a.site, a.device, a.since && t('since', { age: f.ago(a.since) })].filter(Boolean).join(' · ')}</span></span>
      <span class="att-do">{(a.action === 'retry' || a.action === 'count') && <Act label={t(a.action === 'retry' ? 'try_again' : 'count_again')} act={act} />}
        {href && <a class="button small" href={href}>{t('show')}</a>}</span>
    </li>
  );
}

function Site({ s }: { s: SiteToday }) {
  const l = s.latest;
  return (
    <li class="site" data-site={s.site}>
      <h3><a href={`/flights?site=${encodeURIComponent(s.site)}`}>{s.site}</a></h3>
      {l ? (
        <>
          <p class="result"><a href={linkOf(l)}><b>{f.number(l.unique)}</b></a> <span>{t('interval_long', { low: f.number(l.low), high: f.number(l.high) })}</span></p>
          <p class="muted">{dated(l)}</p>
          <p class="muted">{changed(s)}</p>
        </>
      ) : <p class="muted">{t('no_counts')}</p>}
      <p class="muted">{many('flights_week', s.flights)}</p>
      {s.paddocks.length > 0 && <details open={s.paddocks.length <= mostOpen}><summary>{t('pd_by_paddock')}</summary>
        <ul class="paddocks-now">{s.paddocks.map((p) => <Paddock key={p.paddock} site={s.site} p={p} />)}</ul></details>}
    </li>
  );
}

const mostOpen = 12; // paddocks that are shown at once

function Paddock({ site, p }: { site: string; p: PaddockToday }) {
  const name = <a href={`/flights?site=${encodeURIComponent(site)}&paddock=${encodeURIComponent(p.paddock)}`}>{p.paddock}</a>;
  if (!p.latest) return <li data-paddock={p.paddock}>{name}<span class="muted">{t('no_recent_count')}</span></li>;
  const x = p.expected;
  return (
    <li data-paddock={p.paddock}>{name}<span><a href={linkOf(p.latest)}><b>{f.number(p.latest.unique)}</b></a> <span class="muted">({f.interval(p.latest)})</span></span>
      <span class="meta">{[f.ago(p.latest.captured ?? p.latest.counted_at), p.seen < 0.995 && t('seen_part', { n: f.number(p.seen * 100) }), p.previous && p.change !== undefined && changed(p)]
        .filter(Boolean).join(' · ')}{x && <> · {t('book_says', { n: f.number(x.animals) })} <Verdict x={x} /></>}</span>
    </li>
  );
}

const dated = (l: Latest) => l.captured ? t('captured_at', { when: `${f.when(l.captured)} (${f.ago(l.captured)})` }) : t('counted', { when: `${f.when(l.counted_at)} (${f.ago(l.counted_at)})` });

// changed says the difference to the count before, and only where their intervals are apart.
function changed(s: Pick<SiteToday, 'latest' | 'previous' | 'change' | 'agrees'>): string {
  if (!s.previous) return t('first_count');
  const before = f.when(s.previous.captured ?? s.previous.counted_at);
  return s.agrees ? t('no_clear_change', { before }) : t('change', { n: f.signed(s.change ?? s.latest!.unique - s.previous.unique), before });
}
