// Addresses: every view has a path, and its filters are in the query. Back and links work as for any page.
import { useEffect, useState } from 'preact/hooks';

const changed = 'cattle:address';

/** go opens an address of this page. With replace, Back skips the present one. */
export function go(to: string, replace = false): void {
  if (to === location.pathname + location.search) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', to);
  dispatchEvent(new Event(changed));
  if (!replace) scrollTo(0, 0);
}

/** useAddress returns the present path and query, and draws again when they change. */
export function useAddress(): { path: string; query: URLSearchParams } {
  const [, draw] = useState(0);
  useEffect(() => {
    const f = () => draw((n) => n + 1);
    addEventListener('popstate', f);
    addEventListener(changed, f);
    return () => { removeEventListener('popstate', f); removeEventListener(changed, f); };
  }, []);
  return { path: location.pathname, query: new URLSearchParams(location.search) };
}

/** setQuery changes parameters of the address; an empty value removes one. */
export function setQuery(values: Record<string, string>): void {
  const q = new URLSearchParams(location.search);
  for (const [k, v] of Object.entries(values)) if (v) q.set(k, v); else q.delete(k);
  const text = q.toString();
  go(location.pathname + (text ? `?${text}` : ''), true);
}

/** followLinks makes links to other views change the view instead of loading the page. */
export function followLinks(): void {
  document.addEventListener('click', (e) => {
    const a = (e.target as Element).closest('a');
    if (!a || e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
    if (a.target || a.hasAttribute('download') || a.origin !== location.origin || !isView(a.pathname)) return;
    if (a.hash && a.pathname === location.pathname) return;
    e.preventDefault();
    go(a.pathname + a.search);
    document.getElementById('main')?.focus({ preventScroll: true });
  });
}

/** Views are the first parts of paths that the server answers with this page. */
export const views = ['', 'flights', 'flight', 'footage', 'map', 'history', 'stations', 'queue', 'paddocks', 'surveys', 'shared', 'settings', 'programs'];
const isView = (path: string) => views.includes(path.split('/')[1]);
