// A file in the conversation: a picture as such, all else by its name. Both come from strangers.
import {el, icon} from './dom.js';
import {safe} from './links.js';

const pictures = ['image/jpeg', 'image/png', 'image/gif', 'image/webp'];

// FileView shows one; text is the widget's strings, plain cleans a name, cancel is called when the visitor wants it not sent.
export class FileView {
  element = el('span', {class: 'file'});
  #is = '';

  constructor(text, plain, cancel) {
    Object.assign(this, {text, plain, cancel});
  }

  // change shows a file as it is now: on its way while it has no url, and part of it is there.
  change(file, part, failed) {
    const {text, element} = this, name = this.plain(file.name) || text.say('file');
    const is = [file.url, failed, name].join('\n');
    if (is !== this.#is) {
      this.#is = is;
      const url = safe(file.url || ''), label = [el('bdi', {class: 'name'}, name), el('small', {}, text.size(file.size))];
      if (url && pictures.includes(file.type)) element.replaceChildren(this.#picture(url, name, label));
      else if (url) element.replaceChildren(this.#link(url, name, ...label));
      else element.replaceChildren(icon('sheet'), ...label, ...(failed || file.id ? [] : this.#way()));
    }
    const bar = element.querySelector('progress');
    if (bar) bar.value = part || 0;
  }

  #link(url, name, ...children) {
    return el('a', {href: url, target: '_blank', rel: 'noopener noreferrer', title: name}, icon('sheet'), ...children, el('span', {class: 'sr'}, ' (' + this.text.say('newTab') + ')'));
  }

  // One that can't be shown, because it is gone or is no picture, is a link.
  #picture(url, name, label) {
    const img = el('img', {src: url, alt: name, loading: 'lazy', referrerpolicy: 'no-referrer'});
    const a = el('a', {href: url, target: '_blank', rel: 'noopener noreferrer', title: name}, img, el('span', {class: 'sr'}, ' (' + this.text.say('newTab') + ')'));
    img.addEventListener('error', () => a.replaceWith(this.#link(url, name, ...label)));
    return a;
  }

  #way() {
    const stop = el('button', {type: 'button'}, this.text.say('cancel'));
    stop.addEventListener('click', this.cancel);
    return [el('progress', {max: 1, 'aria-label': this.text.say('sending')}), stop];
  }
}
