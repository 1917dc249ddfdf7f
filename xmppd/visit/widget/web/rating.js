// The question how it was, when it is over: five stars as radio buttons, then a comment.
import {$, el, icon} from './dom.js';

export class Rating {
  constructor(text, send) {
    const labels = [1, 2, 3, 4, 5].map((n) => {
      const input = el('input', {type: 'radio', name: 'stars', value: n, 'aria-label': text.say('star', {n: text.number(n)})});
      return el('label', {}, input, icon('star'));
    });
    $('stars').append(...labels);
    $('stars').addEventListener('change', () => {
      const stars = this.stars;
      labels.forEach((l, i) => l.classList.toggle('on', i < stars));
      $('remark').hidden = $('rated').hidden = !stars;
    });
    $('rating').addEventListener('submit', async (e) => {
      e.preventDefault();
      if (!this.stars || $('rated').disabled) return;
      $('rated').disabled = true;
      const fault = await send(this.stars, $('comment').value.trim());
      $('rated').disabled = false;
      $('unrated').textContent = fault || '';
      if (!fault) this.clear();
    });
    this.labels = labels;
  }

  get stars() {
    return Number($('stars').querySelector(':checked')?.value || 0);
  }

  clear() {
    $('rating').reset();
    $('remark').hidden = $('rated').hidden = true;
    for (const l of this.labels) l.classList.remove('on');
  }
}
