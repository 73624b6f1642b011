// Keeps the page itself for the time without a connection. Figures are kept by the page, which says how old they are.
type Lasting = Event & { waitUntil(p: Promise<unknown>): void };
type Fetching = Event & { request: Request; respondWith(r: Promise<Response>): void };
type Shown = Event & { data?: { json(): unknown } };
type Clicked = Event & { notification: { close(): void; data?: { view?: string } } };
type Tab = { url: string; focus(): Promise<Tab>; navigate(url: string): Promise<unknown> };
type Tabs = { claim(): Promise<void>; matchAll(of: object): Promise<Tab[]>; openWindow(url: string): Promise<unknown> };
type Keeper = EventTarget & { skipWaiting(): Promise<void>; clients: Tabs; registration: { showNotification(title: string, options: object): Promise<void> } };

const worker = self as unknown as Keeper;
const store = 'cattle-page-1';
const page = '/';
const first = [page, '/app.js', '/style.css', '/icon.svg'];

async function install(): Promise<void> {
  await (await caches.open(store)).addAll(first);
  await worker.skipWaiting();
}

async function activate(): Promise<void> {
  for (const name of await caches.keys()) if (name !== store) await caches.delete(name);
  await worker.clients.claim();
}

worker.addEventListener('install', (e) => (e as Lasting).waitUntil(install()));
worker.addEventListener('activate', (e) => (e as Lasting).waitUntil(activate()));
worker.addEventListener('fetch', (e) => {
  const { request, respondWith } = e as Fetching;
  const url = new URL(request.url);
  const own = url.origin === location.origin && request.method === 'GET' && !/^\/(api|files|metrics|healthz|readyz)(\/|$)/.test(url.pathname);
  if (own) respondWith.call(e, answer(request));
});

// answer takes the server's answer where there is one, and else the copy.
async function answer(request: Request): Promise<Response> {
  const key = request.mode === 'navigate' ? page : request;
  const cache = await caches.open(store);
  try {
    const r = await fetch(request);
    if (r.ok && r.type === 'basic') await cache.put(key, r.clone());
    return r;
  } catch (err) {
    const copy = await cache.match(key);
    if (copy) return copy;
    throw err;
  }
}

// A message of the server (cloud/server/notify). Browsers want every push to be shown, so a message that cannot be read is too.
type Message = { id?: string; title?: string; text?: string; view?: string };

worker.addEventListener('push', (e) => {
  let m: Message = {};
  try { m = ((e as Shown).data?.json() ?? {}) as Message; } catch { /* shown without its text */ }
  (e as Lasting).waitUntil(worker.registration.showNotification(m.title || 'CattleCounter', { body: m.text ?? '', tag: m.id, icon: '/icon.svg', data: { view: m.view } }));
});

worker.addEventListener('notificationclick', (e) => {
  const { notification } = e as Clicked;
  notification.close();
  (e as Lasting & Clicked).waitUntil(show(notification.data?.view ?? page));
});

// show opens a view of this page: in a tab that there is, else in a new one.
async function show(view: string): Promise<void> {
  const to = new URL(view, location.origin);
  if (to.origin !== location.origin) return;
  const [tab] = (await worker.clients.matchAll({ type: 'window' })).filter((c) => !new URL(c.url).pathname.startsWith('/shared'));
  if (!tab) { await worker.clients.openWindow(to.href); return; }
  await (await tab.focus()).navigate(to.href);
}
