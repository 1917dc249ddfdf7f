// The page that the frame is on: it is told how the button looks and how much is unread, and tells where the visitor is.
// Its origin stands in the frame's own address. Whoever lied there would be heard by nobody: only the account's sites may
// have the frame (frame-ancestors), and a message for another origin does not arrive.

export class Host {
  alone = window.parent === window; // no page around it

  constructor() {
    try {
      this.origin = new URL(decodeURIComponent(location.hash.slice(1))).origin;
    } catch {
      this.alone = true;
    }
  }

  tell(type, more) {
    if (!this.alone) window.parent.postMessage({parley: 1, type, ...more}, this.origin);
  }

  listen(take) {
    addEventListener('message', (e) => {
      if (!this.alone && e.source === window.parent && e.origin === this.origin && e.data?.parley === 1) take(e.data);
    });
  }

  // settings are what the page says of itself, once.
  settings() {
    if (this.alone) return Promise.resolve({});
    return new Promise((done) => {
      this.listen((m) => m.type === 'settings' && done(m));
      this.tell('hello');
    });
  }
}
