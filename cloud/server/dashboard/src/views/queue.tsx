// Workers and queue: what is counted now, what waits, what was given up.
import { change } from '../api';
import { useRead } from '../data';
import * as f from '../format';
import { Act, Age, Badge, Card, Empty, Shown } from '../parts/basics';
import type { Queue as Doc, QueueJob } from '../types';
import { t } from '../words';

export default function Queue() {
  const read = useRead<Doc>('/api/v1/queue', { every: 15_000, events: ['job'] });
  return (
    <Shown read={read} lines={6}>{(q) => (
      <>
        <dl class="sums three">
          <div><dt>{t('waiting_jobs')}</dt><dd>{f.number(q.waiting)}</dd></div>
          <div><dt>{t('running_jobs')}</dt><dd>{f.number(q.leased)}</dd></div>
          <div><dt>{t('workers')}</dt><dd>{f.number(q.workers.length)}</dd></div>
        </dl>
        <Card id="workers" title={t('workers')} aside={<Age at={read.at} />}>
          {q.workers.length ? <div class="scroll"><table><thead><tr><th>{t('worker')}</th><th>{t('job')}</th><th>{t('since_h')}</th></tr></thead>
            <tbody>{q.workers.map((w) => <tr key={w.worker}><td>{w.worker}</td><td>{w.job ?? '–'}</td><td>{f.ago(w.since)}</td></tr>)}</tbody></table></div>
            : <Empty title={t('no_workers')} />}
        </Card>
        <Card id="jobs" title={t('queue')} aside={<>{q.oldest_waiting && t('oldest_waiting', { age: f.ago(q.oldest_waiting) })} <Age at={read.at} /></>}>
          {q.jobs.length ? <ul class="list">{q.jobs.map((j) => <JobRow key={j.job} j={j} done={read.reload} />)}</ul> : <Empty title={t('no_jobs')} text={t('no_jobs_help')} />}
        </Card>
      </>
    )}</Shown>
  );
}

function JobRow({ j, done }: { j: QueueJob; done: () => void }) {
  const post = (what: 'retry' | 'cancel') => async () => {
    await change('POST', `/api/v1/jobs/${encodeURIComponent(j.job)}/${what}`);
    done();
    return t(what === 'retry' ? 'queued_again' : 'canceled_said');
  };
  return (
    <li class="job-row" data-job={j.job}>
      <span class="who"><a class="name" href={`/footage/${encodeURIComponent(j.footage)}`}>{j.name}</a>
        <span class="meta">{[j.worker, `${t('attempt')} ${j.attempt}`, f.ago(j.since)].filter(Boolean).join(' · ')}</span>
        {j.reason && <span class="reason">{j.reason}</span>}</span>
      <span class="work"><span class="work-line"><Badge state={j.state} />{j.state === 'processing' && <span>{Math.floor(j.percent)} % · {t('fps', { n: f.number(j.fps, 1) })}</span>}</span>
        {j.state === 'processing' && <progress max={100} value={j.percent} aria-label={t('progress_of_count')} />}</span>
      <span class="att-do">{f.retryable(j.state) && <Act label={t('try_again')} act={post('retry')} />}{!f.ended(j.state) && <Act label={t('cancel')} act={post('cancel')} />}</span>
    </li>
  );
}
