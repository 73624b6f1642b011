// Who is logged in. The session is in a cookie that this page cannot read.
import type { Key } from './words';

export type Session = { name?: string; role?: string; sites?: string[]; may?: string[]; reads: boolean; csrf?: string; setup?: boolean; passwords?: boolean; openid?: string; second_factor?: boolean; backup_codes?: string[] };
export type FactorKey = { key: string; address: string; qr: string };

/** Refused is an answer of the server that is not a success. kind is the end of its type, such as second-factor. */
export class Refused extends Error {
  constructor(readonly kind: string, detail: string) { super(detail); }
}

let me: Session = { reads: false };
export const session = () => me;

async function send(method: string, path: string, body?: unknown): Promise<unknown> {
  const headers: Record<string, string> = me.csrf ? { 'X-CSRF-Token': me.csrf } : {};
  if (body) headers['Content-Type'] = 'application/json';
  const r = await fetch(path, { method, headers, cache: 'no-store', body: body ? JSON.stringify(body) : undefined });
  const v = await r.json().catch(() => ({}));
  if (!r.ok) throw new Refused(String(v.type || '').split('/').pop()!, v.detail || `HTTP ${r.status}`);
  return v;
}

async function call(method: string, path: string, body?: unknown): Promise<Session> {
  me = await send(method, path, body) as Session;
  dispatchEvent(new Event('session')); // the frame draws again
  return me;
}

/** loadSession asks who is logged in. A lost server is shown by the banner. */
export const loadSession = () => (read = call('GET', '/api/v1/session').catch(() => me));
let read: Promise<unknown> = Promise.resolve();
/** sessionRead waits for the answer of a loadSession that was begun. */
export const sessionRead = () => read;
export const logIn = (name: string, password: string, factor = '') => call('POST', '/api/v1/session', { name, password, factor });
export const newFactor = (name: string, password: string, factor = '') => send('POST', '/api/v1/second-factor', { name, password, factor }) as Promise<FactorKey>;
export const confirmFactor = (name: string, password: string, factor: string) => call('POST', '/api/v1/second-factor/confirm', { name, password, factor });
export const removeFactor = (name: string, password: string, factor: string) => call('POST', '/api/v1/second-factor/remove', { name, password, factor });
export const setUp = (code: string, name: string, password: string) => call('POST', '/api/v1/setup', { code, name, password });
export const logOut = (everywhere = false) => call('DELETE', `/api/v1/session${everywhere ? '?everywhere=1' : ''}`);

const faults: Record<string, Key> = { unreachable: 'oi_unreachable', declined: 'oi_declined', 'no-role': 'oi_no_role', disabled: 'oi_disabled', busy: 'oi_busy', failed: 'oi_failed' };
let providerFault: Key | undefined;
/** openIDFault is why the provider did not log the person in, for this load of the page. */
export const openIDFault = () => providerFault;

/** takeFaultFromAddress reads #openid=… and removes it from the address bar. */
export function takeFaultFromAddress(): void {
  const kind = new URLSearchParams(location.hash.slice(1)).get('openid');
  if (!kind) return;
  history.replaceState(null, '', location.pathname + location.search);
  providerFault = faults[kind] || 'oi_failed';
}

/** openIDAddress begins a log-in at the provider that returns to this view. */
export const openIDAddress = () => `/api/v1/openid?back=${encodeURIComponent(location.pathname + location.search)}`;

let invitation = '';
/** waitingInvitation is a code of the address that sets a password, '' for none. */
export const waitingInvitation = () => invitation;

/** takeInvitationFromAddress reads #password=… and removes it from the address bar. */
export function takeInvitationFromAddress(): void {
  const code = new URLSearchParams(location.hash.slice(1)).get('password');
  if (!code) return;
  history.replaceState(null, '', location.pathname + location.search);
  invitation = code;
}

/** setFirstPassword uses the invitation up and answers with the name to log in with. */
export const setFirstPassword = async (password: string): Promise<string> => {
  const v = await send('POST', '/api/v1/password', { code: invitation, password }) as { name: string };
  invitation = '';
  return v.name;
};

let waiting = '';
/** waitingCode is a one-time code of the address that lacks the second factor, '' for none. */
export const waitingCode = () => waiting;

/** logInWithCode logs in with the waiting code and a code of the second factor. */
export const logInWithCode = (factor: string) => call('POST', '/api/v1/session/code', { code: waiting, factor })
  .then((v) => { waiting = ''; return v; }, (err) => {
    if (err.kind !== 'second-factor' && err.kind !== 'too-many-guesses') waiting = ''; // the code is used up or too old
    throw err;
  });

/** takeCodeFromAddress logs in with #code=… and removes it from the address bar. */
export async function takeCodeFromAddress(): Promise<void> {
  const code = new URLSearchParams(location.hash.slice(1)).get('code');
  if (!code) return;
  history.replaceState(null, '', location.pathname + location.search);
  await call('POST', '/api/v1/session/code', { code }).catch((err) => { // the page then asks for a log-in
    if (err instanceof Refused && err.kind === 'second-factor') waiting = code;
  });
}
