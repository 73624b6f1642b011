// The page: totals, uploads, waiting and received footage, the state of the system.

import { askToken, get, takeTokenFromAddress } from './api.js';
import { $, h, setText } from './dom.js';
import * as f from './format.js';
import * as footage from './footage.js';
import { listen } from './live.js';
import * as uploads from './uploads.js';
import * as waiting from './waiting.js';

const healthEvery = 20_000;
const loadPause = 700;
let link = 'wait';

takeTokenFromAddress();
addEventListener('hashchange', takeTokenFromAddress);
footage.setup(loadTotals);
uploads.setup();
$('token-button').addEventListener('click', () => askToken());

// Totals: at most one request per pause, however many changes come.
let totalsTimer;
function loadTotals() {
  totalsTimer ||= setTimeout(async () => {
    totalsTimer = undefined;
    try { drawTotals(await get('/api/v1/stats')); } catch { /* the banner shows the fault */ }
  }, $('totals').childElementCount ? loadPause : 0);
}

function drawTotals(s) {
  const open = ['uploaded', 'queued', 'leased', 'processing'].reduce((n, k) => n + (s.jobs[k] || 0), 0);
  const rows = [['Animals counted', f.number(s.animals)], ['Pieces of footage', f.number(s.footage)],
    ['Being counted', f.number(open)], ['Footage stored', f.bytes(s.bytes)]];
  $('totals').replaceChildren(...rows.map(([k, v]) => h('div', {}, h('dt', {}, k), h('dd', {}, v))));
}

// Health: the connection, the broker, the stations.
async function loadHealth() {
  let ready;
  let devices = [];
  try { [ready, { items: devices }] = await Promise.all([get('/readyz'), get('/api/v1/devices')]); } catch { ready = undefined; }
  drawHealth(ready, devices);
}

function drawHealth(ready, devices) {
  const lines = [[link === 'live' ? 'good' : link === 'lost' ? 'bad' : 'wait', link === 'live' ? 'Live' : link === 'lost' ? 'Not connected' : 'Connecting', '']];
  const broker = ready?.checks?.broker;
  if (broker) lines.push([broker.ok ? 'good' : 'bad', broker.ok ? 'MQTT connected' : 'MQTT broker not connected', broker.detail || '']);
  for (const [name, c] of Object.entries(ready?.checks || {})) {
    if (!c.ok && name !== 'broker') lines.push(['bad', `${name}: ${c.detail}`, '']);
  }
  const stations = devices.filter((d) => d.role === 'device' && !d.revoked);
  const last = stations.map((d) => d.last_seen).filter(Boolean).sort().pop();
  if (stations.length) lines.push([last && Date.now() - new Date(last) < 600_000 ? 'good' : 'wait', `${f.plural(stations.length, 'station', 'stations')}, last seen ${f.ago(last)}`, '']);
  $('health').replaceChildren(...lines.map(([kind, text, title]) => h('li', { title }, h('span', { class: `dot ${kind}`, 'aria-hidden': 'true' }), text)));
}

// Uploads of stations and other browsers, as the server reports them.
const arriving = new Map();
function drawUpload(u) {
  if (u.kind !== 'video') return;
  let row = arriving.get(u.footage);
  if (u.gone) {
    row?.el.remove();
    arriving.delete(u.footage);
    return;
  }
  if (!row) {
    row = { line: h('span', { class: 'up-line' }), bar: h('progress', { max: 1, value: 0, 'aria-label': `Arriving: ${u.name}` }) };
    row.el = h('li', { class: 'up' }, h('span', { class: 'up-name' }, u.name || u.footage), row.line, row.bar);
    arriving.set(u.footage, row);
    $('arriving').append(row.el);
  }
  setText(row.line, `Arriving from ${u.device} · ${bytesOf(u)}`);
  row.bar.value = u.size ? u.offset / u.size : 0;
}
const bytesOf = (u) => (u.size ? `${f.bytes(u.offset)} of ${f.bytes(u.size)}` : f.bytes(u.offset));

// Footage that waits at the stations: at most one request per pause.
let waitingTimer;
function loadWaiting() {
  waitingTimer ||= setTimeout(async () => {
    waitingTimer = undefined;
    try { await waiting.load(); } catch { /* the banner shows the fault */ }
  }, loadPause);
}

async function load() {
  try {
    const [, { items }] = await Promise.all([footage.load(), get('/api/v1/uploads'), waiting.load()]);
    const open = new Set(items.map((u) => u.footage));
    for (const [id, row] of arriving) if (!open.has(id)) { row.el.remove(); arriving.delete(id); }
    items.forEach(drawUpload);
  } catch (err) {
    footage.failed(err);
  }
}

let bannerTimer;
const changed = { ...footage.on, footage(v) { loadWaiting(); return footage.on.footage(v); } };
listen({ ready: load, upload: drawUpload, ...changed }, (state) => {
  if (state === link) return;
  link = state;
  clearTimeout(bannerTimer);
  const banner = $('banner');
  if (state === 'live') {
    banner.hidden = true;
  } else {
    bannerTimer = setTimeout(() => {
      banner.textContent = 'No connection to the server. The page may be out of date. Reconnecting…';
      banner.hidden = false;
    }, 1500);
  }
  loadHealth();
});

loadHealth();
setInterval(() => { loadHealth(); loadWaiting(); }, healthEvery); // no event reports a thumbnail
load();
