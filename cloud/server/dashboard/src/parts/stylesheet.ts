const loaded = new Set<string>();

/** stylesheet loads a style that only a part of the page needs, once. */
export function stylesheet(href: string): void {
  if (loaded.has(href)) return;
  loaded.add(href);
  document.head.append(Object.assign(document.createElement('link'), { rel: 'stylesheet', href }));
}
