// What views read: an answer of the server, renewed by events and time, kept for the time without a connection.
import { useEffect, useRef, useState } from 'preact/hooks';
import { get } from './api';
import { on } from './live';
import { reading } from './opening';

export type Read<T> = { data?: T; at?: number; error?: Error; kept: boolean; reload: () => Promise<void> };
// aside: the view that opens does not wait for it.
type Options = { every?: number; events?: Parameters<typeof on>[0][]; keep?: boolean; aside?: boolean };

const pause = 700; // at most one request per pause, however many events come
const prefix = 'cattle-kept:';
const mostKept = 30;
const largestKept = 200_000; // characters

function keep(path: string, data: unknown): void {
  const text = JSON.stringify({ at: Date.now(), data });
  if (text.length > largestKept) return;
  try {
    const old = Object.keys(localStorage).filter((k) => k.startsWith(prefix) && k !== prefix + path);
    if (old.length >= mostKept) localStorage.removeItem(old[0]);
    localStorage.setItem(prefix + path, text);
  } catch { /* without room there is no copy */ }
}

function kept<T>(path: string): { at: number; data: T } | undefined {
  try { return JSON.parse(localStorage.getItem(prefix + path) || 'null') ?? undefined; } catch { return undefined; }
}

// What was read since the page was loaded: a view that is opened again shows it at once, and nothing moves.
const memory = new Map<string, { data: unknown; at: number }>();
const mostRemembered = 100;

function remember(path: string, data: unknown, at: number): void {
  memory.delete(path);
  memory.set(path, { data, at });
  if (memory.size > mostRemembered) memory.delete(memory.keys().next().value!);
}

// What is read while the code of its view is still loading.
const begun = new Map<string, Promise<unknown>>();

/** ahead begins to read a path for the useRead that follows. */
export function ahead(path: string): void {
  if (memory.has(path) || begun.has(path)) return;
  const answer = get(path);
  begun.set(path, answer);
  answer.catch(() => { /* the useRead shows the fault */ });
}

function take<T>(path: string): Promise<T> | undefined {
  const answer = begun.get(path);
  begun.delete(path);
  return answer as Promise<T> | undefined;
}

/** forget removes every copy, as at log-out. */
export function forget(): void {
  memory.clear();
  begun.clear();
  for (const k of Object.keys(localStorage)) if (k.startsWith(prefix)) localStorage.removeItem(k);
}

/**
 * useRead reads a path of the API; '' reads nothing. It reads again after the events and the time of the options. When the
 * server cannot be reached, data is the kept copy, and at tells how old it is.
 */
export function useRead<T>(path: string, o: Options = {}): Read<T> {
  const [state, setState] = useState<{ path: string; data?: T; at?: number; error?: Error; kept: boolean }>({ path: '', kept: false });
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const current = useRef(path);
  current.current = path;

  const load = async () => {
    if (!path) return;
    try {
      const data = await (take<T>(path) ?? get<T>(path));
      if (o.keep !== false) keep(path, data);
      remember(path, data, Date.now());
      if (current.current === path) setState({ path, data, at: Date.now(), kept: false });
    } catch (error) {
      const copy = error instanceof TypeError ? kept<T>(path) : undefined; // TypeError: no answer at all
      if (current.current === path) {
        setState((s) => s.path === path && s.data !== undefined ? { ...s, error: error as Error, kept: true }
          : { path, data: copy?.data, at: copy?.at, error: error as Error, kept: Boolean(copy) });
      }
    }
  };
  const soon = () => { timer.current ??= setTimeout(() => { timer.current = undefined; load(); }, pause); };

  useEffect(() => {
    if (path && !o.aside && !memory.has(path)) reading(load()); else load();
    const off = [...(o.events ?? []), 'ready' as const].map((kind) => on(kind, soon));
    const tick = o.every ? setInterval(load, o.every) : undefined;
    return () => { off.forEach((f) => f()); clearInterval(tick); clearTimeout(timer.current); timer.current = undefined; };
  }, [path]);
  if (state.path === path) return { ...state, reload: load };
  const known = memory.get(path) as { data: T; at: number } | undefined;
  return { data: known?.data, at: known?.at, kept: false, reload: load };
}

/** useNow draws again every so many milliseconds, so that ages stay true. */
export function useNow(every = 30_000): void {
  const [, draw] = useState(0);
  useEffect(() => {
    const tick = setInterval(() => draw((n) => n + 1), every);
    return () => clearInterval(tick);
  }, [every]);
}
