// The frame: what is known, what is shown of it, and what the visitor does.
import {$, portrait} from './dom.js';
import {format, inkOn, parse, readable, usual} from './colour.js';
import {Attach} from './attach.js';
import {Composer} from './composer.js';
import {Copy} from './copy.js';
import {Host} from './host.js';
import {isolated, Log, plain} from './log.js';
import {Rating} from './rating.js';
import {Link} from './socket.js';
import {Start} from './start.js';
import * as st from './state.js';
import {stores} from './store.js';
import {choose, languages, Text} from './text.js';
import {work} from './work.js';

const base = new URL('.', location.href).href.split('#')[0];
const account = decodeURIComponent(new URL(base).pathname.split('/').at(-2));
const {keep, visitor, pending, opened} = stores(account);
const host = new Host();
const random = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');

const settings = await host.settings();
let config = await configured();
const language = choose([settings.lang, ...navigator.languages], config.languages || languages);
const {default: strings} = await import(`./lang/${language}.js`);
const text = new Text({...strings, ...settings.strings}, language, [settings.lang, ...navigator.languages]);

let page = settings; // where the visitor is, and what the shop says of them
let open = host.alone;
let state = st.fresh();
let link = null;
let opening = null; // the id of the contact that is being opened: the same until that is answered
let received = 0; // up to where the server knows that it has arrived
let silent = null; // until when the other's typing is believed

// A server that can't be reached now may be in a moment.
async function configured() {
  for (let wait = 2_000; ; wait = Math.min(wait * 2, 60_000)) {
    try {
      const answer = await fetch(base + 'config');
      if (answer.ok) return await answer.json();
      if (answer.status < 500 && answer.status !== 429) throw new Error('Parley: there is no chat for the account ' + account);
    } catch (e) {
      if (!(e instanceof TypeError)) throw e;
    }
    await new Promise((done) => setTimeout(done, wait * (0.5 + Math.random())));
  }
}

function paint() {
  const accent = parse(settings.colour) || parse(config.colours?.accent) || parse(usual);
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const root = document.documentElement.style;
  const apply = () => root.setProperty('--link', format(readable(accent, dark.matches ? [0x25, 0x2a, 0x35] : [0xf1, 0xf3, 0xf7])));
  const colours = {accent: format(accent), ink: format(inkOn(accent))};
  for (const [name, value] of Object.entries(colours)) root.setProperty('--' + name, value);
  dark.addEventListener('change', apply);
  apply();
  return colours;
}

function label() {
  document.documentElement.lang = language;
  document.title = text.say('title');
  for (const e of document.querySelectorAll('[data-text]')) e.textContent = text.say(e.dataset.text);
  for (const e of document.querySelectorAll('[data-label]')) {
    e.setAttribute('aria-label', text.say(e.dataset.label));
    if (e.localName === 'button') e.title = text.say(e.dataset.label);
  }
  for (const e of document.querySelectorAll('[data-hint]')) e.placeholder = text.say(e.dataset.hint);
  $('hide').hidden = host.alone;
}

const log = new Log($('log'), text, (item) => attach.again(item.id) || say(item.text, item.id, item.file), (item) => attach.cancel(item.id));
const start = new Start(config, text, begin);
const rating = new Rating(text, rate);
const copy = new Copy(text, config.transcript, (email) => post({type: 'transcript', email}, {invalid: 'badEmail'}));
const attach = new Attach({base, taken: config.files, text, random, take, reason, token: () => keep.get()?.token, done: (id, file) => say('', id, file)});
new Composer((said) => say(said, random()), (on) => link?.send({type: 'typing', on}));

// begin opens a contact, and answers what was wrong.
async function begin(values, again) {
  opening ||= random();
  const {page: at, title, identity, group} = page;
  const body = {id: opening, ...values, page: at, title, lang: text.locale};
  if (identity) body.identity = identity;
  if (group) body.group = group;
  if (!identity && visitor.get()) body.visitor = visitor.get();
  if (config.work) body.work = await work(config.work, opening);
  let answer;
  try {
    answer = await fetch(base + 'contacts', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)});
  } catch {
    return text.say('unreachable'); // and the next attempt has the same id
  }
  if (answer.status >= 500) return text.say('unreachable');
  const got = await answer.json().catch(() => ({}));
  if (got.code === 'work' && !again) { // it took too long, or the account has just begun to ask for it
    config = await configured();
    return begin(values, true);
  }
  opening = null;
  if (got.code === 'conflict') return begin(values); // an answer was lost, and what is said is not the same any more
  if (!answer.ok) return reason(got.code || String(answer.status), got.detail, Number(answer.headers.get('Retry-After')));
  if (got.visitor) visitor.set(got.visitor);
  keep.set({token: got.token, shown: 0});
  start.clear();
  take({type: 'opened', contact: got.contact});
  connect();
  focus();
}

// reason is why something is refused, in the visitor's language where there are words for it.
function reason(code, detail, wait) {
  if (code === 'limit' || code === '429') return text.say('tooMany', {time: text.span(wait || 60)});
  if (code === 'banned' || code === '403') return text.say('refused');
  if (code === 'too_long' || code === '413') return text.say('tooLong');
  return (code !== 'unavailable' && detail) || text.say('unreachable');
}

function connect() {
  link?.stop();
  link = new Link({base, token: keep.get().token, take, after: link?.after});
  for (const p of pending.get() || []) write(p.text, p.id, p.file);
  $('log').setAttribute('aria-busy', 'true'); // what was said before is not announced
  link.start();
}

function say(said, id, file) {
  if (!link || state.bye) return;
  write(said, id, file);
  pending.set(link.pending);
}

function write(said, id, file) {
  take({type: 'wrote', id, text: said, file, at: new Date().toISOString()});
  link.say(id, said, file);
}

// post asks for something by itself, since a connection ends with the conversation. It answers what was wrong.
async function post(frame, words = {}) {
  try {
    const answer = await fetch(base + 'frames', {method: 'POST', body: JSON.stringify(frame), headers: {'Content-Type': 'application/json', Authorization: 'Bearer ' + keep.get()?.token}});
    if (answer.ok) return '';
    const got = await answer.json();
    return words[got.code] ? text.say(words[got.code]) : reason(got.code || String(answer.status), got.detail, Number(answer.headers.get('Retry-After')));
  } catch {
    return text.say('unreachable');
  }
}

async function rate(stars, comment) {
  const fault = await post({type: 'rate', stars, comment});
  if (fault) return fault;
  keep.set({...keep.get(), rated: true});
  $('thanks').textContent = text.say('thanks');
  state = {...state, asked: false};
  draw();
  (st.over(state) ? $('anew') : $('text')).focus();
}

// anew forgets the contact.
function anew() {
  link?.stop();
  link = null;
  received = 0;
  keep.set(null);
  pending.set(null);
  state = st.fresh();
  log.clear();
  rating.clear();
  copy.clear();
  attach.clear();
  $('thanks').textContent = '';
  draw();
  focus();
}

function take(frame) {
  const had = state;
  if (frame.type === 'error' && frame.of !== 'file') frame = {...frame, text: reason(frame.code, frame.text)};
  state = st.reduce(state, frame);
  if (frame.type === 'online') setTimeout(() => $('log').setAttribute('aria-busy', 'false'), 500);
  if (['said', 'error', 'message'].includes(frame.type) && link) pending.set(link.pending.length ? link.pending : null);
  if (frame.type === 'typing') {
    clearTimeout(silent);
    silent = setTimeout(() => take({type: 'typing', on: false}), 30_000);
  }
  if (['message', 'wrote'].includes(frame.type) && !st.over(state)) $('thanks').textContent = ''; // they go on
  if (frame.type === 'bye' && frame.code === 'expired' && !had.items.length) return anew();
  look();
  draw();
}

// look tells the server what the visitor has seen.
function look() {
  const seq = st.newest(state);
  if (!link || seq <= state.shown) return;
  if (!open || document.hidden) {
    if (seq > received && link.send({type: 'received', seq})) received = seq;
    return;
  }
  if (!link.send({type: 'read', seq})) return;
  state = st.reduce(state, {type: 'shown', seq});
  keep.set({...keep.get(), shown: seq});
}

let toldUnread = 0;
function draw() {
  const contact = state.contact, over = st.over(state) || state.bye === 'expired', agent = plain(contact?.agent?.name);
  $('start').hidden = !!contact;
  $('talk').hidden = !contact;
  $('composer').hidden = !contact || over || !!state.bye;
  const asked = state.asked && !over;
  $('over').hidden = !contact || !(over || asked || $('thanks').textContent);
  $('anew').hidden = !over;
  $('later').hidden = !asked;
  $('end').hidden = !contact || over || !!state.bye;
  const met = state.items.some((i) => i.from?.kind === 'agent');
  $('rating').hidden = !(asked || (over && met && !keep.get()?.rated && !contact?.rating && state.bye !== 'expired'));
  copy.draw(over && met && state.bye !== 'expired', contact?.mail);
  set($('title'), agent || text.say('title'));
  portrait($('face'), agent, contact?.agent?.avatar);
  const line = !contact ? (config.open === false ? 'offline' : 'online') : over ? 'expired' : st.waiting(state) ? 'waiting' : contact.state === 'offline' ? 'offline' : '';
  set($('with'), line ? text.say(line) : agent ? text.say('online') : '');
  set($('typing'), state.typing && !over ? text.say('typing', {name: isolated(state.typing.name || agent || text.say('agent'))}) : '');
  notice(contact, over);
  log.draw(state);
  const n = st.unread(state);
  if (n !== toldUnread) host.tell('unread', {count: n, label: text.say('openUnread', {n: text.number(n)})});
  toldUnread = n;
}

// notice is the line under the heading: a connection that is lost, a place in the queue.
function notice(contact, over) {
  if (state.bye === 'elsewhere') {
    if ($('notice').firstElementChild) return;
    const here = document.createElement('button');
    here.type = 'button';
    here.textContent = text.say('here');
    here.addEventListener('click', () => {
      state = {...state, bye: ''};
      set($('notice'), '');
      connect();
    });
    return $('notice').replaceChildren(text.say('elsewhere'), here);
  }
  if (!contact || over) return set($('notice'), '');
  if (state.bye) return set($('notice'), text.say('refused'));
  if (!state.online) return set($('notice'), text.say(link?.after ? 'reconnecting' : 'connecting'));
  if (!st.waiting(state) || !contact.position) return set($('notice'), '');
  const place = contact.position === 1 ? text.say('next') : text.say('position', {n: text.number(contact.position)});
  set($('notice'), contact.wait ? place + ' ' + text.say('wait', {time: text.span(contact.wait)}) : place);
}

const set = (e, value) => e.textContent === value || (e.textContent = value);

function focus() {
  if (!open) return;
  if (!state.contact) start.focus();
  else if (!$('composer').hidden) $('text').focus();
  else $('anew').focus();
}

$('anew').textContent = text.say('fresh');
$('anew').addEventListener('click', anew);
$('later').addEventListener('click', () => {
  state = {...state, asked: false};
  draw();
  $('text').focus();
});
$('hide').addEventListener('click', () => host.tell('close'));
$('end').addEventListener('click', () => $('ask').showModal());
$('no').addEventListener('click', () => $('ask').close());
$('yes').addEventListener('click', () => {
  $('ask').close();
  link?.send({type: 'close'});
});
addEventListener('keydown', (e) => {
  if (e.key === 'Escape' && !$('ask').open && !e.defaultPrevented && !e.isComposing) host.tell('close');
});
for (const what of ['focus', 'online', 'pageshow']) addEventListener(what, () => link?.wake());
document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  link?.wake();
  look();
  draw();
});
// Another tab has opened a contact, or forgotten it.
addEventListener('storage', (e) => {
  if (e.key !== keep.key) return;
  const kept = keep.get();
  if (kept && !state.contact) resume();
  else if (!kept && state.contact) anew();
  else if (kept) take({type: 'shown', seq: kept.shown || 0});
});
host.listen((m) => {
  if (m.type === 'open' || m.type === 'page') page = {...page, page: m.page, title: m.title};
  if (m.type === 'identity' || m.type === 'group') page = {...page, [m.type]: m[m.type]};
  if (m.type === 'open' || m.type === 'shut') opened.set((open = m.type === 'open'));
  if (m.type !== 'open') return;
  look();
  draw();
  log.end();
  if (m.focus) focus();
});

function resume() {
  const kept = keep.get();
  if (!kept?.token) return;
  state = {...state, contact: {state: ''}, shown: kept.shown || 0};
  connect();
}

const colours = paint();
label();
resume();
draw();
document.body.hidden = false;
host.tell('ready', {
  colours,
  open: !!opened.get(),
  labels: {open: text.say('openChat'), close: text.say('closeChat'), frame: text.say('title'), unread: text.say('openUnread', {n: text.number(toldUnread)})},
});
if (host.alone) focus();
