// The line where the visitor writes: Enter sends, Shift and Enter begin a line.
import {$} from './dom.js';

const rest = 5_000; // milliseconds without a key, then nobody is writing

export class Composer {
  #typing = false;
  #timer = null;

  constructor(say, typing) {
    this.typing = typing;
    const text = $('text');
    $('composer').addEventListener('submit', (e) => {
      e.preventDefault();
      const said = text.value.trim();
      if (!said) return;
      text.value = '';
      this.#grow();
      this.#is(false);
      say(said);
      text.focus();
    });
    text.addEventListener('keydown', (e) => {
      if (e.key === 'Enter' && !e.shiftKey && !e.isComposing) {
        e.preventDefault();
        $('composer').requestSubmit();
      }
    });
    text.addEventListener('input', () => {
      this.#grow();
      this.#is(text.value.trim() !== '');
    });
    $('send').disabled = true;
  }

  #is(on) {
    $('send').disabled = !$('text').value.trim();
    clearTimeout(this.#timer);
    if (on) this.#timer = setTimeout(() => this.#is(false), rest);
    if (on !== this.#typing) this.typing((this.#typing = on));
  }

  #grow() {
    const text = $('text');
    text.style.height = 'auto';
    text.style.height = Math.min(text.scrollHeight + 2, 120) + 'px';
  }
}
