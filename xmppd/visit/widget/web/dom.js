// Elements, made without any markup: a text stays a text.
import {parts} from './links.js';

export const $ = (id) => document.getElementById(id);

export function el(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [k, v] of Object.entries(attributes)) if (v !== false && v != null) e.setAttribute(k, v === true ? '' : v);
  e.append(...children);
  return e;
}

// portrait fills an element with somebody's picture, or with the first letter of the name: also where there is no such picture any more.
export function portrait(e, name, avatar = '') {
  const is = name + '\n' + avatar;
  if (e.dataset.is === is) return;
  e.dataset.is = is;
  const letter = name ? [...name][0].toUpperCase() : '';
  if (!/^\/visit\/[\w.-]+\/avatars\/[\w-]+$/.test(avatar)) return e.replaceChildren(letter);
  const img = el('img', {src: avatar, alt: ''});
  img.addEventListener('error', () => e.dataset.is === is && e.replaceChildren(letter));
  e.replaceChildren(img);
}

const drawn = {
  clock: 'M12 7v5l3 2M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18',
  tick: 'M5 12.5l4.5 4.5L19 7',
  ticks: 'M1.5 12.5L6 17l9-10M11 15.5l1.5 1.5L22 7',
  sheet: 'M6 3h8l4 4v14H6zM14 3v4h4',
  star: 'M12 3.2l2.7 5.6 6.1.9-4.4 4.3 1 6.1-5.4-2.9-5.4 2.9 1-6.1L3.2 9.7l6.1-.9z',
};

export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', drawn[name]);
  svg.append(path);
  return svg;
}

// linked is a text with its addresses to click on. The page behind a link learns nothing of this one, and can't reach it.
export function linked(text, newTab) {
  return parts(text).map((p) =>
    typeof p === 'string' ? p : el('a', {href: p.href, target: '_blank', rel: 'noopener noreferrer nofollow', title: p.href}, p.text, el('span', {class: 'sr'}, ' (' + newTab + ')')));
}
