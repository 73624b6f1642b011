// The footage and flights that the page knows, kept true by events.
import { useEffect, useState } from 'preact/hooks';
import { get } from './api';
import { on } from './live';
import { reading } from './opening';
import type { Count, Flight, Footage, Job, Page } from './types';

/** Filters of a list of footage, as the server takes them. */
export type Filters = { site?: string; device?: string; state?: string; paddock?: string; from?: string; to?: string; name?: string; sort?: string };

/** showsSibling reports whether footage shows the job and the count of another file of its flight. */
export const showsSibling = (v: Footage) => Boolean(v.sibling_of) && v.job?.footage !== v.id;

const newer = <T extends { seq: number }>(a?: T, b?: T) => (!b || (a && a.seq > b.seq) ? a : b);

/** merge keeps the newer job, and the newer count if it is of that job's footage. */
export function merge(old: Footage | undefined, v: Partial<Footage>): Footage {
  const job = newer(old?.job, v.job);
  const count = newer(old?.count, v.count);
  const merged = { ...old, ...v, job, count: job && count && job.footage !== count.footage ? undefined : count } as Footage;
  if (v.seq && !v.flight) delete merged.flight; // it left its flight
  return merged;
}

/** Stock is one list of footage with the flights that its pieces belong to. */
export class Stock {
  footage = new Map<string, Footage>();
  flights = new Map<string, Flight>();
  next = '';
  loaded = false;
  at = 0;
  error?: Error;
  private filters: Filters;
  private watchers = new Set<() => void>();
  private off: (() => void)[] = [];

  constructor(filters: Filters) { this.filters = filters; }

  watch(f: () => void): () => void {
    if (this.watchers.size === 0) this.listen();
    this.watchers.add(f);
    return () => {
      this.watchers.delete(f);
      if (this.watchers.size === 0) { this.off.forEach((stop) => stop()); this.off = []; }
    };
  }

  private listen(): void {
    this.off = [
      on('ready', () => this.load()),
      on('footage', (v: Footage) => this.arrived(v)),
      on('job', (j: Job) => this.jobChanged(j)),
      on('count', (c: Count) => this.each(c.footage, (v) => merge(v, { count: c }))),
      on('flight', (v: Flight) => { if (this.flights.has(v.id) || v.parts.some((p) => this.footage.has(p.footage))) { this.putFlight(v); this.changed(); } }),
    ];
    if (this.loaded) this.load(); else reading(this.load());
  }

  private changed(): void { for (const f of this.watchers) f(); }
  private putFlight(v: Flight): void { if ((this.flights.get(v.id)?.seq ?? 0) <= v.seq) this.flights.set(v.id, v); }

  private each(id: string, f: (v: Footage) => Footage): void {
    for (const v of this.footage.values()) {
      if (v.id === id || v.duplicate_of === id || (v.sibling_of === id && showsSibling(v))) this.footage.set(v.id, f(v));
    }
    this.changed();
  }

  private jobChanged(j: Job): void { this.each(j.footage, (v) => merge(v, { job: j })); }

  private filtered(): boolean { return Object.values(this.filters).some(Boolean); }

  private async arrived(v: Footage): Promise<void> {
    if (!this.footage.has(v.id) && this.filtered()) return; // whether it belongs here, the server tells at the next load
    const whole = v.duplicate_of || v.sibling_of ? await get<Footage>(`/api/v1/footage/${encodeURIComponent(v.id)}`) : v;
    this.footage.set(v.id, merge(this.footage.get(v.id), whole));
    await this.fetchFlight(whole.flight);
    this.changed();
  }

  private async fetchFlight(id?: string): Promise<void> {
    if (!id || this.flights.has(id)) return;
    try { this.putFlight(await get<Flight>(`/api/v1/flights/${encodeURIComponent(id)}`)); } catch { /* its parts stand alone */ }
  }

  private path(after = ''): string {
    const q = new URLSearchParams({ limit: '50' });
    for (const [k, v] of Object.entries(this.filters)) if (v) q.set(k, v);
    if (after) q.set('after', after);
    return `/api/v1/footage?${q}`;
  }

  /** load reads the newest footage; older footage that was read stays. */
  async load(): Promise<void> {
    try {
      const page = await get<Page<Footage>>(this.path());
      if (!this.loaded) this.next = page.next ?? '';
      await this.add(page);
      this.error = undefined;
    } catch (err) {
      this.error = err as Error;
    }
    this.loaded = true;
    this.changed();
  }

  /** more reads older footage. */
  async more(): Promise<void> {
    const page = await get<Page<Footage>>(this.path(this.next));
    this.next = page.next ?? '';
    await this.add(page);
    this.changed();
  }

  private async add(page: Page<Footage>): Promise<void> {
    this.at = Date.now();
    for (const v of page.items) this.footage.set(v.id, merge(this.footage.get(v.id), v));
    const flights = new Set(page.items.map((v) => v.flight).filter(Boolean));
    await Promise.all([...flights].map((id) => this.fetchFlight(id)));
  }
}

const stocks = new Map<string, Stock>();

/** useStock returns the list with these filters, and draws again when it changes. */
export function useStock(filters: Filters): Stock {
  const key = JSON.stringify(filters);
  if (!stocks.has(key)) {
    if (stocks.size > 8) stocks.clear();
    stocks.set(key, new Stock(filters));
  }
  const stock = stocks.get(key)!;
  const [, draw] = useState(0);
  useEffect(() => stock.watch(() => draw((n) => n + 1)), [stock]);
  return stock;
}
