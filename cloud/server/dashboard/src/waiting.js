// Footage of which the cloud has only the thumbnail: the video is still at its station.

import { get } from './api.js';
import { $, h, setText } from './dom.js';
import * as f from './format.js';

export async function load() {
  const { items, next } = await get('/api/v1/waiting?limit=24');
  $('waiting').hidden = items.length === 0;
  setText($('waiting-count'), `${f.plural(items.length, 'piece', 'pieces')}${next ? ' and more' : ''}`);
  $('waiting-list').replaceChildren(...items.map((v) => h('li', { 'data-footage': v.footage },
    h('img', { src: `/api/v1/footage/${encodeURIComponent(v.footage)}/thumbnail`, alt: `Thumbnail of ${v.name}`, loading: 'lazy' }),
    h('span', { class: 'name', title: v.name }, v.name), h('span', { class: 'meta' }, [v.device, f.when(v.captured || v.received)].join(' · ')))));
}
