// Workers and queue: what is counted now, what waits and in which order, what was given up.
import { change } from '../api';
import { useRead } from '../data';
import * as f from '../format';
import { Act, Age, Badge, Card, Empty, Shown } from '../parts/basics';
import { Choice } from '../parts/choice';
import { Models, short } from '../parts/models';
import type { Queue as Doc, QueueJob, QueueWorker } from '../types';
import { t, type Key } from '../words';

export default function Queue() {
  const read = useRead<Doc>('/api/v1/queue', { every: 15_000, events: ['job'] });
  return (
    <Shown read={read} lines={6}>{(q) => (
      <>
        <Card id="workers" title={t('workers')} aside={<Age at={read.at} />}>
          <dl class="sums three inside">
            <div><dt>{t('waiting_jobs')}</dt><dd>{f.number(q.waiting)}</dd></div>
            <div><dt>{t('running_jobs')}</dt><dd>{f.number(q.leased)}</dd></div>
            <div><dt>{t('workers')}</dt><dd>{f.number(q.workers.length)}</dd></div>
          </dl>
          {q.workers.length ? <ul class="list">{q.workers.map((w) => <WorkerRow key={w.worker} w={w} j={q.jobs.find((j) => j.job === w.job)} />)}</ul>
            : <Empty title={t('no_workers')} />}
        </Card>
        <Card id="jobs" title={t('queue')} aside={<>{q.oldest_waiting && t('oldest_waiting', { age: f.ago(q.oldest_waiting) })} <Age at={read.at} /></>}>
          {q.jobs.length ? <ul class="list">{q.jobs.map((j) => <JobRow key={j.job} j={j} done={read.reload} />)}</ul> : <Empty title={t('no_jobs')} text={t('no_jobs_help')} />}
        </Card>
        <Models />
      </>
    )}</Shown>
  );
}

// WorkerRow says what a worker works on and how fast, or since when it has nothing to do.
function WorkerRow({ w, j }: { w: QueueWorker; j?: QueueJob }) {
  return (
    <li class="job-row" data-worker={w.worker}>
      <span class="who"><span class="name">{w.worker}</span>
        <span class="meta wrap">{[w.job ? t('wk_busy', { age: f.ago(w.since) }) : t('wk_idle', { age: f.ago(w.since) }), w.model && short(w.model)].filter(Boolean).join(' · ')}</span></span>
      <span class="work">{j ? <><a class="name" href={`/footage/${encodeURIComponent(j.footage)}`}>{j.name}</a>
        <span class="meta">{j.state === 'processing' ? `${Math.floor(j.percent)} % · ${t('fps', { n: f.number(j.fps, 1) })}` : t('st_starting')}</span></> : <span class="muted">{w.job ?? '–'}</span>}</span>
    </li>
  );
}

// Priorities that the page offers; the API takes any from -9 to 9.
const priorities: [number, Key][] = [[9, 'pr_next'], [5, 'pr_high'], [0, 'pr_normal'], [-5, 'pr_low']];

function Priority({ j, done }: { j: QueueJob; done: () => void }) {
  const now = j.priority ?? 0;
  const options = priorities.map(([n, key]): [string, string] => [String(n), t(key)]);
  if (!priorities.some(([n]) => n === now)) options.push([String(now), t('pr_number', { n: now })]);
  const set = async (v: string) => {
    await change('PUT', `/api/v1/jobs/${encodeURIComponent(j.job)}/priority`, { priority: Number(v) });
    done();
    return t('pr_set', { name: j.name });
  };
  return <Choice label={t('pr_of', { name: j.name })} value={String(now)} options={options} set={set} />;
}

function JobRow({ j, done }: { j: QueueJob; done: () => void }) {
  const post = (what: 'retry' | 'cancel') => async () => {
    await change('POST', `/api/v1/jobs/${encodeURIComponent(j.job)}/${what}`);
    done();
    return t(what === 'retry' ? 'queued_again' : 'canceled_said');
  };
  const waits = j.state === 'queued' || j.state === 'uploaded';
  return (
    <li class="job-row" data-job={j.job}>
      <span class="who"><a class="name" href={`/footage/${encodeURIComponent(j.footage)}`}>{j.name}</a>
        <span class="meta wrap">{[j.worker, j.attempt > 0 && `${t('attempt')} ${j.attempt}`, f.ago(j.since), j.model && !j.no_model && short(j.model)].filter(Boolean).join(' · ')}</span>
        {j.no_model && <span class="reason">{t('md_missing', { model: short(j.model!) })}</span>}
        {j.reason && <span class="reason">{j.reason}</span>}</span>
      <span class="work"><span class="work-line"><Badge state={j.state} />{j.state === 'processing' && <span>{Math.floor(j.percent)} % · {t('fps', { n: f.number(j.fps, 1) })}</span>}</span>
        {j.state === 'processing' && <progress max={100} value={j.percent} aria-label={t('progress_of_count')} />}</span>
      <span class="att-do">{waits && <Priority j={j} done={done} />}{f.retryable(j.state) && <Act label={t('try_again')} act={post('retry')} />}{!f.ended(j.state) && <Act label={t('cancel')} act={post('cancel')} />}</span>
    </li>
  );
}
