// Live changes over server-sent events, for whoever listens.
type Kind = 'ready' | 'reset' | 'job' | 'footage' | 'count' | 'flight' | 'upload' | 'station';
type Listener = (data: any) => void;
export type Link = 'wait' | 'live' | 'lost';

const reconnectAfter = 3000;
const kinds: Kind[] = ['ready', 'reset', 'job', 'footage', 'count', 'flight', 'upload', 'station'];
const listeners = new Map<Kind, Set<Listener>>(kinds.map((k) => [k, new Set()]));
const watchers = new Set<(link: Link) => void>();
let link: Link = 'wait';

/** on calls f with the data of each event of a kind, until the returned function is called. */
export function on(kind: Kind, f: Listener): () => void {
  listeners.get(kind)!.add(f);
  return () => listeners.get(kind)!.delete(f);
}

/** onLink calls f with the state of the connection now and at each change. */
export function onLink(f: (link: Link) => void): () => void {
  watchers.add(f);
  f(link);
  return () => watchers.delete(f);
}

function set(to: Link): void {
  if (to === link) return;
  link = to;
  for (const f of watchers) f(link);
}

/** start opens the connection. It reconnects by itself. */
export function start(): void {
  let source: EventSource;
  let timer: ReturnType<typeof setTimeout>;
  const open = () => {
    source = new EventSource('/api/v1/events');
    for (const kind of kinds) source.addEventListener(kind, (e) => { for (const f of listeners.get(kind)!) f(JSON.parse((e as MessageEvent).data)); });
    source.addEventListener('ready', () => set('live'));
    source.onerror = () => {
      set('lost');
      // The browser reconnects by itself, unless the server refused the connection.
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, reconnectAfter);
    };
  };
  open();
  addEventListener('pagehide', () => { clearTimeout(timer); source.close(); });
  addEventListener('pageshow', (e) => { if ((e as PageTransitionEvent).persisted) open(); });
}
