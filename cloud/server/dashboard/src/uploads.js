// Uploads by tus: they resume after a lost connection, a pause or a reload.

import * as tus from 'tus-js-client';
import { Declined, needToken, problemFrom } from './api.js';
import { $, h, say, setText } from './dom.js';
import { bytes, lasting } from './format.js';

const atOnce = 2;
const maxListed = 50;
const videos = /\.(mp4|mov|m4v|mkv|webm|avi|ts|mts|m2ts)$/i;
const queue = [];
let running = 0;

export function setup() {
  const drop = $('drop');
  $('files').addEventListener('change', (e) => { add([...e.target.files]); e.target.value = ''; });
  let depth = 0;
  const files = (e) => e.dataTransfer?.types.includes('Files');
  addEventListener('dragenter', (e) => { if (files(e)) { depth++; drop.classList.add('over'); } });
  addEventListener('dragleave', (e) => { if (files(e) && --depth <= 0) { depth = 0; drop.classList.remove('over'); } });
  addEventListener('dragover', (e) => { if (files(e)) e.preventDefault(); });
  addEventListener('drop', (e) => {
    if (!files(e)) return;
    e.preventDefault();
    depth = 0;
    drop.classList.remove('over');
    add([...e.dataTransfer.files]);
  });
  addEventListener('beforeunload', (e) => { if (running > 0) e.preventDefault(); });
  listUnfinished();
}

// listUnfinished shows the unfinished uploads of earlier visits. The browser may read a
// file only after the person has chosen it again.
async function listUnfinished() {
  const left = await tus.defaultOptions.urlStorage.findAllUploads();
  for (const u of left.slice(0, maxListed)) {
    const row = makeRow(u.metadata?.filename || 'Unfinished upload');
    row.el.dataset.unfinished = `${u.metadata?.filename}:${u.size}`;
    setText(row.line, `Not finished, ${bytes(u.size)}. Choose the file again to resume.`);
    row.bar.hidden = true;
    row.actions.append(h('button', { class: 'button small', type: 'button', onclick: async () => {
      await tus.defaultOptions.urlStorage.removeUpload(u.urlStorageKey);
      row.el.remove();
    } }, 'Remove'));
  }
}

async function add(files) {
  if (files.length === 0) return;
  try { await needToken(); } catch (err) { if (err instanceof Declined) return; throw err; }
  for (const f of files) {
    document.querySelector(`[data-unfinished="${CSS.escape(`${f.name}:${f.size}`)}"]`)?.remove();
    const t = new Transfer(f);
    if (f.size === 0) t.fail('The file is empty.');
    else if (!videos.test(f.name) && !f.type.startsWith('video/')) t.fail('Unsupported file type. Choose an MP4, MOV, MKV, AVI or TS video.');
    else queue.push(t);
  }
  next();
}

function next() {
  while (running < atOnce && queue.length > 0) {
    running++;
    queue.shift().start();
  }
}

function makeRow(name) {
  const line = h('span', { class: 'up-line' }, 'Waiting');
  const bar = h('progress', { max: 1, value: 0, 'aria-label': `Upload of ${name}` });
  const actions = h('span', { class: 'up-actions' });
  const el = h('li', { class: 'up' }, h('span', { class: 'up-name', title: name }, name), line, actions, bar);
  $('uploads').append(el);
  return { el, line, bar, actions };
}

class Transfer {
  constructor(file) {
    this.file = file;
    this.row = makeRow(file.name);
    this.pauseButton = h('button', { class: 'button small', type: 'button', onclick: () => this.toggle() }, 'Pause');
    this.cancelButton = h('button', { class: 'button small', type: 'button', onclick: () => this.cancel() }, 'Cancel');
    this.row.actions.append(this.pauseButton, this.cancelButton);
    this.active = false;
    this.paused = false;
  }

  async start() {
    this.active = true;
    this.began = undefined;
    setText(this.row.line, 'Connecting…');
    this.upload = new tus.Upload(this.file, {
      endpoint: '/files/',
      retryDelays: [500, 1000, 2000, 5000, 10000, 20000, 30000, 30000, 60000, 60000],
      metadata: {
        filename: this.file.name,
        filetype: this.file.type || 'application/octet-stream',
        captured: new Date(this.file.lastModified).toISOString(),
      },
      removeFingerprintOnSuccess: true,
      onBeforeRequest: (req) => {
        if (req.getURL().startsWith('http') && new URL(req.getURL()).origin !== location.origin) throw new Error('the server redirected the upload to another site');
        req.setHeader('Authorization', `Bearer ${localStorage.getItem('cattle-token') || ''}`);
      },
      onShouldRetry: (err) => {
        const status = err.originalResponse?.getStatus() ?? 0;
        if (status === 0) setText(this.row.line, 'Connection lost. Reconnecting…');
        return status === 0 || status === 409 || status === 423 || status === 429 || status >= 500;
      },
      onProgress: (sent, total) => this.progress(sent, total),
      onError: (err) => this.error(err),
      onSuccess: () => this.done(),
    });
    try {
      const earlier = await this.upload.findPreviousUploads();
      if (earlier.length > 0) this.upload.resumeFromPreviousUpload(earlier[0]);
    } catch { /* without stored uploads it starts from the beginning */ }
    if (this.active) this.upload.start();
  }

  progress(sent, total) {
    const now = Date.now();
    this.began ??= { at: now, sent };
    const seconds = (now - this.began.at) / 1000;
    const rate = seconds > 1 ? (sent - this.began.sent) / seconds : 0;
    this.row.bar.value = total ? sent / total : 0;
    const left = rate > 0 ? ` · ${bytes(rate)}/s · ${lasting((total - sent) / rate)} left` : '';
    setText(this.row.line, sent >= total ? 'Sent. The server is checking the file…' : `${bytes(sent)} of ${bytes(total)}${left}`);
  }

  release() {
    if (!this.active) return;
    this.active = false;
    running--;
    next();
  }

  toggle() {
    if (this.paused || this.failed) {
      this.paused = this.failed = false;
      this.row.el.classList.remove('failed');
      setText(this.pauseButton, 'Pause');
      setText(this.row.line, 'Waiting');
      queue.push(this);
      next();
      return;
    }
    this.paused = true;
    this.upload?.abort();
    const i = queue.indexOf(this);
    if (i >= 0) queue.splice(i, 1);
    setText(this.pauseButton, 'Resume');
    setText(this.row.line, 'Paused');
    this.release();
  }

  cancel() {
    const i = queue.indexOf(this);
    if (i >= 0) queue.splice(i, 1);
    this.upload?.abort(true).catch(() => { /* the server deletes it later */ });
    this.release();
    this.row.el.remove();
  }

  async error(err) {
    const r = err.originalResponse;
    if (!r) return this.fail('The server cannot be reached. It keeps the bytes that it has received.', true);
    const p = problemFrom(r.getStatus(), r.getBody());
    if (p.status !== 401) return this.fail(p.message, p.status >= 500);
    this.fail('The server refused the token.', true);
    try {
      await needToken('The server does not know this token, or the token is revoked.');
      this.toggle();
    } catch (e) { if (!(e instanceof Declined)) throw e; }
  }

  fail(text, again = false) {
    this.failed = true;
    this.row.el.classList.add('failed');
    setText(this.row.line, text);
    setText(this.pauseButton, 'Try again');
    setText(this.cancelButton, 'Remove');
    this.pauseButton.hidden = !again;
    this.row.bar.hidden = true;
    say(`Upload of ${this.file.name} failed: ${text}`);
    this.release();
  }

  done() {
    this.row.bar.value = 1;
    setText(this.row.line, 'Uploaded and checked.');
    this.row.actions.replaceChildren();
    say(`${this.file.name} is uploaded.`);
    this.release();
    setTimeout(() => this.row.el.remove(), 5000);
  }
}
