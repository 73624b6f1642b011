// Who is logged in. The session is in a cookie that this page cannot read.

export type Session = { name?: string; role?: string; sites?: string[]; may?: string[]; reads: boolean; csrf?: string; setup?: boolean };

let me: Session = { reads: false };
export const session = () => me;

async function call(method: string, path: string, body?: unknown): Promise<Session> {
  const headers: Record<string, string> = me.csrf ? { 'X-CSRF-Token': me.csrf } : {};
  if (body) headers['Content-Type'] = 'application/json';
  const r = await fetch(path, { method, headers, cache: 'no-store', body: body ? JSON.stringify(body) : undefined });
  const v = await r.json().catch(() => ({}));
  if (!r.ok) throw new Error(v.detail || `HTTP ${r.status}`);
  me = v;
  return v;
}

/** loadSession asks who is logged in. A lost server is shown by the banner. */
export const loadSession = () => call('GET', '/api/v1/session').catch(() => me);
export const logIn = (name: string, password: string) => call('POST', '/api/v1/session', { name, password });
export const setUp = (code: string, name: string, password: string) => call('POST', '/api/v1/setup', { code, name, password });
export const logOut = (everywhere = false) => call('DELETE', `/api/v1/session${everywhere ? '?everywhere=1' : ''}`);

/** takeCodeFromAddress logs in with #code=… and removes it from the address bar. */
export async function takeCodeFromAddress(): Promise<void> {
  const code = new URLSearchParams(location.hash.slice(1)).get('code');
  if (!code) return;
  history.replaceState(null, '', location.pathname + location.search);
  await call('POST', '/api/v1/session/code', { code }).catch(() => { /* the page then asks for a log-in */ });
}
