// The REST API, the token and problem documents.

import { $ } from './dom.js';

const key = 'cattle-token';

export class Problem extends Error {
  constructor(status, doc) {
    super(doc.detail || doc.title || `The server answered ${status}.`);
    this.status = status;
    this.title = doc.title;
    this.type = doc.type || '';
  }
}

export function problemFrom(status, body) {
  try { return new Problem(status, JSON.parse(body)); } catch { return new Problem(status, {}); }
}

async function request(method, path, headers = {}) {
  const r = await fetch(path, { method, headers, cache: 'no-store' });
  const text = await r.text();
  if (!r.ok && r.status !== 503) throw problemFrom(r.status, text);
  try { return JSON.parse(text); } catch { throw problemFrom(r.status, text); }
}

export const get = (path) => request('GET', path);

// post sends with the token and asks for one when it is missing or refused.
export async function post(path) {
  for (let why = ''; ;) {
    const t = await needToken(why);
    try {
      const v = await request('POST', path, { Authorization: `Bearer ${t}` });
      if (v.type?.startsWith('/problems/')) throw new Problem(v.status, v);
      return v;
    } catch (err) {
      if (err.status !== 401) throw err;
      why = 'The server does not know this token, or it was revoked.';
    }
  }
}

export const token = () => localStorage.getItem(key) || '';
const keep = (t) => (t ? localStorage.setItem(key, t) : localStorage.removeItem(key));

// takeTokenFromAddress reads #token=… and removes it from the address bar, so
// that it stands in no bookmark and no screenshot.
export function takeTokenFromAddress() {
  const t = new URLSearchParams(location.hash.slice(1)).get('token');
  if (!t) return;
  keep(t.trim());
  history.replaceState(null, '', location.pathname + location.search);
}

export class Declined extends Error {}

// needToken gives the token, asking for it when there is none or when why says
// what is wrong with it. It throws Declined when the person does not want to.
export async function needToken(why = '') {
  if (token() && !why) return token();
  if (!(await askToken(why)) || !token()) throw new Declined();
  return token();
}

let asking = null;
export function askToken(why = '') {
  asking ||= new Promise((resolve) => {
    const dialog = $('token');
    const input = $('token-value');
    if (why) $('token-why').textContent = why;
    input.value = token();
    let kept = false;
    $('token-form').onsubmit = () => { keep(input.value.trim()); kept = true; };
    $('token-cancel').onclick = () => dialog.close();
    $('token-forget').onclick = () => { keep(''); dialog.close(); };
    dialog.onclose = () => { asking = null; resolve(kept); };
    dialog.showModal();
    input.focus();
    input.select();
  });
  return asking;
}
