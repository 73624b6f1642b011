const loaded = new Map<string, Promise<void>>();

/** stylesheet loads a style that only a part of the page needs, once. It is ready also when the style cannot be loaded. */
export function stylesheet(href: string): Promise<void> {
  let ready = loaded.get(href);
  if (!ready) {
    const link = Object.assign(document.createElement('link'), { rel: 'stylesheet', href });
    ready = new Promise((resolve) => { link.onload = link.onerror = () => resolve(); });
    document.head.append(link);
    loaded.set(href, ready);
  }
  return ready;
}
