// What is asked before a contact is opened: the fields that the account wants, and what it is about.
import {$, el} from './dom.js';
import {labelOf} from './text.js';

const kinds = {email: ['email', 'email'], tel: ['tel', 'tel'], url: ['url', 'url'], number: ['number', ''], name: ['text', 'name']};

export class Start {
  constructor(config, text, open) {
    Object.assign(this, {config, text});
    $('fields').replaceChildren(...(config.form || []).map((f) => this.#field(f)));
    $('start').addEventListener('submit', async (e) => {
      e.preventDefault();
      if ($('begin').disabled) return;
      this.#busy(true);
      const fault = await open(this.#values());
      this.#busy(false);
      $('fault').textContent = fault || '';
      if (fault) $('begin').focus();
    });
    $('first').addEventListener('keydown', (e) => {
      if (e.key === 'Enter' && !e.shiftKey && !e.isComposing) {
        e.preventDefault();
        $('start').requestSubmit();
      }
    });
    this.draw();
  }

  draw() {
    const {config, text} = this, open = config.open !== false;
    $('greeting').textContent = open ? text.say('greeting') : config.opens ? text.say('awayUntil', {when: text.moment(config.opens)}) : text.say('away');
    $('begin').textContent = text.say(open ? 'start' : 'leave');
  }

  focus() {
    ($('fields').querySelector('input, textarea') || $('first')).focus();
  }

  clear() {
    $('first').value = '';
  }

  #busy(on) {
    $('begin').disabled = on;
    if (on) $('begin').textContent = this.text.say('starting');
    else this.draw();
  }

  #field(f) {
    const label = labelOf(f, this.text.language);
    const [type, complete] = kinds[f.type] || (f.name === 'name' ? kinds.name : ['text', 'off']);
    const same = {name: f.name, required: !!f.required};
    let input;
    if (f.type === 'textarea') input = el('textarea', {...same, rows: 3});
    else input = el('input', {...same, type, autocomplete: complete});
    return el('label', {}, el('span', {}, label, f.required ? el('em', {'aria-hidden': 'true'}, ' *') : ''), input);
  }

  #values() {
    const values = {text: $('first').value.trim()}, fields = {};
    for (const input of $('fields').querySelectorAll('[name]')) {
      const value = input.value.trim();
      if (!value) continue;
      if (input.name === 'name') values.name = value;
      else fields[input.name] = value;
    }
    if (Object.keys(fields).length) values.fields = fields;
    return values;
  }
}
