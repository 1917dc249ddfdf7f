// What is known of the conversation, as a value, and what each frame changes of it. Nothing here knows of a browser.

export const fresh = () => ({
  contact: null, // as the server has it
  before: null, // ... in the last frame "state"; lines of the conversation tell the difference
  items: [], // messages, and notes about what happened, in order; what has no seq yet is last
  typing: null, // who of the others does
  delivered: 0,
  read: 0,
  shown: 0, // how far the visitor has read
  online: false,
  bye: '', // why the connection has ended for good
  asked: false, // an agent would like to know how it was
});

export const over = (s) => s.bye === 'closed' || ['closed', 'finalized'].includes(s.contact?.state);
export const waiting = (s) => ['queued', 'offered'].includes(s.contact?.state);
export const unread = (s) => s.items.filter((i) => i.from && i.from.kind !== 'visitor' && i.seq > s.shown).length;
export const newest = (s) => s.items.reduce((seq, i) => Math.max(seq, i.from ? i.seq || 0 : 0), 0);

// status is what has become of a message of the visitor's.
export function status(s, item) {
  if (item.failed !== undefined) return 'failed';
  if (!item.seq) return 'sending';
  return item.seq <= s.read ? 'read' : item.seq <= s.delivered ? 'delivered' : 'sent';
}

// reduce takes frames of the server's, and those of this side: opened, online, offline, wrote, shown.
export function reduce(s, e) {
  switch (e.type) {
    case 'opened':
    case 'welcome':
      return {...s, contact: e.contact};
    case 'online':
      return {...s, online: true};
    case 'offline':
      return {...s, online: false, typing: null};
    case 'wrote':
      return {...s, items: [...s.items.filter((i) => i.id !== e.id), {id: e.id, text: e.text, file: e.file, at: e.at, from: {kind: 'visitor'}}]};
    case 'progress': // of a file
      return {...s, items: s.items.map((i) => (i.id === e.id ? {...i, part: e.part} : i))};
    case 'dropped':
      return {...s, items: s.items.filter((i) => i.id !== e.id)};
    case 'said':
      return {...s, items: placed(s.items, {id: e.id, seq: e.seq, at: e.at, failed: undefined}, false)};
    case 'message': {
      const {seq, id, from, text, file, at} = e;
      const same = s.typing && from.kind !== 'visitor';
      return {...s, typing: same ? null : s.typing, items: placed(s.items, {seq, id, from, text, file, at, failed: undefined}, true)};
    }
    case 'corrected':
      return {...s, items: s.items.map((i) => (i.id === e.id && i.from && (!e.from || i.from.kind === e.from.kind) ? {...i, text: e.text, file: e.file, corrected: true} : i))};
    case 'error':
      return e.id ? {...s, items: s.items.map((i) => (i.id === e.id ? {...i, failed: e.text || '', final: e.final} : i))} : s;
    case 'state':
      // The place in the queue is told apart, and only when it is another; where a copy can go to, in the beginning.
      return {...s, contact: {position: s.contact?.position, wait: s.contact?.wait, mail: s.contact?.mail, ...e.contact}, before: e.contact, typing: null, items: [...s.items, ...noted(s.before, e)].sort(bySeq)};
    case 'queue':
      return {...s, contact: {...s.contact, position: e.position, wait: e.wait}};
    case 'typing':
      return {...s, typing: e.on ? e.from || {} : null};
    case 'delivered':
      return {...s, delivered: Math.max(s.delivered, e.seq)};
    case 'read': // what was read has arrived, too
      return {...s, read: Math.max(s.read, e.seq), delivered: Math.max(s.delivered, e.seq)};
    case 'ask':
      if (e.what !== 'rating' || s.asked) return s;
      return {...s, asked: true, items: [...s.items, {key: 'ask' + s.items.length, note: 'asked', seq: newest(s)}].sort(bySeq)};
    case 'shown':
      return {...s, shown: Math.max(s.shown, e.seq)};
    case 'bye':
      return {...s, online: false, typing: null, bye: e.code};
  }
  return s;
}

const bySeq = (a, b) => (a.seq || Infinity) - (b.seq || Infinity) || 0; // sort is stable: Infinity less itself is no number

// placed puts a message where its number belongs, in place of what is known of it already: by its id, or by its number.
function placed(items, m, add) {
  const known = items.find((i) => i.from && ((m.id && i.id === m.id) || (m.seq && i.seq === m.seq)));
  if (!known && !add) return items;
  const others = items.filter((i) => i !== known && !(i.from && m.seq && i.seq === m.seq) && !(i.from && m.id && i.id === m.id));
  return [...others, {...known, ...m}].sort(bySeq);
}

// noted are the lines that say what a change means to the visitor.
function noted(before, {seq, contact}) {
  const was = before?.state, is = contact.state, agent = contact.agent?.name;
  const note = (what, name) => [{key: 'note' + seq, note: what, name, seq}];
  if (was === is && agent === before?.agent?.name) return [];
  if (['closed', 'finalized'].includes(is)) return ['closed', 'finalized'].includes(was) ? [] : note('ended');
  if (is === 'active' && agent && agent !== before?.agent?.name) return note('joined', agent);
  if (was === is) return [];
  if (is === 'held') return note('held');
  if (is === 'transferring') return note('transferring');
  if (is === 'offline') return note('offline');
  if (is === 'queued' && before?.agent?.name) return note('requeued');
  return [];
}
