// The REST API, the token and problem documents.
import { ask } from './parts/ask';
import { session, sessionRead } from './session';
import { t } from './words';

const key = 'cattle-token';

/** Problem is an answer that is no success, with the text for a person. */
export class Problem extends Error {
  status: number;
  constructor(status: number, doc: { title?: string; detail?: string }) {
    super(doc.detail || doc.title || `HTTP ${status}`);
    this.status = status;
  }
}

/** Declined means that the person closed the question for a token. */
export class Declined extends Error {}

export function problemFrom(status: number, body: string): Problem {
  try { return new Problem(status, JSON.parse(body)); } catch { return new Problem(status, {}); }
}

async function request(method: string, path: string, headers: Record<string, string> = {}, body?: string | Blob): Promise<any> {
  const r = await fetch(path, { method, headers, body, cache: 'no-store' });
  const text = await r.text();
  if (!r.ok && !(r.status === 503 && method === 'GET')) throw problemFrom(r.status, text);
  if (!text) return undefined;
  let doc: unknown;
  try { doc = JSON.parse(text); } catch { throw problemFrom(r.status, text); }
  const tag = r.headers.get('ETag');
  if (tag && doc && typeof doc === 'object') tags.set(doc, tag);
  return doc;
}

// The ETag of each document that is in use.
const tags = new WeakMap<object, string>();

/**
 * get reads. When the server wants a token for reading, it asks the person for one and puts it into a cookie: pictures,
 * links and events cannot send a header. No other server gets a cookie with the token.
 */
export async function get<T>(path: string): Promise<T> {
  for (;;) {
    const tried = cookie();
    try {
      return await request('GET', path);
    } catch (err) {
      if (!(err instanceof Problem) || err.status !== 401) throw err;
      await sessionRead();
      if (cookie() !== tried) continue; // another request has asked
      if (tried || !token()) await needToken(t(tried ? 'token_bad' : 'token_needed'));
      if (!session().csrf) setCookie(token());
    }
  }
}

const cookie = () => document.cookie.split('; ').find((c) => c.startsWith(`${key}=`))?.slice(key.length + 1) || '';
function setCookie(value: string): void {
  const secure = location.protocol === 'https:' ? '; Secure' : '';
  document.cookie = `${key}=${value}; Path=/; SameSite=Strict; Max-Age=${value ? 365 * 86400 : 0}${secure}`;
}

/**
 * change sends a request that changes something, with a file or a document, and asks the person for a token when it is
 * missing or refused. With over, a document that was read, it fails with status 412 when others have changed that meanwhile.
 */
export async function change<T>(method: 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, body?: unknown, over?: object): Promise<T> {
  const file = body instanceof Blob;
  for (let why = ''; ;) {
    await needToken(why);
    const headers = credentials();
    if (over && tags.has(over)) headers['If-Match'] = tags.get(over)!;
    if (body !== undefined) headers['Content-Type'] = file ? body.type || 'application/octet-stream' : 'application/json';
    try {
      return await request(method, path, headers, file || body === undefined ? body as Blob | undefined : JSON.stringify(body));
    } catch (err) {
      if (!(err instanceof Problem) || err.status !== 401) throw err;
      why = t('token_bad');
    }
  }
}

export const token = () => localStorage.getItem(key) || '';
export function saveToken(value: string): void {
  if (value) localStorage.setItem(key, value); else localStorage.removeItem(key);
  if (cookie()) setCookie(value);
}

/** takeTokenFromAddress reads #token=… and removes it from the address bar, so that it is in no bookmark. */
export function takeTokenFromAddress(): void {
  const value = new URLSearchParams(location.hash.slice(1)).get('token');
  if (!value) return;
  history.replaceState(null, '', location.pathname + location.search);
  if (!token()) saveToken(value.trim());
  else if (token() !== value.trim()) void ask(t('token_other'), value.trim()); // never replaced in silence
}

/** credentials are the headers of a change. */
export const credentials = (): Record<string, string> =>
  (session().csrf ? { 'X-CSRF-Token': session().csrf! } : { Authorization: `Bearer ${token()}` });

/** needToken waits for a session or a token. It asks when there is none, or when why tells what is wrong with it. */
export async function needToken(why = ''): Promise<void> {
  await sessionRead();
  if ((session().csrf || token()) && !why) return;
  if (!(await ask(why)) || !(session().csrf || token())) throw new Declined();
}
