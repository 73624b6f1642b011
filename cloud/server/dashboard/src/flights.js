// Flights in the list of footage: a row with the count, and the rows of its parts below it.

import { get } from './api.js';
import { h, setText } from './dom.js';
import * as f from './format.js';

const flights = new Map(); // id -> {data, el, name, meta, big, small, list}

// load fetches the newest flights.
export async function load() {
  for (const v of (await get('/api/v1/flights?limit=50')).items) upsert(v);
}

// of returns the flight of footage, and fetches it when it is not known.
export async function of(id) {
  if (!flights.has(id)) upsert(await get(`/api/v1/flights/${encodeURIComponent(id)}`));
  return flights.get(id);
}

export function upsert(v) {
  let r = flights.get(v.id);
  if (r && r.data.seq > v.seq) return r;
  if (!r) {
    r = { name: h('span', { class: 'name' }), meta: h('span', { class: 'meta' }), big: h('b'), small: h('span'),
      lines: h('ul', { class: 'flight-lines' }), list: h('ul', { class: 'parts' }) };
    r.el = h('li', { class: 'flight', 'data-flight': v.id }, h('div', { class: 'flight-head' },
      h('span', { class: 'who' }, r.name, r.meta), h('span', { class: 'tally' }, r.big, r.small)), r.lines, r.list);
    flights.set(v.id, r);
  }
  r.data = v;
  setText(r.name, `Flight of ${f.plural(v.parts.length, 'part', 'parts')}`);
  setText(r.meta, [v.device, ...v.warnings].join(' · '));
  setText(r.big, f.number(v.unique));
  setText(r.small, v.low === v.high ? 'exactly' : `${f.number(v.low)} to ${f.number(v.high)}`);
  r.lines.replaceChildren(...totals(v));
  r.lines.hidden = !r.lines.childElementCount;
  r.el.hidden = v.state === 'ended';
  return r;
}

// totals are an item for each line and zone of the whole flight, and links to the count sheet and the table of crossings.
function totals(v) {
  const items = [
    ...(v.lines ?? []).map((l) => [`Line ${l.name}`, `in ${f.number(l.in)}, out ${f.number(l.out)}, net ${f.number(l.net)}`, l]),
    ...(v.zones ?? []).map((z) => [`Zone ${z.name}`, `${f.number(z.passed)} passed, at most ${f.number(z.most)} at one time`, z]),
  ].map(([name, text, t]) => h('li', {}, h('span', {}, name), h('b', {}, text),
    t.not_judged > 0 && h('span', {}, `${f.plural(t.not_judged, 'animal', 'animals')} not judged`)));
  if (items.length) {
    items.push(h('li', {}, h('a', { href: `/api/v1/flights/${encodeURIComponent(v.id)}/crossings.csv`, download: '', title: 'Every crossing of a line and every visit of a zone in the flight' }, 'Crossings'),
      v.state === 'stale' && h('span', {}, 'being renewed')));
  }
  if (v.state !== 'ended') {
    items.push(h('li', {}, h('a', { href: `/api/v1/flights/${encodeURIComponent(v.id)}/sheet`, target: '_blank', rel: 'noopener', title: 'The flown ground of all parts, every counted animal marked once' }, 'Count sheet')));
  }
  return items;
}

// put moves the row of a part to its place in the flight.
export function put(r, footage, row) {
  const order = r.data.parts.map((p) => p.footage);
  const after = [...r.list.children].find((e) => order.indexOf(e.dataset.footage) > order.indexOf(footage));
  r.list.insertBefore(row, after || null);
}
