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

// get reads. When the server wants a token for reading, it asks the person for one and puts it into a cookie: pictures,
// links and events cannot send a header. No other server gets a cookie with the token.
export async function get(path) {
  for (;;) {
    const tried = cookie();
    try {
      return await request('GET', path);
    } catch (err) {
      if (err.status !== 401) throw err;
      if (cookie() !== tried) continue; // another request has asked
      if (tried || !token()) await needToken(tried ? refused : 'This server shows nothing without a token.');
      setCookie(token());
    }
  }
}

const refused = 'The server does not know this token, or the token is revoked.';
const cookie = () => document.cookie.split('; ').find((c) => c.startsWith(`${key}=`))?.slice(key.length + 1) || '';
const setCookie = (t) => {
  const secure = location.protocol === 'https:' ? '; Secure' : '';
  document.cookie = `${key}=${t}; Path=/; SameSite=Strict; Max-Age=${t ? 365 * 86400 : 0}${secure}`;
};

// post sends a request with the token, and asks the person for one when it is missing or
// refused.
export async function post(path) {
  for (let why = ''; ;) {
    const t = await needToken(why);
    try {
      const v = await request('POST', path, { Authorization: `Bearer ${t}` });
      if (v.type?.startsWith('/problems/')) throw new Problem(v.status, v);
      return v;
    } catch (err) {
      if (err.status !== 401) throw err;
      why = refused;
    }
  }
}

export const token = () => localStorage.getItem(key) || '';
function saveToken(t) {
  if (t) localStorage.setItem(key, t); else localStorage.removeItem(key);
  if (cookie()) setCookie(t);
}

// takeTokenFromAddress reads #token=… and removes it from the address bar, so that it is
// in no bookmark and in no screenshot.
export function takeTokenFromAddress() {
  const t = new URLSearchParams(location.hash.slice(1)).get('token');
  if (!t) return;
  saveToken(t.trim());
  history.replaceState(null, '', location.pathname + location.search);
}

export class Declined extends Error {}

// needToken returns the token. It asks the person when there is none, or when why tells
// what is wrong with it, and throws Declined when the person cancels.
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
    let saved = false;
    $('token-form').onsubmit = () => { saveToken(input.value.trim()); saved = true; };
    $('token-cancel').onclick = () => dialog.close();
    $('token-forget').onclick = () => { saveToken(''); dialog.close(); };
    dialog.onclose = () => { asking = null; resolve(saved); };
    dialog.showModal();
    input.focus();
    input.select();
  });
  return asking;
}
