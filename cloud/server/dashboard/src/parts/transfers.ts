// Uploads of this browser by tus: they resume after a lost connection, a pause or a reload, and go on in every view.
import type * as tus from 'tus-js-client';
import { credentials, Declined, needToken, problemFrom } from '../api';
import { bytes, lasting } from '../format';
import { t } from '../words';
import { say } from './say';

const atOnce = 2;
const mostListed = 50;
const videos = /\.(mp4|mov|m4v|mkv|webm|avi|ts|mts|m2ts)$/i;

/** State of one upload of this browser. */
export type Transfer = {
  id: number; name: string; size: number; line: string; share?: number; file?: File; stored?: string;
  site: string; active: boolean; paused: boolean; failed: boolean; done: boolean; again: boolean; turn: number; upload?: tus.Upload; began?: { at: number; sent: number };
};

/** uploadSite is the site of the next uploads, for a person who may upload at several; '' leaves it to the server. */
export let uploadSite = '';
export function setUploadSite(site: string): void { uploadSite = site; }

export const transfers: Transfer[] = [];
const queue: Transfer[] = [];
const watchers = new Set<() => void>();
let running = 0;
// The part that uploads is loaded by the first upload.
const loadTus = () => import('tus-js-client');
const storedUploads = 'tus::'; // how its keys in localStorage begin
let last = 0;

export function watch(f: () => void): () => void { watchers.add(f); return () => watchers.delete(f); }
function changed(): void { for (const f of watchers) f(); }

/** isOwn reports whether this browser is uploading such a file now. */
export const isOwn = (name: string, size: number) => transfers.some((x) => x.file && !x.done && x.name === name && (!size || x.size === size));

function make(name: string, size: number): Transfer {
  const x: Transfer = { id: ++last, name, size, line: t('up_waiting'), share: 0, site: uploadSite, active: false, paused: false, failed: false, done: false, again: false, turn: 0 };
  transfers.push(x);
  return x;
}

function drop(x: Transfer): void {
  const i = transfers.indexOf(x);
  if (i >= 0) transfers.splice(i, 1);
  changed();
}

addEventListener('beforeunload', (e) => { if (running > 0) e.preventDefault(); });

/** listUnfinished adds the unfinished uploads of earlier visits. The browser may read a file only after it is chosen again. */
export async function listUnfinished(): Promise<void> {
  if (!Object.keys(localStorage).some((k) => k.startsWith(storedUploads))) return;
  const left = await (await loadTus()).defaultOptions.urlStorage.findAllUploads();
  for (const u of left.slice(0, mostListed)) {
    if (transfers.some((x) => x.stored === u.urlStorageKey || (x.file && x.name === u.metadata?.filename && x.size === u.size))) continue;
    Object.assign(make(u.metadata?.filename || '?', u.size ?? 0), { stored: u.urlStorageKey, share: undefined, line: t('up_unfinished', { size: bytes(u.size ?? 0) }) });
  }
  changed();
}

/** add starts the upload of files, at most two at once. */
export async function add(files: File[]): Promise<void> {
  if (files.length === 0) return;
  try { await needToken(); } catch (err) { if (err instanceof Declined) return; throw err; }
  for (const file of files) {
    const old = transfers.find((x) => x.stored && x.name === file.name && x.size === file.size);
    if (old) drop(old);
    const x = make(file.name, file.size);
    x.file = file;
    if (file.size === 0) fail(x, t('up_empty'));
    else if (!videos.test(file.name) && !file.type.startsWith('video/')) fail(x, t('up_type'));
    else queue.push(x);
  }
  changed();
  next();
}

function next(): void {
  while (running < atOnce && queue.length > 0) {
    running++;
    begin(queue.shift()!);
  }
}

async function begin(x: Transfer): Promise<void> {
  x.active = true;
  x.began = undefined;
  line(x, t('up_connecting'));
  const file = x.file!;
  const turn = ++x.turn;
  const loaded = await loadTus().catch(() => undefined);
  if (!x.active || x.turn !== turn) return; // paused or removed meanwhile
  if (!loaded) return fail(x, t('up_unreachable'), true);
  x.upload = new loaded.Upload(file, {
    endpoint: '/files/',
    retryDelays: [500, 1000, 2000, 5000, 10000, 20000, 30000, 30000, 60000, 60000],
    metadata: { filename: file.name, filetype: file.type || 'application/octet-stream', captured: new Date(file.lastModified).toISOString() },
    removeFingerprintOnSuccess: true,
    onBeforeRequest: (req) => {
      if (req.getURL().startsWith('http') && new URL(req.getURL()).origin !== location.origin) throw new Error('the server redirected the upload to another site');
      for (const [k, v] of Object.entries(credentials())) req.setHeader(k, v);
      if (x.site) req.setHeader('Upload-Site', x.site);
    },
    onShouldRetry: (err) => {
      const status = (err as tus.DetailedError).originalResponse?.getStatus() ?? 0;
      if (status === 0) line(x, t('up_lost'));
      return status === 0 || status === 409 || status === 423 || status === 429 || status >= 500;
    },
    onProgress: (sent, total) => progress(x, sent, total ?? file.size),
    onError: (err) => failed(x, err),
    onSuccess: () => finish(x),
  });
  try {
    const earlier = await x.upload.findPreviousUploads();
    if (earlier.length > 0) x.upload.resumeFromPreviousUpload(earlier[0]);
  } catch { /* without stored uploads it starts from the beginning */ }
  if (x.active) x.upload.start();
}

function line(x: Transfer, text: string): void { x.line = text; changed(); }

function progress(x: Transfer, sent: number, total: number): void {
  const now = Date.now();
  x.began ??= { at: now, sent };
  const seconds = (now - x.began.at) / 1000;
  const rate = seconds > 1 ? (sent - x.began.sent) / seconds : 0;
  x.share = total ? sent / total : 0;
  const left = rate > 0 ? ` · ${bytes(rate)}/s · ${t('left', { time: lasting((total - sent) / rate) })}` : '';
  line(x, sent >= total ? t('up_checking') : `${t('up_of', { sent: bytes(sent), total: bytes(total) })}${left}`);
}

function release(x: Transfer): void {
  if (!x.active) return;
  x.active = false;
  running--;
  next();
}

/** toggle pauses an upload, or continues a paused or failed one. */
export function toggle(x: Transfer): void {
  if (x.paused || x.failed) {
    x.paused = x.failed = false;
    queue.push(x);
    line(x, t('up_waiting'));
    next();
    return;
  }
  x.paused = true;
  x.upload?.abort();
  unqueue(x);
  line(x, t('up_paused'));
  release(x);
}

function unqueue(x: Transfer): void {
  const i = queue.indexOf(x);
  if (i >= 0) queue.splice(i, 1);
}

/** cancel ends an upload and removes it from the list, and from the uploads of earlier visits. */
export async function cancel(x: Transfer): Promise<void> {
  unqueue(x);
  if (x.stored) await (await loadTus()).defaultOptions.urlStorage.removeUpload(x.stored);
  x.upload?.abort(true).catch(() => { /* the server deletes it later */ });
  release(x);
  drop(x);
}

async function failed(x: Transfer, err: Error | tus.DetailedError): Promise<void> {
  const r = (err as tus.DetailedError).originalResponse;
  if (!r) return fail(x, t('up_unreachable'), true);
  const p = problemFrom(r.getStatus(), r.getBody());
  if (p.status !== 401) return fail(x, p.message, p.status >= 500);
  fail(x, t('up_refused'), true);
  try {
    await needToken(t('token_bad'));
    toggle(x);
  } catch (e) { if (!(e instanceof Declined)) throw e; }
}

function fail(x: Transfer, text: string, again = false): void {
  Object.assign(x, { failed: true, again, share: undefined });
  line(x, text);
  say(t('upload_failed_said', { name: x.name, text }));
  release(x);
}

function finish(x: Transfer): void {
  Object.assign(x, { share: 1, done: true });
  line(x, t('up_done'));
  say(t('uploaded_said', { name: x.name }));
  release(x);
  setTimeout(() => drop(x), 5000);
}
