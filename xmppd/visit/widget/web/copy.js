// What was said, by mail: to the address that the visitor has given before, or to any, where the account allows that.
import {$} from './dom.js';

export class Copy {
  #sent = false;

  // allowed is 'known', 'any' or nothing; send(email) answers what was wrong.
  constructor(text, allowed, send) {
    Object.assign(this, {text, allowed});
    $('copy').addEventListener('submit', async (e) => {
      e.preventDefault();
      if ($('copying').disabled) return;
      $('copying').disabled = true;
      const fault = await send($('email').value.trim());
      $('copying').disabled = false;
      $('uncopied').textContent = fault || '';
      this.#sent = !fault;
      $('copied').textContent = fault ? '' : text.say('copied');
      $('copy').hidden = !fault || $('copy').hidden;
      if (!fault) $('anew').focus();
    });
  }

  // draw shows the form, if it is wanted; known is the address, in so far as it is shown.
  draw(wanted, known) {
    $('copy').hidden = !wanted || this.#sent || !(known ? this.allowed : this.allowed === 'any');
    $('mine').hidden = $('email').disabled = !!known;
    $('known').textContent = known ? this.text.say('copyTo', {address: known}) : '';
  }

  clear() {
    this.#sent = false;
    $('copy').reset();
    $('copied').textContent = $('uncopied').textContent = '';
  }
}
