import assert from 'node:assert/strict';
import {test} from 'node:test';
import {backoff, eventsOf, Link, waits} from '../web/socket.js';
import {Fake} from './fake.js';

const begin = () => {
  const env = new Fake();
  const link = new Link({base: 'https://chat.example/visit/acme/', token: 'T', take: (f) => env.heard.push(f), env});
  link.start();
  return {env, link};
};
const welcome = {type: 'welcome', contact: {id: 'c', state: 'active'}};
const message = (seq, text, from = {kind: 'agent', name: 'Anna'}, id = 'm' + seq) => ({type: 'message', seq, id, from, text});

test('a connection begins with hello, and comes back for what follows', () => {
  const {env} = begin();
  assert.equal(env.socket.url, 'wss://chat.example/visit/acme/socket');
  assert.equal(env.socket.protocol, 'parley.visit.1');
  env.socket.open();
  assert.deepEqual(env.socket.sent, [{type: 'hello', token: 'T', after: 0}]);
  env.socket.says(welcome, message(1, 'a'), message(4, 'b'), {type: 'delivered', seq: 9}, {type: 'said', id: 'x', seq: 7});
  env.socket.breaks();
  assert.equal(env.took('offline').length, 1);
  env.pass(waits.first);
  assert.equal(env.sockets.length, 2);
  env.socket.open();
  assert.deepEqual(env.socket.sent, [{type: 'hello', token: 'T', after: 4}]);
});

test('what comes twice is taken once', () => {
  const {env} = begin();
  env.socket.open();
  env.socket.says(welcome, message(1, 'a'), message(2, 'b'), message(2, 'b'), message(1, 'a'), {type: 'state', seq: 2, contact: {}}, message(3, 'c'));
  assert.deepEqual(env.took('message').map((m) => m.text), ['a', 'b', 'c']);
  assert.equal(env.took('state').length, 0);
});

test('what was said is sent again with the same id until it is answered', () => {
  const {env, link} = begin();
  link.say('one', 'first'); // before there is a connection
  env.socket.open();
  assert.equal(env.socket.sent.length, 1);
  env.socket.says(welcome);
  link.say('two', 'second');
  link.say('three', 'third');
  const said = () => env.socket.sent.filter((f) => f.type === 'say').map((f) => f.id);
  assert.deepEqual(said(), ['one', 'two', 'three']);
  env.socket.says({type: 'said', id: 'two', seq: 5});
  env.socket.breaks();
  env.pass(waits.first);
  env.socket.open();
  env.socket.says(welcome, message(4, 'first', {kind: 'visitor'}, 'one'));
  assert.deepEqual(said(), ['one', 'three']);
  assert.deepEqual(link.pending, [{id: 'three', text: 'third'}]);
  env.socket.says({type: 'error', id: 'three', code: 'too-long', text: 'too long'});
  env.socket.breaks();
  env.pass(waits.first);
  env.socket.open();
  env.socket.says(welcome);
  assert.deepEqual(said(), []);
});

test('a connection that is silent is asked, then given up', () => {
  const {env} = begin();
  env.socket.open();
  env.socket.says(welcome);
  env.pass(waits.ping);
  assert.deepEqual(env.socket.sent.at(-1), {type: 'ping'});
  env.socket.says({type: 'pong'});
  env.pass(waits.ping);
  env.pass(waits.answer);
  assert.equal(env.took('offline').length, 1);
  assert.equal(env.socket.readyState, 3);
  env.pass(waits.first);
  assert.equal(env.sockets.length, 2);
});

test('what an abandoned connection still says is not heard', () => {
  const {env} = begin();
  const first = env.socket;
  first.open();
  const late = first.onmessage;
  first.says(welcome);
  first.breaks();
  late({data: JSON.stringify(message(1, 'ghost'))});
  assert.equal(env.took('message').length, 0);
});

test('attempts are further and further apart, and each a little different', () => {
  assert.deepEqual([0, 1, 2, 3, 4, 5, 60].map((n) => backoff(n, () => 1)), [1, 2, 4, 8, 16, 30, 30].map((s) => s * 1000));
  assert.equal(backoff(3, () => 0), 4000);
});

test('after goodbye there is no other attempt, but after a restart', () => {
  for (const code of ['closed', 'expired', 'elsewhere']) {
    const {env, link} = begin();
    env.socket.open();
    env.socket.says(welcome, {type: 'bye', code});
    env.pass(3_600_000);
    link.wake();
    assert.equal(env.sockets.length, 1, code);
    assert.equal(env.took('bye')[0].code, code);
  }
  const {env} = begin();
  env.socket.open();
  env.socket.says(welcome, {type: 'bye', code: 'restart'});
  env.pass(waits.first);
  assert.equal(env.sockets.length, 2);
  assert.equal(env.took('bye').length, 0);
});

test('who wakes does not wait', () => {
  const {env, link} = begin();
  env.socket.breaks();
  env.pass(waits.first);
  env.requests[0].fail(new Error('no network'));
  return Promise.resolve().then(() => {}).then(() => {}).then(() => {
    assert.equal(env.sockets.length, 1);
    link.wake();
    assert.equal(env.sockets.length, 2);
  });
});

test('what is not a frame is passed over', () => {
  const {env} = begin();
  env.socket.open();
  env.socket.says('{', 'null', '7', '{"type":7}', welcome, message(1, 'a'));
  assert.deepEqual(env.heard.map((f) => f.type), ['welcome', 'online', 'message']);
});

test('where WebSockets are blocked, events and posts carry the same', async () => {
  const {env, link} = begin();
  link.say('one', 'first');
  env.socket.breaks();
  env.pass(waits.first);
  const [events] = env.requests;
  assert.equal(events.url, 'https://chat.example/visit/acme/events');
  assert.equal(events.options.headers.Authorization, 'Bearer T');
  assert.equal(events.options.headers['Last-Event-ID'], '0');
  let stream;
  events.answer(new Response(new ReadableStream({start: (c) => (stream = c)})));
  await until(() => env.requests.length === 2);
  const [, post] = env.requests;
  assert.equal(post.url, 'https://chat.example/visit/acme/frames');
  assert.deepEqual(JSON.parse(post.options.body), {type: 'say', id: 'one', text: 'first'});
  link.say('two', 'second');
  post.answer(Response.json({type: 'said', id: 'one', seq: 1}));
  await until(() => env.requests.length === 3); // one after the other
  assert.deepEqual(link.pending, [{id: 'two', text: 'second'}]);
  env.requests[2].answer(Response.json({detail: 'too long'}, {status: 413}));
  await until(() => env.took('error').length === 1);
  assert.deepEqual(link.pending, []);
  const bytes = new TextEncoder().encode('id: 3\ndata: ' + JSON.stringify(message(3, 'Grüße')) + '\n\n');
  const within = bytes.indexOf(0xc3) + 1; // between the two bytes of a letter
  stream.enqueue(bytes.slice(0, within));
  stream.enqueue(bytes.slice(within));
  await until(() => env.took('message').length === 1);
  assert.equal(env.took('message')[0].text, 'Grüße');
  stream.close();
  await until(() => env.took('offline').length === 1);
  env.pass(waits.first);
  assert.equal(env.sockets.length, 2); // it is tried anew
  link.stop();
});

test('a token that is not known ends it', async () => {
  const {env} = begin();
  env.socket.breaks();
  env.pass(waits.first);
  env.requests[0].answer(new Response('', {status: 401}));
  await until(() => env.took('bye').length === 1);
  env.pass(3_600_000);
  assert.equal(env.sockets.length + env.requests.length, 2);
});

test('events are read however they are cut', () => {
  const text = ': hello\r\n\r\nid: 1\r\ndata: {"a":\r\ndata: 1}\r\n\r\nevent: x\ndata:{"a":2}\n\n';
  for (let size = 1; size <= text.length; size++) {
    const got = [];
    const feed = eventsOf((f) => got.push(f));
    for (let i = 0; i < text.length; i += size) feed(text.slice(i, i + size));
    assert.deepEqual(got, [{a: 1}, {a: 2}], 'in pieces of ' + size);
  }
});

async function until(holds) {
  for (let i = 0; i < 1000; i++) {
    if (holds()) return;
    await new Promise((go) => setImmediate(go));
  }
  assert.fail('it never came: ' + holds);
}
