// The connection to the server, as docs/visitors.md has it: one at a time, begun anew until it holds. What has a number
// is taken once; what was said is sent again, with the same id, until the server has answered it.

// Those whose seq is a number of their own; that of the others (delivered, read, said) is another frame's.
const numbered = new Set(['message', 'corrected', 'state']);

// Milliseconds.
export const waits = {
  ping: 25_000, // of silence, then the server is asked whether it is there
  answer: 10_000, // how long that takes, or a connection
  first: 1_000, // before the second attempt; twice as long before each that follows
  most: 30_000,
};

// backoff is how long to wait before another attempt: at random, so that not all come back at once.
export const backoff = (tries, random) => Math.min(waits.most, waits.first * 2 ** tries) * (0.5 + random() / 2);

export class Link {
  #pending = new Map(); // id → {frame, over}: what is not answered, and over which connection it was sent
  #turn = null; // the connection that is or comes: what others still say is not heard
  #way = null;
  #up = false;
  #ended = false;
  #timer = null;
  #tries = 0;
  #events = false; // WebSockets seem to be blocked

  // base is the URL of the account's part of the protocol; after the last number taken, so far and from then on; take(frame) gets what the server says, and what this says of
  // itself: {type: 'online'}, {type: 'offline'}, and {type: 'bye', code: 'expired'} for a token that is not known.
  constructor({base, token, take, after = 0, env = globalThis}) {
    Object.assign(this, {base, token, take, after, env});
  }

  start() {
    this.#connect();
  }

  // stop ends it for good.
  stop() {
    this.#ended = true;
    this.#hang();
  }

  // wake is for when there may be a network again, or somebody looks.
  wake() {
    if (this.#ended) return;
    if (this.#up) this.#ask();
    else if (!this.#turn) this.#connect();
  }

  // say sends a message until it is answered.
  say(id, text, file) {
    const p = {frame: file ? {type: 'say', id, file: file.id} : {type: 'say', id, text}, file, over: null};
    this.#pending.set(id, p);
    if (this.#up) this.#post(p);
  }

  // send is for what is worth nothing later: it is lost while there is no connection.
  send(frame) {
    if (this.#up) this.#way.send(frame);
    return this.#up;
  }

  get pending() {
    return [...this.#pending.values()].map(({frame, file}) => (file ? {id: frame.id, text: '', file} : {id: frame.id, text: frame.text}));
  }

  #post(p) {
    p.over = this.#turn;
    this.#way.send(p.frame);
  }

  #connect() {
    const turn = (this.#turn = {});
    const ours = (f) => (...args) => this.#turn === turn && f(...args);
    this.#wait(waits.answer, () => this.#down());
    const open = this.#events ? overEvents : overSocket;
    try {
      this.#way = open(this, {
        up: ours(() => this.#begun()),
        frame: ours((f) => this.#heard(f)),
        alive: ours(() => this.#up && this.#quiet()),
        down: ours(() => this.#down()),
      });
    } catch {
      this.#down();
    }
  }

  #begun() {
    if (this.#up) return;
    this.#up = true;
    this.#tries = 0;
    this.#quiet();
    this.take({type: 'online'});
    for (const p of this.#pending.values()) {
      if (p.over !== this.#turn) this.#post(p);
    }
  }

  #heard(f) {
    if (!f || typeof f.type !== 'string') return;
    if (this.#up) this.#quiet();
    if (numbered.has(f.type)) {
      if (f.seq <= this.after) return;
      this.after = f.seq;
    }
    if (f.type === 'said' || (f.type === 'error' && f.id)) this.#pending.delete(f.id);
    if (f.type === 'message' && f.from?.kind === 'visitor') this.#pending.delete(f.id); // its answer was lost
    if (f.type === 'pong') return;
    if (f.type === 'bye') {
      if (f.code === 'restart') return this.#down();
      this.stop();
    }
    this.take(f);
    if (f.type === 'welcome') this.#begun();
  }

  // What didn't come about over one way is tried over the other.
  #down() {
    const was = this.#up;
    this.#events = !was && !this.#events;
    this.#hang();
    if (was) this.take({type: 'offline'});
    const wait = this.#events ? 0 : backoff(this.#tries++, this.env.Math.random); // the other way at once
    this.#wait(wait, () => this.#connect());
  }

  #hang() {
    this.#turn = null;
    this.#up = false;
    this.env.clearTimeout(this.#timer);
    this.#way?.close();
    this.#way = null;
  }

  #wait(ms, then) {
    this.env.clearTimeout(this.#timer);
    this.#timer = this.env.setTimeout(then, ms);
  }

  #quiet() {
    this.#wait(waits.ping, () => this.#ask());
  }

  #ask() {
    this.#way.send({type: 'ping'});
    if (this.#up) this.#wait(waits.answer, () => this.#down());
  }
}

function overSocket({env, base, token, after}, on) {
  const ws = new env.WebSocket(base.replace(/^http/, 'ws') + 'socket', 'parley.visit.1');
  ws.onopen = () => ws.send(JSON.stringify({type: 'hello', token, after}));
  ws.onmessage = (e) => on.frame(parsed(e.data));
  ws.onclose = () => on.down();
  return {
    send: (frame) => ws.readyState === 1 && ws.send(JSON.stringify(frame)),
    close() {
      ws.onopen = ws.onmessage = ws.onclose = null;
      ws.close();
    },
  };
}

// overEvents reads server-sent events and posts one frame after the other.
function overEvents({env, base, token, after}, on) {
  const stop = new AbortController();
  const fetch = (what, more) => env.fetch(base + what, {...more, signal: stop.signal, cache: 'no-store',
    headers: {Authorization: 'Bearer ' + token, ...more.headers}});
  const read = async () => {
    const answer = await fetch('events', {headers: {Accept: 'text/event-stream', 'Last-Event-ID': String(after)}});
    if ([401, 403, 404, 410].includes(answer.status)) return on.frame({type: 'bye', code: 'expired'});
    if (!answer.ok) throw new Error(answer.statusText);
    on.up();
    const events = eventsOf(on.frame), text = new TextDecoder(), reader = answer.body.getReader();
    for (let r; !(r = await reader.read()).done; on.alive()) events(text.decode(r.value, {stream: true}));
  };
  read().catch(() => {}).then(on.down);

  const post = async (frame) => {
    const answer = await fetch('frames', {method: 'POST', body: JSON.stringify(frame), headers: {'Content-Type': 'application/json'}});
    if (answer.status >= 500) throw new Error(answer.statusText);
    if (answer.status === 204) return;
    const body = parsed(await answer.text());
    if (answer.ok) on.frame(body);
    else if (frame.id) on.frame({type: 'error', id: frame.id, code: String(answer.status), text: body?.detail || ''});
  };
  let line = Promise.resolve();
  return {
    send: (frame) => (line = line.then(() => post(frame)).catch(on.down)),
    close: () => stop.abort(),
  };
}

// eventsOf is a reader of text/event-stream: data lines up to an empty one are a frame.
export function eventsOf(take) {
  let rest = '', data = [];
  return (text) => {
    const lines = (rest + text).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith('data:')) data.push(line.slice(line[5] === ' ' ? 6 : 5));
      else if (line === '' && data.length) {
        take(parsed(data.join('\n')));
        data = [];
      }
    }
  };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
