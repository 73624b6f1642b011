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
    r = { name: h('span', { class: 'name' }), meta: h('span', { class: 'meta' }), big: h('b'), small: h('span'), list: h('ul', { class: 'parts' }) };
    r.el = h('li', { class: 'flight', 'data-flight': v.id }, h('div', { class: 'flight-head' },
      h('span', { class: 'who' }, r.name, r.meta), h('span', { class: 'tally' }, r.big, r.small)), r.list);
    flights.set(v.id, r);
  }
  r.data = v;
  setText(r.name, `Flight of ${f.plural(v.parts.length, 'part', 'parts')}`);
  setText(r.meta, [v.device, ...v.warnings].join(' · '));
  setText(r.big, f.number(v.unique));
  setText(r.small, v.low === v.high ? 'exactly' : `${f.number(v.low)} to ${f.number(v.high)}`);
  r.el.hidden = v.state === 'ended';
  return r;
}

// put moves the row of a part to its place in the flight.
export function put(r, footage, row) {
  const order = r.data.parts.map((p) => p.footage);
  const after = [...r.list.children].find((e) => order.indexOf(e.dataset.footage) > order.indexOf(footage));
  r.list.insertBefore(row, after || null);
}
