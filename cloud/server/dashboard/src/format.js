// Numbers, times and states in readable form.

const whole = new Intl.NumberFormat();
export const number = (n) => whole.format(n);

export function bytes(n) {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let i = 0;
  while (n >= 1000 && i < units.length - 1) { n /= 1000; i++; }
  return `${n.toFixed(i === 0 || n >= 100 ? 0 : 1)} ${units[i]}`;
}

const parts = { month: 'short', day: 'numeric', hour: 'numeric', minute: '2-digit' };
const thisYear = new Intl.DateTimeFormat(undefined, parts);
const anyYear = new Intl.DateTimeFormat(undefined, { year: 'numeric', ...parts });
export function when(text) {
  if (!text) return 'not known';
  const d = new Date(text);
  return (d.getFullYear() === new Date().getFullYear() ? thisYear : anyYear).format(d);
}

export function lasting(seconds) {
  if (seconds < 10) return 'a few seconds';
  if (seconds < 90) return `${Math.round(seconds / 5) * 5} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

export function ago(text) {
  if (!text) return 'never';
  const s = (Date.now() - new Date(text)) / 1000;
  if (s < 90) return 'just now';
  if (s < 5400) return `${Math.round(s / 60)} min ago`;
  if (s < 129600) return `${Math.round(s / 3600)} h ago`;
  return `${Math.round(s / 86400)} days ago`;
}

const stages = { download: 'Downloading the video', detect: 'Detecting animals', report: 'Writing the report' };
export const stage = (s) => stages[s] || 'Working';

const states = {
  uploaded: ['Waiting', 'wait'], queued: ['Waiting', 'wait'], leased: ['Starting', 'work'], processing: ['Counting', 'work'],
  done: ['Done', 'good'], failed: ['Failed', 'bad'], poisoned: ['Given up', 'bad'], canceled: ['Canceled', ''],
};
export const state = (s) => states[s] || [s || 'Received', ''];
export const ended = (s) => ['done', 'failed', 'poisoned', 'canceled'].includes(s);
export const retryable = (s) => ['failed', 'poisoned', 'canceled'].includes(s);
export const plural = (n, one, many) => `${number(n)} ${n === 1 ? one : many}`;
