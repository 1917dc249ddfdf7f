// The conversation as the visitor sees it. An element stays while its item is there, so that a screen reader says each
// once; what becomes of a message changes a text in place, and is not announced.
import {FileView} from './file.js';
import {el, icon, linked, portrait} from './dom.js';
import {status} from './state.js';

const icons = {sending: 'clock', sent: 'tick', delivered: 'ticks', read: 'ticks', failed: 'clock'};

export class Log {
  #lines = new Map(); // key → line
  atEnd = true;

  constructor(list, text, again, cancel) {
    Object.assign(this, {list, text, again, cancel});
    // Whoever reads the end goes on to do so, whatever comes beneath or is said.
    let height = 0; // a list that has just become smaller was not scrolled by anybody
    list.addEventListener('scroll', () => list.clientHeight === height && (this.atEnd = list.scrollHeight - list.scrollTop - height < 40));
    new ResizeObserver(() => {
      height = list.clientHeight;
      if (this.atEnd) this.end();
    }).observe(list);
  }

  draw(s) {
    const {atEnd} = this;
    const keys = new Set();
    let place = null, before = null, grown = false;
    for (const item of s.items) {
      const key = item.key || item.id || 'seq' + item.seq;
      keys.add(key);
      let line = this.#lines.get(key);
      if (!line) {
        line = item.note ? this.#note(item) : this.#message(item);
        this.#lines.set(key, line);
        grown ||= !line.mine;
        if (line.mine) this.toEnd = true;
      }
      const next = place ? place.nextSibling : this.list.firstChild;
      if (next !== line.element) this.list.insertBefore(line.element, next);
      place = line.element;
      const more = !item.note && !before?.note && before?.from?.kind === item.from.kind && before.from.name === item.from.name;
      line.element.classList.toggle('more', !!more);
      line.change?.(s, item, more);
      before = item;
    }
    for (const [key, line] of this.#lines) {
      if (!keys.has(key)) {
        line.element.remove();
        this.#lines.delete(key);
      }
    }
    if (this.toEnd || (grown && atEnd)) this.end();
    this.toEnd = false;
  }

  end() {
    this.list.scrollTop = this.list.scrollHeight;
    this.atEnd = true;
  }

  clear() {
    this.#lines.clear();
    this.list.replaceChildren();
  }

  #note(item) {
    const element = el('li', {class: 'middle'});
    // What was said may come after the word that nobody is there.
    const say = (s) => this.text.say(item.note !== 'offline' ? item.note : s.items.some((i) => i.from?.kind === 'visitor') ? 'left' : 'nobody', {name: isolated(item.name)});
    return {element, change: (s) => set(element, say(s))};
  }

  #message(item) {
    const {text} = this, kind = item.from.kind, mine = kind === 'visitor';
    const body = el('p', {class: 'text', dir: 'auto'});
    const who = el('bdi', {}, mine ? text.say('you') : plain(item.from.name) || text.say('agent'));
    const name = el('span', {class: mine || kind === 'system' ? 'who sr' : 'who'}, who), face = el('span', {class: 'face', 'aria-hidden': 'true'});
    if (kind === 'agent') name.prepend(face);
    if (kind === 'bot') name.append(el('i', {}, text.say('bot')));
    const foot = el('span', {class: 'foot'});
    const element = el('li', {class: kind === 'system' ? 'middle' : mine ? 'mine' : 'theirs'}, ...(kind === 'system' ? [body] : [name, body, foot]));
    const time = el('time'), edited = el('span'), state = document.createTextNode(''), picture = el('span');
    foot.append(time, edited);
    let file, shown, was; // file and shown: what is in body
    if (mine) foot.append(picture, el('span', {class: 'sr'}, state));
    return {
      element,
      mine,
      change: (s, i, more) => {
        if (kind !== 'system' && !mine) name.classList.toggle('sr', more);
        if (kind === 'agent' && !more) portrait(face, plain(i.from.name), i.from.avatar);
        if (i.file) {
          if (!file) body.replaceChildren((file = new FileView(text, plain, () => this.cancel(item))).element);
          file.change(i.file, i.part, i.failed);
        } else if (file || shown !== i.text) {
          body.replaceChildren(...linked(i.text, text.say('newTab')));
          [file, shown] = [undefined, i.text];
        }
        time.dateTime = i.at || '';
        set(time, day(i.at) === day(Date.now()) ? text.time(i.at) : text.moment(i.at));
        set(edited, i.corrected ? text.say('corrected') : '');
        const now = mine ? status(s, i) : '';
        if (!mine || now === was) return;
        was = now;
        foot.classList.toggle('bad', now === 'failed');
        picture.className = now;
        if (now === 'failed') {
          const again = el('button', {type: 'button'}, text.say(i.final ? 'remove' : 'again'));
          again.addEventListener('click', () => (i.final ? this.cancel(i) : this.again(i)));
          picture.replaceChildren(text.say('failed') + (i.failed ? ': ' + i.failed : ''), ' ', again);
          state.data = '';
        } else {
          picture.replaceChildren(icon(icons[now]));
          state.data = text.say(now);
        }
      },
    };
  }
}

const day = (at) => new Date(at).toDateString();
const set = (e, text) => e.textContent === text || (e.textContent = text);

// plain is a name without the marks that would have it, or what follows, read the other way round.
export const plain = (name = '') => name.replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '').trim();

// isolated is a name within a sentence: the direction that it is written in ends with it.
export const isolated = (name) => '\u2068' + plain(name) + '\u2069';
