import assert from 'node:assert/strict';
import {readdirSync, readFileSync} from 'node:fs';
import {test} from 'node:test';
import {contrast, format, inkOn, luminance, parse, readable} from '../web/colour.js';
import {parts} from '../web/links.js';
import {stores} from '../web/store.js';
import {choose, labelOf, locale, Text} from '../web/text.js';

const links = (text) => parts(text).filter((p) => p.href).map((p) => p.href);

test('only what begins with https:// is a link', () => {
  for (const text of ['http://a.example', 'javascript:alert(1)', 'data:text/html,x', 'https:/a.example', 'https://', 'https://?', 'shop.example', 'xmpp:a@b', '<a href=x>y</a>']) {
    assert.deepEqual(parts(text), [text]);
  }
  assert.deepEqual(links('see https://a.example/x?y=1#z and HTTPS://B.example'), ['https://a.example/x?y=1#z', 'https://b.example/']);
});

test('a link ends where the sentence does', () => {
  for (const [text, href] of [['https://a.example/.', 'https://a.example/'], ['(https://a.example/b)', 'https://a.example/b'], ['https://a.example/b_(c)', 'https://a.example/b_(c)'],
    ['https://a.example/b?!', 'https://a.example/b'], ['“https://a.example/b”', 'https://a.example/b%E2%80%9D'], ['"https://a.example/b"', 'https://a.example/b'], ['<https://a.example>', 'https://a.example/']]) {
    assert.deepEqual(links(text), [href], text);
  }
});

test('a link that looks like another is none', () => {
  assert.deepEqual(links('https://bank.example@evil.example/ https://user:pw@evil.example'), []);
  assert.deepEqual(links('https://a.example/\u202egnp.exe'), ['https://a.example/']);
});

test('the parts of a text are the text', () => {
  for (const text of ['', 'a', 'https://a.example', ' https://a.example. https://b.example, c ', '\u202ehttps://a.example\u202c']) {
    assert.equal(parts(text).map((p) => p.text ?? p).join(''), text);
  }
});

test('colours', () => {
  assert.deepEqual(parse('#Fa0'), [255, 170, 0]);
  assert.deepEqual(parse('#0a0b0c'), [10, 11, 12]);
  for (const bad of ['', null, 'red', '#12', '#12345', '#gggggg', '#fff;}', 'url(x)']) assert.equal(parse(bad), null);
  assert.equal(format([255, 170, 0]), '#ffaa00');
  assert.equal(luminance([255, 255, 255]), 1);
  assert.equal(luminance([0, 0, 0]), 0);
  assert.equal(contrast([0, 0, 0], [255, 255, 255]), 21);
  assert.equal(contrast([118, 118, 118], [255, 255, 255]).toFixed(2), '4.54'); // the example of many pages about WCAG
});

test('whatever colour a shop has, what is written on it and in it can be read', () => {
  const steps = [0, 51, 102, 153, 204, 255];
  for (const r of steps) for (const g of steps) for (const b of steps) {
    const colour = [r, g, b];
    assert.ok(contrast(inkOn(colour), colour) >= 4.5, format(colour));
    for (const back of [[0xf1, 0xf3, 0xf7], [0x25, 0x2a, 0x35]]) assert.ok(contrast(readable(colour, back), back) >= 4.5, format(colour));
  }
  assert.equal(format(readable([0, 0, 128], [255, 255, 255])), '#000080'); // and stays as it is where it can be
});

test('the language is the first wish that there is', () => {
  assert.equal(choose(['de-AT', 'en']), 'de');
  assert.equal(choose(['fr', '', undefined, 'IT_it']), 'it');
  assert.equal(choose(['fr']), 'en');
  assert.equal(choose(['en', 'de'], ['de', 'xx']), 'de');
  assert.equal(choose(['en'], ['it']), 'it');
  assert.equal(choose(['fr'], ['xx', 'it', 'de']), 'it');
  assert.equal(choose(['__proto__']), 'en');
  assert.equal(locale('de', ['en-GB', 'de-CH']), 'de-CH');
  assert.equal(locale('it', ['en']), 'it');
});

test('numbers and times are those of the language', () => {
  const de = new Text({place: 'Nummer {n} von {n}, {x}'}, 'de');
  assert.equal(de.say('place', {n: de.number(1234)}), 'Nummer 1.234 von 1.234, {x}');
  assert.equal(de.say('lacking'), 'lacking');
  assert.equal(de.span(20), '1 Minute');
  assert.equal(de.span(150), '3 Minuten');
  assert.equal(new Text({}, 'en').span(2 * 3600), '2 hours');
  assert.equal(de.time('no time'), '');
  assert.equal(labelOf({name: 'email', label: {en: 'E-mail', de: 'Adresse'}}, 'de'), 'Adresse');
  assert.equal(labelOf({name: 'email', label: {en: 'E-mail'}}, 'de'), 'E-mail');
  assert.equal(labelOf({name: 'email', label: 'Mail'}, 'de'), 'Mail');
  assert.equal(labelOf({name: 'email'}, 'de'), 'email');
});

test('all languages say the same things, about the same', async () => {
  const [en, ...others] = await Promise.all(['en', 'it', 'de'].map(async (l) => [l, (await import(`../web/lang/${l}.js`)).default]));
  const names = (s) => [...s.matchAll(/\{\w+\}/g)].map((m) => m[0]).sort();
  for (const [l, strings] of others) {
    assert.deepEqual(Object.keys(strings), Object.keys(en[1]), l);
    for (const k of Object.keys(strings)) assert.deepEqual(names(strings[k]), names(en[1][k]), `${l}: ${k}`);
  }
});

test('each text is said somewhere, and each that is said is there', async () => {
  const web = new URL('../web/', import.meta.url);
  const code = readdirSync(web).filter((f) => /\.(js|html)$/.test(f)).map((f) => readFileSync(new URL(f, web), 'utf8')).join('\n');
  const {default: en} = await import('../web/lang/en.js');
  for (const key of Object.keys(en)) assert.match(code, new RegExp(`['"]${key}['"]`), key);
  for (const m of code.matchAll(/(?:text\.say\('|data-(?:text|label|hint)=")(\w+)/g)) assert.ok(m[1] in en, m[1]);
});

test('a browser that refuses storage has a chat for as long as the page', () => {
  const refuses = {get localStorage() { throw new Error('SecurityError'); }, sessionStorage: {setItem() { throw new Error('QuotaExceededError'); }}};
  for (const slot of Object.values(stores('acme', refuses))) {
    assert.equal(slot.get(), null);
    slot.set({token: 'T'});
    assert.deepEqual(slot.get(), {token: 'T'});
    slot.set(null);
    assert.equal(slot.get(), null);
  }
  const kept = {};
  const storage = {setItem: (k, v) => (kept[k] = v), getItem: (k) => kept[k] ?? null, removeItem: (k) => delete kept[k]};
  const env = {localStorage: storage, sessionStorage: storage};
  stores('acme', env).keep.set({token: 'T'});
  assert.deepEqual(stores('acme', env).keep.get(), {token: 'T'});
  assert.equal(stores('other', env).keep.get(), null);
  kept['parley:acme'] = '{';
  assert.equal(stores('acme', env).keep.get(), null);
});
