// The frame around every view: the state of the system, the way to the other views.
import { useEffect, useState } from 'preact/hooks';
import type { ComponentType } from 'preact';
import { useNow, useRead } from './data';
import { onLink, type Link } from './live';
import { Lazy } from './parts/lazy';
import { Opening } from './parts/opening';
import { Empty } from './parts/basics';
import { useAddress } from './router';
import { settings } from './settings';
import type { Page, Station } from './types';
import { zone } from './format';
import { Flights } from './views/flights';
import { Today } from './views/today';
import { t, type Key } from './words';

const nav: [string, Key][] = [['/', 'today'], ['/flights', 'flights'], ['/map', 'map'], ['/paddocks', 'paddocks'], ['/surveys', 'surveys'], ['/history', 'history'], ['/stations', 'stations'], ['/queue', 'queue'], ['/settings', 'settings']];

type View = { draw: ComponentType<any>; props?: object };
const lazy = (load: () => Promise<{ default: ComponentType<any> }>, props: object = {}, first?: string): View => ({ draw: Lazy, props: { load, props, first } });

// withChart loads the charts at the same time as what draws them, not after it.
const withChart = <T,>(load: () => Promise<T>) => Promise.all([load(), import('uplot')]).then(([view]) => view);

const loads = {
  footage: () => import('./views/footage'), flight: () => import('./views/flight'), map: () => import('./views/map'), paddocks: () => import('./views/paddocks'), surveys: () => import('./views/surveys'), history: () => withChart(() => import('./views/history')),
  stations: () => import('./views/stations'), queue: () => import('./views/queue'), settings: () => import('./views/settings'), programs: () => import('./views/programs'),
  compare: () => import('./views/compare'),
};

function viewOf(path: string): View | undefined {
  const [, view = '', id = '', rest] = path.split('/').map(decodeURIComponent);
  if (rest !== undefined) return undefined;
  switch (view) {
    case '': return { draw: Today };
    case 'flights': return id === 'compare' ? lazy(loads.compare) : id ? undefined : { draw: Flights };
    case 'footage': return id ? lazy(loads.footage, { id }, `/api/v1/footage/${encodeURIComponent(id)}`) : undefined;
    case 'flight': return id ? lazy(loads.flight, { id }, `/api/v1/flights/${encodeURIComponent(id)}`) : undefined;
    case 'surveys': return lazy(loads.surveys, { id });
    case 'stations': return lazy(loads.stations, { id }, `/api/v1/stations${id && `/${encodeURIComponent(id)}`}`);
    case 'queue': return id ? undefined : lazy(loads.queue, {}, '/api/v1/queue');
    case 'map': case 'paddocks': case 'history': case 'settings': case 'programs': return id ? undefined : lazy(loads[view]);
    default: return undefined;
  }
}

const Shared = lazy(() => import('./views/shared'));

/** App draws the view of the address. A shared survey stands alone: its reader has no login. */
export const App = () => (isShared() ? <><header class="top"><span class="brand"><img src="/icon.svg" alt="" width="36" height="36" /><h1>CattleCounter</h1></span></header>
  <main id="main" tabIndex={-1}><Shared.draw {...Shared.props} /></main></> : <Frame />);

/** isShared reports whether the address is that of a shared survey. */
export const isShared = () => location.pathname === '/shared';

function Frame() {
  const { path } = useAddress();
  const [, draw] = useState(0);
  useEffect(() => {
    const again = () => draw((n) => n + 1);
    addEventListener('session', again);
    return () => removeEventListener('session', again);
  }, []);
  useNow();
  const view = viewOf(path);
  const name = nav.find(([p]) => p !== '/' ? path.startsWith(p) : path === '/')?.[1];
  useEffect(() => { document.title = name ? `${t(name)} · CattleCounter` : 'CattleCounter'; }, [name, settings.language]);
  useEffect(() => { // on a phone the bar of views is wider than the screen
    const a = document.querySelector('.nav [aria-current]'), bar = a?.closest('.nav');
    if (a && bar) bar.scrollLeft += a.getBoundingClientRect().left - bar.getBoundingClientRect().left - 40;
  }, [path, settings.language]);
  const here = (p: string) => p === '/flights' ? /^\/(flights?|footage)(\/|$)/.test(path) : p === '/' ? path === '/' : path.startsWith(p);
  return (
    <>
      <a class="skip" href="#main">{t('skip')}</a>
      <Banner />
      <header class="top">
        <a class="brand" href="/"><img src="/icon.svg" alt="" width="36" height="36" /><h1>CattleCounter</h1></a>
        <Health />
      </header>
      <nav class="nav" aria-label={t('views')}>
        <ul>{nav.map(([p, key]) => <li key={p}><a href={p} aria-current={here(p) ? 'page' : undefined}>{t(key)}</a></li>)}</ul>
      </nav>
      <main id="main" tabIndex={-1}>
        {view ? <Opening key={path} id={path}><view.draw {...view.props} redraw={() => draw((n) => n + 1)} /></Opening>
          : <div class="card"><Empty title={t('not_found')} text={t('not_found_help')}><p><a href="/">{t('go_today')}</a></p></Empty></div>}
      </main>
      <footer class="foot">
        <span>{t('zone', { zone: zone() })}</span>
        <a href="/programs">{t('programs')}</a>
        <a href="/api/v1/openapi.yaml">OpenAPI</a>
        <a href="/api/v1/asyncapi.yaml">MQTT</a>
      </footer>
    </>
  );
}

function Banner() {
  const [lost, setLost] = useState(false);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    const off = onLink((link) => {
      clearTimeout(timer);
      if (link === 'lost') timer = setTimeout(() => setLost(true), 1500);
      else setLost(false);
    });
    return () => { clearTimeout(timer); off(); };
  }, []);
  return <div id="banner" class="banner" role="alert" hidden={!lost}>{lost && t('lost')}</div>;
}

type Ready = { checks?: Record<string, { ok: boolean; detail?: string }> };
const healthEvery = 20_000;

function Health() {
  const [link, setLink] = useState<Link>('wait');
  useEffect(() => onLink(setLink), []);
  const ready = useRead<Ready>('/readyz', { every: healthEvery, keep: false, aside: true });
  const stations = useRead<Page<Station>>('/api/v1/stations', { every: healthEvery, events: ['station'], aside: true });
  const lines: [string, string, string, string][] = [link === 'live' ? ['link', 'good', t('live'), ''] : link === 'lost' ? ['link', 'bad', t('not_connected'), ''] : ['link', 'wait', t('connecting'), '']];
  const checks = ready.kept || link === 'lost' ? {} : ready.data?.checks ?? {};
  for (const [name, c] of Object.entries(checks)) {
    if (name === 'broker') lines.push([name, c.ok ? 'good' : 'bad', t(c.ok ? 'mqtt_on' : 'mqtt_off'), c.detail ?? '']);
    else if (!c.ok) lines.push([name, 'bad', `${name}: ${c.detail ?? ''}`, '']);
  }
  const all = stations.data?.items ?? [];
  const online = all.filter((s) => s.state === 'online').length;
  if (all.length) lines.push(['stations', online === all.length ? 'good' : online ? 'wait' : 'bad', t('of_all', { n: online, all: all.length }), '']);
  return (
    <ul id="health" class="health" aria-label={t('state_of_system')}>
      {lines.map(([key, kind, text, title]) => <li key={key} title={title}><span class={`dot ${kind}`} aria-hidden="true" />{text}</li>)}
    </ul>
  );
}
