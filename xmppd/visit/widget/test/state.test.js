import assert from 'node:assert/strict';
import {test} from 'node:test';
import {fresh, newest, over, reduce, status, unread, waiting} from '../web/state.js';

const after = (...events) => events.reduce(reduce, fresh());
const wrote = (id, text = id) => ({type: 'wrote', id, text, at: '2026-11-28T10:00:00Z'});
const message = (seq, kind = 'agent', id = 'm' + seq) => ({type: 'message', seq, id, from: {kind, name: kind === 'agent' ? 'Anna' : undefined}, text: 'text ' + seq});
const state = (seq, is, agent) => ({type: 'state', seq, contact: {state: is, agent: agent && {name: agent}}});
const order = (s) => s.items.map((i) => i.note || i.id);

test('what the visitor says goes from being sent to read', () => {
  let s = after(wrote('a'));
  const is = () => status(s, s.items[0]);
  assert.equal(is(), 'sending');
  for (const [event, then] of [[{type: 'said', id: 'a', seq: 5, at: 'x'}, 'sent'], [{type: 'delivered', seq: 4}, 'sent'], [{type: 'delivered', seq: 5}, 'delivered'],
    [{type: 'read', seq: 6}, 'read'], [{type: 'delivered', seq: 1}, 'read']]) {
    s = reduce(s, event);
    assert.equal(is(), then);
  }
});

test('what is refused says why, and can be said again', () => {
  let s = after(wrote('a'), {type: 'error', id: 'a', code: 'x', text: 'too long'});
  assert.equal(status(s, s.items[0]), 'failed');
  assert.equal(s.items[0].failed, 'too long');
  s = reduce(s, wrote('a'));
  assert.equal(s.items.length, 1);
  assert.equal(status(s, s.items[0]), 'sending');
});

test('messages stand by their numbers, what has none yet last', () => {
  let s = after(message(3), wrote('a'), message(5), wrote('b'), {type: 'said', id: 'a', seq: 4});
  assert.deepEqual(order(s), ['m3', 'a', 'm5', 'b']);
  s = reduce(s, {type: 'said', id: 'b', seq: 6});
  assert.deepEqual(order(s), ['m3', 'a', 'm5', 'b']);
});

test('a message whose answer was lost is not shown twice', () => {
  assert.deepEqual(order(after(wrote('a'), message(4, 'visitor', 'a'))), ['a']);
  assert.deepEqual(order(after(message(4, 'visitor', 'a'), wrote('a'), {type: 'said', id: 'a', seq: 4})), ['a']);
  // Nor where the server's id is another than ours.
  assert.deepEqual(order(after(wrote('a'), message(4, 'visitor', 'server'), {type: 'said', id: 'a', seq: 4})), ['a']);
  assert.deepEqual(order(after({type: 'said', id: 'never', seq: 4})), []);
});

test('a correction changes the message', () => {
  const s = after(message(3), {type: 'corrected', seq: 4, id: 'm3', from: {kind: 'agent'}, text: 'new'}, {type: 'corrected', seq: 5, id: 'm3', from: {kind: 'visitor'}, text: 'forged'});
  assert.deepEqual([s.items[0].text, s.items[0].corrected], ['new', true]);
  // Into a file, and out of one.
  const file = {id: 'f1', name: 'bill.pdf'}, by = {type: 'corrected', id: 'm3', from: {kind: 'agent'}};
  const filed = reduce(s, {...by, seq: 6, text: 'https://…', file});
  assert.deepEqual(filed.items[0].file, file);
  assert.equal(reduce(filed, {...by, seq: 7, text: 'not this one'}).items[0].file, undefined);
});

test('what happens to the contact is told in lines', () => {
  const s = after({type: 'opened', contact: {state: 'queued'}}, state(1, 'queued'), state(2, 'offered'), state(3, 'active', 'Anna'), message(4), state(5, 'idle', 'Anna'), state(6, 'active', 'Anna'),
    state(7, 'held', 'Anna'), state(8, 'transferring', 'Anna'), state(9, 'active', 'Bob'), state(10, 'queued'), state(11, 'offline'), state(12, 'closed'), state(13, 'finalized'));
  assert.deepEqual(order(s), ['joined', 'm4', 'held', 'transferring', 'joined', 'requeued', 'offline', 'ended']);
  assert.deepEqual(s.items.filter((i) => i.note === 'joined').map((i) => i.name), ['Anna', 'Bob']);
  assert.ok(over(s));
});

test('who comes back sees the same lines, whatever the contact is by now', () => {
  const s = after({type: 'welcome', contact: {state: 'active', agent: {name: 'Anna'}}}, state(1, 'queued'), state(2, 'active', 'Anna'));
  assert.deepEqual(order(s), ['joined']);
  assert.equal(s.contact.agent.name, 'Anna');
});

test('the place in the queue', () => {
  const s = after({type: 'opened', contact: {id: 'c', state: 'queued', position: 3, wait: 60}}, {type: 'queue', position: 2, wait: 30}, state(1, 'offered'));
  assert.ok(waiting(s) && !over(s));
  assert.deepEqual([s.contact.position, s.contact.wait], [2, 30]);
});

test('unread is what others said and nobody saw', () => {
  let s = after(message(1), message(2, 'visitor'), message(3, 'bot'), {type: 'shown', seq: 1});
  assert.deepEqual([unread(s), newest(s)], [1, 3]);
  s = reduce(s, {type: 'shown', seq: 3});
  assert.equal(unread(s), 0);
});

test('nobody writes any more who has written, or is gone', () => {
  const typing = {type: 'typing', on: true, from: {kind: 'agent', name: 'Anna'}};
  assert.equal(after(typing).typing.name, 'Anna');
  for (const e of [message(1), {type: 'typing', on: false}, {type: 'offline'}, state(2, 'closed')]) assert.equal(after(typing, e).typing, null);
  assert.ok(after(typing, message(1, 'visitor')).typing);
});

test('what is not known changes nothing', () => {
  const s = after(message(1));
  for (const e of [{type: 'pong'}, {type: '__proto__'}, {type: 'error', code: 'x'}]) assert.equal(reduce(s, e), s);
});
