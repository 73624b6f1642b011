// The list of footage and the details of one piece.

import { Declined, get, post } from './api.js';
import { $, h, say, setText } from './dom.js';
import * as flights from './flights.js';
import * as f from './format.js';

const items = new Map(); // id -> {data, row}
let next = '';
let shownID = '';
let onChange = () => {};

export function setup(changed) {
  onChange = changed;
  $('more').addEventListener('click', more);
  const dialog = $('detail');
  dialog.addEventListener('close', () => {
    items.get(shownID)?.row.button.focus();
    shownID = '';
  });
  dialog.addEventListener('click', (e) => { if (e.target === dialog) dialog.close(); });
}

// showsSibling reports whether footage shows the job and the count of another file of its flight.
const showsSibling = (v) => Boolean(v.sibling_of) && v.job?.footage !== v.id;

export const working = () => [...items.values()]
  .filter(({ data }) => data.job && !data.duplicate_of && !showsSibling(data) && !f.ended(data.job.state)).length;

// load fetches the first page; older pages on the screen stay.
export async function load() {
  const [page] = await Promise.all([get('/api/v1/footage?limit=50'), flights.load()]);
  const first = items.size === 0;
  for (const v of page.items.toReversed()) upsert(v, true);
  if (first) next = page.next || '';
  updateList();
}

async function more() {
  $('more').disabled = true;
  try {
    const page = await get(`/api/v1/footage?limit=50&after=${encodeURIComponent(next)}`);
    next = page.next || '';
    for (const v of page.items) upsert(v, false);
  } catch (err) {
    say(err.message);
  }
  $('more').disabled = false;
  updateList();
}

function upsert(v, atTop) {
  const known = items.get(v.id);
  if (known) {
    const before = known.data.flight;
    known.data = merge(known.data, v);
    // Views have no flight when the footage has left it.
    if (!v.flight && v.seq) delete known.data.flight;
    draw(known);
    if (before !== known.data.flight) place(known, true);
    return;
  }
  const item = { data: v, row: makeRow(v) };
  items.set(v.id, item);
  draw(item);
  place(item, atTop);
}

// place puts the row of footage into the list: below its flight, or by itself.
async function place(item, atTop) {
  const { el } = item.row;
  const add = (row) => { if (atTop) $('footage').prepend(row); else $('footage').append(row); };
  const id = item.data.flight;
  if (!id) {
    add(el);
    return;
  }
  try {
    const flight = await flights.of(id);
    if (!flight.el.isConnected) add(flight.el);
    flights.put(flight, item.data.id, el);
  } catch (err) {
    add(el);
    say(err.message);
  }
}

// merge keeps the newer job, and the newer count if it is of that job's footage. A sibling that is counted itself
// changes to a job of its own.
function merge(old, v) {
  const newer = (a, b) => (!b || (a && a.seq > b.seq) ? a : b);
  const job = newer(old.job, v.job);
  const count = newer(old.count, v.count);
  return { ...old, ...v, job, count: job && count && job.footage !== count.footage ? undefined : count };
}

function updateList() {
  $('more').hidden = !next;
  setText($('shown'), items.size ? `${f.plural(items.size, 'piece', 'pieces')} shown` : '');
  const empty = $('empty');
  empty.hidden = items.size > 0;
  if (!empty.hidden) empty.replaceChildren(h('strong', {}, 'No footage yet'), 'Add a video above, or connect a station.');
  onChange();
}

export function failed(err) {
  if (items.size > 0) return;
  $('empty').hidden = false;
  $('empty').replaceChildren(h('strong', {}, 'The footage cannot be loaded'), err.message);
}

// showing finds the footage that shows a job or count: its own, its duplicates and its siblings.
const showing = (id) => [...items.values()].filter(({ data }) => data.id === id || data.duplicate_of === id
  || (data.sibling_of === id && showsSibling(data)));

export const on = {
  async footage(v) {
    upsert(v, true);
    updateList();
    if (v.duplicate_of || v.sibling_of) upsert(await get(`/api/v1/footage/${v.id}`), true);
  },
  flight(v) {
    const row = flights.upsert(v);
    for (const p of v.parts) {
      const item = items.get(p.footage);
      if (item && row.el.isConnected) flights.put(row, p.footage, item.row.el);
    }
    onChange();
  },
  job(j) {
    for (const item of showing(j.footage)) {
      const before = item.data.job?.state;
      item.data = merge(item.data, { job: j });
      draw(item);
      if (before && before !== j.state && (j.state === 'failed' || j.state === 'poisoned')) say(`${item.data.name}: ${f.state(j.state)[0]}. ${j.reason || ''}`);
    }
    onChange();
  },
  count(c) {
    for (const item of showing(c.footage)) {
      item.data = merge(item.data, { count: c });
      draw(item);
      say(`${item.data.name}: ${f.plural(c.unique, 'animal', 'animals')}.`);
    }
    onChange();
  },
};

function makeRow(v) {
  const r = {
    name: h('span', { class: 'name' }), meta: h('span', { class: 'meta' }), badge: h('span', { class: 'badge' }),
    text: h('span', {}), bar: h('progress', { max: 100, value: 0, 'aria-label': 'Progress of the count' }),
    big: h('b'), small: h('span'),
  };
  r.line = h('span', { class: 'work-line' }, r.badge, r.text);
  r.tally = h('span', { class: 'tally' }, r.big, r.small);
  r.button = h('button', { type: 'button', onclick: () => show(v.id) },
    h('span', { class: 'who' }, r.name, r.meta), h('span', { class: 'work' }, r.line, r.bar), r.tally);
  r.el = h('li', { class: 'row', 'data-footage': v.id }, r.button);
  return r;
}

function draw({ data: v, row: r }) {
  setText(r.name, v.name || v.id);
  r.name.title = v.name || v.id;
  setText(r.meta, [v.device, f.when(v.captured || v.received), f.bytes(v.size)].join(' · '));
  const s = v.job?.state;
  const [label, kind] = v.duplicate_of ? ['Duplicate', ''] : showsSibling(v) ? ['Same flight', ''] : f.state(s);
  setText(r.badge, label);
  r.badge.className = `badge ${kind}`;
  r.badge.dataset.state = s || '';
  setText(r.text, statusText(v));
  r.text.className = f.retryable(s) && v.job.reason ? 'reason' : '';
  const busy = s === 'processing' || s === 'leased';
  r.bar.hidden = !busy;
  if (busy) r.bar.value = v.job.percent;
  r.tally.classList.toggle('running', !v.count && busy);
  setText(r.big, v.count ? f.number(v.count.unique) : busy ? f.number(v.job.count) : '');
  setText(r.small, v.count ? interval(v.count) : busy ? 'so far' : '');
  if (shownID === v.id) renderDetail();
}

const interval = (c) => (c.low === c.high ? 'exactly' : `${f.number(c.low)} to ${f.number(c.high)}`);

function statusText(v) {
  const j = v.job;
  if (v.duplicate_of) return 'Same file as other footage, counted once';
  if (showsSibling(v)) return 'Another file of this flight is counted';
  if (!j) return '';
  if (j.state === 'processing') {
    const eta = j.eta_seconds !== undefined ? ` · ${f.lasting(j.eta_seconds)} left` : '';
    return `${f.stage(j.stage)} · ${Math.floor(j.percent)} %${eta}`;
  }
  if (f.retryable(j.state)) return j.reason || '';
  if (j.state === 'done') return j.frames_total ? f.plural(j.frames_total, 'frame', 'frames') : '';
  return j.reason && j.attempt > 0 ? `Waiting for a retry: ${j.reason}` : '';
}

function show(id) {
  shownID = id;
  const v = items.get(id).data;
  const body = h('div', { class: 'detail-body' });
  $('detail').replaceChildren(h('div', { class: 'detail-head' }, h('h2', { id: 'detail-title' }, v.name || v.id),
    h('button', { class: 'button small', type: 'button', onclick: () => $('detail').close() }, 'Close')), body);
  renderDetail();
  $('detail').showModal();
  $('detail').scrollTop = 0;
}

let shownStill = null; // the picture stays while the text around it changes

function renderDetail() {
  const v = items.get(shownID)?.data;
  const body = $('detail').querySelector('.detail-body');
  if (!v || !body) return;
  const j = v.job;
  const base = `/api/v1/footage/${encodeURIComponent(v.id)}`;
  const done = j?.state === 'done' && v.count;
  if (done && (shownStill?.id !== v.id || shownStill.seq !== v.count.seq)) shownStill = { id: v.id, seq: v.count.seq, el: evidence(base, v) };
  const retrying = body.querySelector('[data-retry]')?.disabled;
  const focused = body.contains(document.activeElement) ? document.activeElement.textContent : '';
  const [label, kind] = f.state(j?.state);
  const parts = [
    done && h('div', { class: 'result' }, h('b', {}, f.number(v.count.unique)),
      h('span', {}, v.count.unique === 1 ? 'animal' : 'animals', h('span', { class: 'muted' }, ` · 95 % interval ${v.count.low} to ${v.count.high}`))),
    !done && j && h('div', { class: 'work' }, h('span', { class: 'work-line' }, h('span', { class: `badge ${kind}` }, label), f.retryable(j.state) ? '' : statusText(v)),
      j.state === 'processing' && h('progress', { max: 100, value: j.percent, 'aria-label': 'Progress of the count' }),
      j.state === 'processing' && h('span', { class: 'muted' }, `${f.plural(j.count, 'animal', 'animals')} so far · ${f.number(j.frames_done)}${j.frames_total ? ` of ${f.number(j.frames_total)}` : ''} frames · ${j.fps.toFixed(1)} frames/s`)),
    j && f.retryable(j.state) && h('div', { class: 'problem' }, h('span', {}, j.reason || 'The reason is not known.'),
      h('button', { class: 'button small', type: 'button', 'data-retry': true, disabled: retrying, onclick: (e) => retry(j.id, e.target) }, 'Try again')),
    showsSibling(v) && h('div', { class: 'problem note' }, h('span', {}, 'Another file of this flight is counted, and its count is shown here.'),
      h('button', { class: 'button small', type: 'button', 'data-retry': true, disabled: retrying, onclick: (e) => countToo(v.id, e.target) }, 'Count this file too')),
    done && h('div', { class: 'actions downloads' }, h('span', { class: 'muted' }, 'Download'),
      h('a', { class: 'button', href: `${base}/result`, download: '', title: 'The complete result' }, 'JSON'),
      h('a', { class: 'button', href: `${base}/result.csv`, download: '', title: 'The result as a table' }, 'CSV'),
      (v.count.lines || v.count.zones) && h('a', { class: 'button', href: `${base}/crossings.csv`, download: '', title: 'Every crossing of a line and every visit of a zone' }, 'Crossings'),
      h('a', { class: 'button', href: `${base}/still`, download: '', title: 'The annotated frame' }, 'Still'),
      h('a', { class: 'button', href: `${base}/video`, download: '', title: 'The annotated video' }, 'Video')),
    done && shownStill.el, // below the buttons: what loads late must not move them
    facts(v),
  ];
  body.replaceChildren(...parts.filter(Boolean));
  // The focused element was replaced: focus its successor, or the close button.
  if (focused) ([...body.querySelectorAll('button, a')].find((e) => e.textContent === focused && !e.disabled) || $('detail').querySelector('.detail-head button')).focus();
}

// evidence is what a person checks the count with. What the server does not have takes no room.
function evidence(base, v) {
  const video = h('video', { class: 'film', src: `${base}/video`, controls: true, preload: 'metadata', playsinline: true, 'aria-label': `${v.name} with the counted animals` });
  const film = h('figure', { class: 'still-box' }, video, h('figcaption', {}, 'The footage with the number of each animal and the running count.'));
  video.addEventListener('error', () => film.remove());
  const sheets = h('div', { class: 'sheets' }, sheet(`${base}/sheet`, 'Count sheet', 'The flown ground, every counted animal marked once'),
    sheet(`${base}/contact/1`, 'Animals', 'One picture of each counted animal'));
  return h('div', { class: 'evidence' }, film, still(base, v), sheets);
}

function sheet(href, name, title) {
  const img = h('img', { class: 'sheet', src: href, alt: title, loading: 'lazy' });
  const link = h('a', { href, target: '_blank', rel: 'noopener', title: `${title}. Open in full size` }, img, h('span', {}, name));
  img.addEventListener('error', () => link.remove());
  return link;
}

function still(base, v) {
  const img = h('img', { class: 'still', src: `${base}/still`, alt: `One frame of ${v.name} with outlines around the detected animals` });
  const fig = h('figure', { class: 'still-box' }, h('a', { href: `${base}/still`, target: '_blank', rel: 'noopener', title: 'Open in full size' }, img),
    h('figcaption', {}, 'One frame of the footage with the detected animals. Select it to open it in full size.'));
  img.addEventListener('error', () => fig.remove());
  return fig;
}

function facts(v) {
  const rows = [
    ['Device', `${v.device}, site ${v.site}`], ['Captured', f.when(v.captured)], ['Received', f.when(v.received)], ['Size', f.bytes(v.size)],
    ['Flight log', v.telemetry ? 'received' : 'none'],
    v.duplicate_of && ['Same file as', v.duplicate_of], v.sibling_of && ['Same flight as', v.sibling_of],
    v.count && ['By class', Object.entries(v.count.by_class).map(([k, n]) => `${k} ${f.number(n)}`).join(', ') || '–'],
    ...(v.count?.lines ?? []).map((l) => [`Line ${l.name}`, `in ${f.number(l.in)}, out ${f.number(l.out)}, net ${f.number(l.net)}`]),
    ...(v.count?.zones ?? []).map((z) => [`Zone ${z.name}`, `${f.number(z.passed)} passed, at most ${f.number(z.most)} at one time`]),
    v.count && ['Model', v.count.model],
    v.job?.attempt > 1 && ['Attempts', v.job.attempt],
    ['Footage', v.id], ['SHA-256', v.sha256],
  ];
  return h('dl', { class: 'facts' }, rows.filter(Boolean).flatMap(([k, x]) => [h('dt', {}, k), h('dd', {}, String(x))]));
}

const retry = (id, button) => queueJob(`/api/v1/jobs/${encodeURIComponent(id)}/retry`, button, 'The job is queued again.');

const countToo = (id, button) => queueJob(`/api/v1/footage/${encodeURIComponent(id)}/count`, button, 'The file is queued.');

// queueJob sends a request that queues a job, and says so.
async function queueJob(path, button, done) {
  button.disabled = true;
  try {
    on.job(await post(path));
    say(done);
  } catch (err) {
    button.disabled = false;
    if (!(err instanceof Declined)) button.parentElement.prepend(h('span', { role: 'alert' }, err.message));
  }
}
