// What is said, in the visitor's language: strings from one file a language, numbers and times by the browser.

export const languages = ['en', 'it', 'de'];

// choose is the first language wished for that there is, or the first offered: "de-AT" is German.
export function choose(wishes, offered = languages) {
  const there = offered.filter((l) => languages.includes(l));
  for (const wish of wishes) {
    const language = String(wish || '').toLowerCase().split(/[-_]/)[0];
    if (there.includes(language)) return language;
  }
  return there[0] || languages[0];
}

// locale is how numbers and times are written: the visitor's own manner where it is of the language.
export const locale = (language, own) => own.find((l) => String(l).toLowerCase().split('-')[0] === language) || language;

export class Text {
  constructor(strings, language, own = []) {
    this.strings = strings;
    this.language = language;
    this.locale = locale(language, own);
  }

  // say is a string with {names} replaced.
  say(key, values = {}) {
    return String(this.strings[key] ?? key).replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
  }

  number(n) {
    return new Intl.NumberFormat(this.locale).format(n);
  }

  // size is a number of bytes.
  size(n) {
    const [value, unit] = n >= 1e6 ? [n / 2 ** 20, 'megabyte'] : [Math.max(1, Math.ceil(n / 1024)), 'kilobyte'];
    return new Intl.NumberFormat(this.locale, {style: 'unit', unit, unitDisplay: 'short', maximumFractionDigits: value < 10 ? 1 : 0}).format(value);
  }

  // span is a number of seconds for somebody who waits.
  span(seconds) {
    const [n, unit] = seconds < 3600 ? [Math.max(1, Math.round(seconds / 60)), 'minute'] : [Math.round(seconds / 3600), 'hour'];
    return new Intl.NumberFormat(this.locale, {style: 'unit', unit, unitDisplay: 'long'}).format(n);
  }

  time(at) {
    return this.#date(at, {hour: 'numeric', minute: '2-digit'});
  }

  day(at) {
    return this.#date(at, {weekday: 'long', day: 'numeric', month: 'long'});
  }

  moment(at) {
    return this.#date(at, {weekday: 'long', hour: 'numeric', minute: '2-digit'});
  }

  #date(at, how) {
    const d = new Date(at);
    return isNaN(d) ? '' : new Intl.DateTimeFormat(this.locale, how).format(d);
  }
}

// labelOf is what the shop calls a field: a string, or one for each language.
export function labelOf(field, language) {
  const l = field.label;
  return typeof l === 'string' ? l : l?.[language] || l?.en || Object.values(l || {})[0] || field.name;
}
