// Keeps the page itself for the time without a connection. Figures are kept by the page, which says how old they are.
type Lasting = Event & { waitUntil(p: Promise<unknown>): void };
type Fetching = Event & { request: Request; respondWith(r: Promise<Response>): void };
type Keeper = EventTarget & { skipWaiting(): Promise<void>; clients: { claim(): Promise<void> } };

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
