// What a Link needs of a browser, in the hands of a test: time that stands until it is told to go on, and a network.
export class Fake {
  now = 0;
  timers = new Map();
  sockets = [];
  requests = [];
  heard = [];
  #n = 0;

  Math = {random: () => 1};
  setTimeout = (f, ms) => (this.timers.set(++this.#n, {f, at: this.now + ms}), this.#n);
  clearTimeout = (n) => this.timers.delete(n);
  fetch = (url, options) => new Promise((answer, fail) => {
    options.signal?.addEventListener('abort', () => fail(new Error('aborted')));
    this.requests.push({url, options, answer, fail});
  });

  constructor() {
    const fake = this;
    this.WebSocket = class {
      readyState = 0;
      sent = [];
      constructor(url, protocol) {
        Object.assign(this, {url, protocol});
        fake.sockets.push(this);
      }
      send(text) {
        this.sent.push(JSON.parse(text));
      }
      close() {
        this.readyState = 3;
      }
      // What the server does:
      open() {
        this.readyState = 1;
        this.onopen();
      }
      says(...frames) {
        for (const f of frames) this.onmessage?.({data: typeof f === 'string' ? f : JSON.stringify(f)});
      }
      breaks() {
        this.readyState = 3;
        this.onclose?.();
      }
    };
  }

  get socket() {
    return this.sockets.at(-1);
  }

  // pass lets time go by, with all that is due.
  pass(ms) {
    const until = this.now + ms;
    for (;;) {
      const [n, t] = [...this.timers].sort((a, b) => a[1].at - b[1].at)[0] || [];
      if (!t || t.at > until) break;
      this.timers.delete(n);
      this.now = t.at;
      t.f();
    }
    this.now = until;
  }

  took(type) {
    return this.heard.filter((f) => f.type === type);
  }
}
