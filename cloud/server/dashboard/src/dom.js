// Helpers for elements.

export const $ = (id) => document.getElementById(id);

// h makes an element: h('p', {class: 'x', onclick: f}, 'text', child).
export function h(tag, props = {}, ...children) {
  const el = document.createElement(tag);
  for (const [k, v] of Object.entries(props)) {
    if (v === undefined || v === null || v === false) continue;
    if (k.startsWith('on')) el.addEventListener(k.slice(2), v);
    else if (v === true) el.setAttribute(k, '');
    else el.setAttribute(k, v);
  }
  el.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return el;
}

// say announces a text to screen readers.
export function say(text) { $('say').textContent = text; }

// setText changes a text only when it differs, so that it does not disturb screen readers
// and selections.
export function setText(el, text) { if (el.textContent !== text) el.textContent = text; }
