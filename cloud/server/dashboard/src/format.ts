// Numbers, times and states in readable form.
import { settings } from './settings';
import { t, type Key } from './words';

export const number = (n: number, digits = 0) => new Intl.NumberFormat(settings.language, { maximumFractionDigits: digits }).format(n);
export const signed = (n: number) => new Intl.NumberFormat(settings.language, { signDisplay: 'exceptZero' }).format(n);

export function bytes(n: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let i = 0;
  while (n >= 1000 && i < units.length - 1) { n /= 1000; i++; }
  return `${number(n, i === 0 || n >= 100 ? 0 : 1)} ${units[i]}`;
}

/** metres shows a length in the chosen units. */
export const metres = (m: number) => settings.units === 'metric' ? `${number(m, m < 10 ? 1 : 0)} m` : `${number(m / 0.3048)} ft`;

const parts: Intl.DateTimeFormatOptions = { month: 'short', day: 'numeric', hour: 'numeric', minute: '2-digit' };
export function when(text?: string): string {
  if (!text) return t('unknown');
  const d = new Date(text);
  const year = d.getFullYear() === new Date().getFullYear() ? {} : { year: 'numeric' as const };
  return new Intl.DateTimeFormat(settings.language, { ...year, ...parts }).format(d);
}

/** zone names the time zone of every time on the page. */
export const zone = () => new Intl.DateTimeFormat(settings.language, { timeZoneName: 'short' }).formatToParts().find((p) => p.type === 'timeZoneName')?.value ?? '';

export function lasting(seconds: number): string {
  if (seconds < 10) return t('few_seconds');
  if (seconds < 90) return `${Math.round(seconds / 5) * 5} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${number(seconds / 3600, 1)} h`;
}

export function ago(at?: string | number | Date): string {
  if (!at) return t('never');
  const s = (Date.now() - new Date(at).getTime()) / 1000;
  if (s < 90) return t('just_now');
  if (s < 5400) return t('min_ago', { n: Math.round(s / 60) });
  if (s < 129600) return t('h_ago', { n: Math.round(s / 3600) });
  return t('days_ago', { n: Math.round(s / 86400) });
}

export const clock = (s: number) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, '0')}`;

const states: Record<string, [Key, string]> = {
  uploaded: ['st_waiting', 'wait'], queued: ['st_waiting', 'wait'], leased: ['st_starting', 'work'], processing: ['st_counting', 'work'],
  done: ['st_done', 'good'], failed: ['st_failed', 'bad'], poisoned: ['st_given_up', 'bad'], canceled: ['st_canceled', ''],
};
export function state(s = ''): [string, string] {
  const [key, kind] = states[s] ?? ['st_received', ''];
  return [t(key), kind];
}
export const ended = (s = '') => ['done', 'failed', 'poisoned', 'canceled'].includes(s);
/** uncounted reports whether a job has ended without a count. */
export const uncounted = (s = '') => ['failed', 'poisoned', 'canceled'].includes(s);
/** retryable reports whether another attempt can help. A failed job has a fault of its file, which stays. */
export const retryable = (s = '') => ['poisoned', 'canceled'].includes(s);
export const interval = (c: { low: number; high: number }) => c.low === c.high ? t('exactly') : t('interval', { low: number(c.low), high: number(c.high) });
export function stage(s = ''): string {
  const known: Record<string, Key> = { download: 'sg_download', detect: 'sg_detect', report: 'sg_report' };
  return t(known[s] ?? 'sg_other');
}
