// The first reads of a view. A view is shown when they have been answered, so that nothing in it moves while it loads.
let open = 0;
const waiting = new Set<() => void>();
const settle = 40; // milliseconds in which an answer may begin further reads
const longest = 3000; // milliseconds; a view whose server is slow is shown with the places of what is still read

/** reading counts p among the first reads until it ends, and returns p. */
export function reading<T>(p: Promise<T>): Promise<T> {
  const end = () => { open--; if (open === 0) for (const f of waiting) f(); };
  open++;
  p.then(end, end);
  return p;
}

/** whenRead calls f once when no first read is left or the longest time has passed, unless the returned function is called. */
export function whenRead(f: () => void): () => void {
  let soon: ReturnType<typeof setTimeout>;
  const stop = () => { waiting.delete(check); clearTimeout(soon); clearTimeout(late); };
  const done = () => { stop(); f(); };
  const check = () => { clearTimeout(soon); soon = setTimeout(() => { if (open === 0) done(); }, settle); };
  const late = setTimeout(done, longest);
  waiting.add(check);
  if (open === 0) check();
  return stop;
}
