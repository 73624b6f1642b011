// The review of a count: a verdict on each animal, by click or key. What is reviewed is one count; a later one needs another
// review.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { change } from '../api';
import type { Read } from '../data';
import * as f from '../format';
import type { Result, Review, Reviews, Verdict } from '../types';
import { t, type Key } from '../words';
import { Act, Age, Card } from './basics';
import { Crop } from './crop';

type Props = { result: Result; base: string; read: Read<Reviews>; picked: number; pick: (id: number) => void; draft: Draft };

/** Draft is the review that a person works on. undo takes the last verdict back and returns its animal, 0 for none. */
export type Draft = {
  open: boolean; setOpen: (open: boolean) => void; adding: boolean; setAdding: (adding: boolean) => void;
  verdicts: Verdict[]; rest: boolean; setRest: (rest: boolean) => void; put: (v: Verdict) => void; undo: () => number; reset: (r?: Review) => void; changed: boolean;
};

/** useDraft holds a review while it is worked on. */
export function useDraft(): Draft {
  const [open, setOpen] = useState(false);
  const [adding, setAdding] = useState(false);
  const [rest, setRest] = useState(false);
  const [, draw] = useState(0);
  const steps = useRef<Verdict[][]>([[]]); // keys may come faster than the page is drawn
  const set = (s: Verdict[][]) => { steps.current = s; draw((n) => n + 1); };
  const last = () => steps.current[steps.current.length - 1];
  return {
    open, setOpen, adding, setAdding, verdicts: last(), rest, setRest, changed: steps.current.length > 1,
    put: (v) => set([...steps.current.slice(-mostSteps), v.id ? [...last().filter((x) => x.id !== v.id), v] : [...last(), v]]),
    undo: () => {
      if (steps.current.length < 2) return 0;
      const id = last()[last().length - 1]?.id ?? 0;
      set(steps.current.slice(0, -1));
      return id;
    },
    reset: (r) => { set([r?.animals ?? []]); setRest(r?.rest === 'accepted'); },
  };
}

const mostSteps = 500; // that can be undone

export function ReviewCard({ result, base, read, picked, pick, draft }: Props) {
  const d = read.data;
  const [sampling, setSampling] = useState(false);
  const of = useMemo(() => new Map(draft.verdicts.filter((v) => v.id).map((v) => [v.id!, v])), [draft.verdicts]);
  const tracks = useMemo(() => (sampling ? tenth(result.tracks) : result.tracks), [sampling, result]);
  const others = sampling ? [] : result.not_counted;
  const ids = [...tracks.map((x) => x.id), ...others.map((x) => x.id)];
  const list = useRef<HTMLUListElement>(null);
  const cursor = useRef(picked);
  cursor.current = picked;
  const choose = (id: number) => { cursor.current = id; pick(id); };
  const step = (by: number) => { const id = ids[Math.min(ids.length - 1, Math.max(0, ids.indexOf(cursor.current) + by))]; if (id !== undefined) choose(id); };
  const undo = () => { const id = draft.undo(); if (id) choose(id); };
  const judge = (v: Omit<Verdict, 'id'>) => { if (ids.includes(cursor.current)) { draft.put({ ...v, id: cursor.current }); step(1); } };
  const merge = () => { const at = ids.indexOf(cursor.current); if (at > 0) judge({ verdict: 'accepted', same_as: ids[at - 1] }); };
  const saving = useRef<HTMLDivElement>(null);
  const act: Record<string, () => void> = {
    s: () => saving.current?.querySelector<HTMLButtonElement>('[data-save]')?.click(), j: () => step(1), k: () => step(-1), u: undo, m: merge,
    a: () => judge({ verdict: 'accepted' }), x: () => judge({ verdict: 'rejected' }), o: () => judge({ verdict: 'rejected', class: 'other animal' }),
  };
  useEffect(() => { list.current?.querySelector('.picked')?.scrollIntoView({ block: 'nearest' }); }, [picked]);
  useEffect(() => {
    if (!draft.open) return;
    const keys = (e: KeyboardEvent) => {
      if (e.ctrlKey || e.metaKey || e.altKey || (e.target as Element).closest('input, select, textarea, dialog')) return;
      const f = act[e.key.toLowerCase()];
      if (f) { e.preventDefault(); f(); }
    };
    addEventListener('keydown', keys);
    return () => removeEventListener('keydown', keys);
  });
  const save = async () => {
    const body = { counted: d!.counted, rest: draft.rest ? 'accepted' : undefined, animals: draft.verdicts };
    await change<Reviews>('PUT', `${base}/review`, body);
    draft.reset({ animals: draft.verdicts, rest: draft.rest ? 'accepted' : '' } as Review);
    read.reload();
    return t('rv_saved');
  };
  const start = () => { draft.reset(d?.reviews.filter((r) => r.current).at(-1)); draft.setOpen(true); };
  if (!d) return null;
  return (
    <Card id="review" title={t('review')} aside={<Age at={read.at} />}>
      <div class="pad stack">
        <Summary d={d} base={base} />
        {!draft.open && <p><button class="button" type="button" onClick={start}>{t('start_review')}</button></p>}
        {draft.open && (
          <>
            <p class="muted">{t('review_help')}</p>
            <div class="actions">
              <label><input type="radio" name="which" checked={!sampling} onChange={() => setSampling(false)} /> {t('rv_all')}</label>
              <label><input type="radio" name="which" checked={sampling} onChange={() => setSampling(true)} /> {t('rv_sample')}</label>
              <button class="button small" type="button" aria-pressed={draft.adding} onClick={() => draft.setAdding(!draft.adding)}>{t(draft.adding ? 'rv_adding' : 'rv_add')}</button>
              <button class="button small" type="button" onClick={undo} disabled={!draft.changed}>{t('rv_undo')}</button>
            </div>
            {tracks.some((x) => x.id === picked) && <Crop large base={base} index={result.tracks.findIndex((x) => x.id === picked)} label={`${t('animal')} ${picked}`} />}
            <ul class="judge scroll tall" ref={list} aria-label={t('animals_list')}>
              {tracks.map((x, i) => <Judge key={x.id} id={x.id} was={t('rv_counted')} v={of.get(x.id)} picked={x.id === picked} pick={choose} judge={draft.put} above={ids[i - 1]}
                crop={<Crop base={base} index={result.tracks.indexOf(x)} label={`${t('animal')} ${x.id}`} />} />)}
              {others.map((x, i) => <Judge key={x.id} id={x.id} was={t('not_counted')} v={of.get(x.id)} picked={x.id === picked} pick={choose} judge={draft.put} above={ids[tracks.length + i - 1]} />)}
            </ul>
            <Added draft={draft} />
            {sampling && <Says tracks={tracks.map((x) => x.id)} of={of} />}
            <div class="actions" ref={saving}>
              {!sampling && <label><input type="checkbox" checked={draft.rest} onChange={(e) => draft.setRest((e.target as HTMLInputElement).checked)} /> {t('rv_rest')}</label>}
              <Act class="button primary" label={t('rv_save')} act={save} data={{ 'data-save': '' }} />
              {draft.changed && <span class="muted">{t('rv_unsaved')}</span>}
            </div>
          </>
        )}
      </div>
    </Card>
  );
}

// Summary is the automatic count beside the audited ones.
function Summary({ d, base }: { d: Reviews; base: string }) {
  return (
    <>
      <dl class="audits">
        <div><dt>{t('rv_automatic')}</dt><dd><b>{f.number(d.unique)}</b> {f.interval(d)}</dd></div>
        {d.reviews.map((r) => (
          <div key={r.reviewer}><dt>{t('rv_by', { who: r.reviewer, when: f.when(r.updated) })}</dt>
            <dd><b>{f.number(r.unique)}</b> {r.current ? t('rv_judged', { n: f.number(r.judged), all: f.number(r.tracks) }) : t('rv_stale')}
              {r.current && <> <a href={`${base}/review.json?reviewer=${encodeURIComponent(r.reviewer)}`} download="">{t('rv_file')}</a></>}</dd></div>
        ))}
      </dl>
      {!d.reviews.length && <p class="muted">{t('rv_none')}</p>}
      {d.agreement && <p>{t('rv_agree', { a: d.agreement.reviewers[0], b: d.agreement.reviewers[1], same: f.number(d.agreement.same), all: f.number(d.agreement.tracks) })}
        {d.agreement.differ.length > 0 && ` ${t('rv_differ', { ids: d.agreement.differ.slice(0, 30).join(', ') })}`}</p>}
    </>
  );
}

type JudgeProps = { id: number; was: string; v?: Verdict; picked: boolean; pick: (id: number) => void; judge: (v: Verdict) => void; above?: number; crop?: any };

function Judge({ id, was, v, picked, pick, judge, above, crop }: JudgeProps) {
  const said = !v ? '' : v.same_as ? `= ${v.same_as}` : t(v.verdict === 'rejected' ? (v.class ? 'rv_other' : 'rv_reject') : 'rv_accept');
  const buttons: [Key, Verdict, boolean][] = [['rv_accept', { verdict: 'accepted', id }, v?.verdict === 'accepted' && !v.same_as], ['rv_reject', { verdict: 'rejected', id }, v?.verdict === 'rejected' && !v.class],
    ['rv_other', { verdict: 'rejected', id, class: 'other animal' }, Boolean(v?.class)]];
  if (above !== undefined) buttons.push(['rv_same', { verdict: 'accepted', id, same_as: above }, Boolean(v?.same_as)]);
  return (
    <li class={`${picked ? 'picked' : ''} ${v?.verdict ?? ''}`} data-track={id}>
      {crop}
      <button class="link" type="button" onClick={() => pick(id)} title={t('show_in_video')}><b>{id}</b></button>
      <span class="muted">{was}{said && ` · ${said}`}</span>
      <span class="att-do">{buttons.map(([key, verdict, on]) => <button key={key} class="button small" type="button" aria-pressed={on} onClick={() => { pick(id); judge(verdict); }}>{t(key)}</button>)}</span>
    </li>
  );
}

function Added({ draft }: { draft: Draft }) {
  const added = draft.verdicts.filter((v) => v.verdict === 'added');
  return added.length > 0 ? <p>{t('rv_added_n')}: {added.map((v) => f.clock(v.seconds ?? 0)).join(', ')}</p> : null;
}

// tenth is a random tenth of the tracks, the same for every reviewer of a count, and at least ten.
function tenth<T extends { id: number }>(tracks: T[]): T[] {
  const rank = (id: number) => ((id * 2654435761) ^ (id << 7)) >>> 0;
  const chosen = new Set([...tracks].sort((a, b) => rank(a.id) - rank(b.id)).slice(0, Math.max(10, Math.ceil(tracks.length / 10))));
  return tracks.filter((x) => chosen.has(x));
}

// Says is what the sample tells of the rest: the Wilson interval of the share of wrong animals (E. B. Wilson 1927).
function Says({ tracks, of }: { tracks: number[]; of: Map<number, Verdict> }) {
  const judged = tracks.map((id) => of.get(id)).filter((v): v is Verdict => Boolean(v));
  const bad = judged.filter((v) => v.verdict === 'rejected' || v.same_as).length;
  const n = judged.length;
  if (!n) return null;
  const z = 1.96, p = bad / n, m = 1 + (z * z) / n;
  const mid = (p + (z * z) / (2 * n)) / m, half = (z / m) * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n));
  return <p>{t('rv_sample_says', { n, bad, low: f.number(Math.max(0, mid - half) * 100, 1), high: f.number(Math.min(1, mid + half) * 100, 1) })}</p>;
}
