// What the visitor sends besides words: chosen, dropped or pasted; one file after the other.
import {$} from './dom.js';

// Why a file is not taken, as the server says it, and what that is called here.
const faults = {too_large: 'fileTooLarge', type: 'fileType', refused: 'fileRefused', limit: 'fileLimit'};

// fits says whether a file of that type is taken: "image/*" is all of a kind.
export const fits = (types, type) => types.includes(type) || types.includes(type.split('/')[0] + '/*');

export class Attach {
  #files = new Map(); // id → File that has not arrived
  #line = Promise.resolve();
  #request = null; // {id, xhr}: what is under way

  // taken is what may be sent, {size, types}; token() what is sent with it; take(event) gets 'wrote', 'progress' and 'error'; reason(code, detail, wait) says why something is
  // refused; done(id, file) that it has arrived.
  constructor({base, taken, text, token, random, take, reason, done}) {
    Object.assign(this, {base, taken, text, token, random, take, reason, done});
    $('clip').hidden = !taken;
    if (!taken) return;
    $('files').accept = taken.types.join(',');
    $('clip').addEventListener('click', () => $('files').click());
    $('files').addEventListener('change', () => {
      this.add([...$('files').files]);
      $('files').value = ''; // or the same file can't be chosen again
      $('text').focus();
    });
    $('text').addEventListener('paste', (e) => {
      const files = [...e.clipboardData.files];
      if (!files.length) return;
      e.preventDefault();
      this.add(files);
    });
    const over = (e) => e.dataTransfer?.types.includes('Files');
    addEventListener('dragover', (e) => {
      if (!over(e)) return;
      e.preventDefault(); // or the browser opens what is dropped
      document.body.classList.toggle('drop', !$('composer').hidden);
    });
    addEventListener('dragleave', (e) => e.relatedTarget || document.body.classList.remove('drop'));
    addEventListener('drop', (e) => {
      document.body.classList.remove('drop');
      if (!over(e)) return;
      e.preventDefault();
      if (!$('composer').hidden) this.add([...e.dataTransfer.files]);
    });
  }

  add(files) {
    for (const f of files) this.send(this.random(), f);
  }

  // send shows a file as being sent, and sends it when those before it are there.
  send(id, f) {
    this.#files.set(id, f);
    this.take({type: 'wrote', id, text: '', file: {name: f.name, type: f.type, size: f.size}, at: new Date().toISOString()});
    const fault = f.size > this.taken.size ? 'too_large' : !fits(this.taken.types, f.type) ? 'type' : '';
    if (fault) return this.#failed(id, fault);
    this.#line = this.#line.then(() => this.#upload(id, f));
  }

  // again tries what did not arrive; false if there is no such file here.
  again(id) {
    const f = this.#files.get(id);
    if (f) this.send(id, f);
    return !!f;
  }

  cancel(id) {
    this.#files.delete(id);
    if (this.#request?.id === id) this.#request.xhr.abort();
    this.take({type: 'dropped', id});
  }

  clear() {
    this.#files.clear();
    this.#request?.xhr.abort();
  }

  #failed(id, code, detail, wait) {
    const text = faults[code] ? this.text.say(faults[code], {size: this.text.size(this.taken.size)}) : this.reason(code, detail, wait);
    this.take({type: 'error', of: 'file', id, text, final: !!faults[code]}); // the same again would get the same
  }

  #upload(id, f) {
    if (this.#files.get(id) !== f) return; // it was cancelled
    return new Promise((over) => {
      const xhr = new XMLHttpRequest(); // fetch does not say how far it is
      this.#request = {id, xhr};
      xhr.open('POST', this.base + 'files?name=' + encodeURIComponent(f.name));
      xhr.setRequestHeader('Authorization', 'Bearer ' + this.token());
      xhr.setRequestHeader('Content-Type', f.type);
      xhr.responseType = 'json';
      xhr.upload.onprogress = (e) => this.take({type: 'progress', id, part: e.loaded / (e.total || 1)});
      xhr.onload = () => {
        const got = xhr.response || {};
        if (xhr.status !== 201) return this.#failed(id, got.code || String(xhr.status), got.detail, Number(xhr.getResponseHeader('Retry-After')));
        this.#files.delete(id);
        this.done(id, got.file);
      };
      xhr.onerror = () => this.#failed(id, 'unavailable');
      xhr.onloadend = over;
      xhr.send(f);
    });
  }
}
