// The one script of a shop's page. It makes a button and a frame of Parley's origin, in a tree of its own that the page's
// styles don't reach, and opens and closes the frame. The page tells the frame its address and title, and what the shop
// says with parley(…); the frame tells how the button looks and how much is unread. Nothing of a conversation gets out.
(() => {
  'use strict';
  const script = document.currentScript;
  const early = window.parley;
  if (early && early.q === null) return; // the line is twice on the page
  const account = script && script.dataset.account;
  if (!account) {
    console.error('Parley: the line <script src="…/visit/loader.js"> lacks data-account="…"');
    return;
  }
  const base = new URL('.', script.src);
  const data = script.dataset;
  const phone = matchMedia('(max-width: 480px), (max-height: 420px)');

  const style = `
    :host { all: initial; }
    button, dialog { position: fixed; inset: auto; z-index: 2147483000; box-sizing: border-box; margin: 0; border: 0; padding: 0; }
    button { bottom: 20px; inset-inline-end: 20px; width: 60px; height: 60px; border-radius: 50%; cursor: pointer;
      background: var(--accent); color: var(--ink); box-shadow: 0 6px 20px #0004, 0 1px 4px #0003; transition: transform .15s; }
    button:hover { transform: scale(1.06); }
    button:focus-visible { outline: 3px solid var(--ink); box-shadow: 0 0 0 6px var(--accent), 0 0 0 8px var(--ink); outline-offset: -6px; }
    button[hidden] { display: none; }
    svg { position: absolute; inset: 16px; width: 28px; height: 28px; fill: none; stroke: currentColor; stroke-width: 2;
      stroke-linecap: round; stroke-linejoin: round; transition: opacity .15s, transform .15s; }
    [aria-expanded=true] .talk, [aria-expanded=false] .cross { opacity: 0; transform: rotate(45deg) scale(.6); }
    span { position: absolute; top: -4px; inset-inline-end: -4px; min-width: 22px; height: 22px; border-radius: 11px; box-sizing: border-box;
      padding: 0 6px; background: #c8102e; color: #fff; font: bold 13px/22px system-ui, sans-serif; text-align: center; }
    span:empty { display: none; }
    dialog { bottom: 92px; inset-inline-end: 20px; width: 384px; max-width: calc(100vw - 40px); height: min(640px, 100vh - 112px);
      max-height: none; border-radius: 18px; overflow: hidden; background: transparent; box-shadow: 0 8px 40px #0003, 0 1px 6px #0002; }
    dialog[open] { animation: come .18s ease-out; }
    @keyframes come { from { opacity: 0; transform: translateY(12px); } }
    iframe { display: block; width: 100%; height: 100%; border: 0; }
    .left { inset-inline: 20px auto; }
    dialog.phone { inset: 0 0 auto 0; width: 100%; max-width: none; height: var(--height, 100dvh); border-radius: 0; }
    dialog.phone::backdrop { background: Canvas; }
    @media (prefers-reduced-motion: reduce) { button, svg, dialog[open] { transition: none; animation: none; } }
    @media print { button, dialog { display: none; } }`;

  const host = document.createElement('parley-chat');
  const root = host.attachShadow({mode: 'closed'});
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(style);
  root.adoptedStyleSheets = [sheet];

  const make = (name, attributes) => {
    const e = document.createElement(name);
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
    return e;
  };
  const drawing = (name, d) => {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    svg.setAttribute('viewBox', '0 0 24 24');
    svg.setAttribute('class', name);
    svg.setAttribute('aria-hidden', 'true');
    const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
    path.setAttribute('d', d);
    svg.append(path);
    return svg;
  };

  const button = make('button', {type: 'button', 'aria-expanded': 'false', 'aria-haspopup': 'dialog', 'aria-controls': 'chat'});
  const count = make('span', {'aria-hidden': 'true'});
  button.append(drawing('talk', 'M21 11.5a8.4 8.4 0 0 1-12.3 7.4L3 21l2.1-5.7A8.4 8.4 0 1 1 21 11.5z'), drawing('cross', 'M5 5l14 14M19 5L5 19'), count);
  button.hidden = true; // until the frame says that it is there: no button without a chat
  const dialog = make('dialog', {id: 'chat'});
  // The frame can do nothing to the page: not even take it elsewhere.
  const frame = make('iframe', {
    sandbox: 'allow-scripts allow-same-origin allow-forms allow-popups allow-popups-to-escape-sandbox allow-downloads',
    src: new URL(encodeURIComponent(account) + '/frame#' + encodeURIComponent(location.origin), base).href,
  });
  dialog.append(frame);
  for (const e of [button, dialog]) e.classList.toggle('left', data.side === 'left');
  root.append(dialog, button);

  let labels = {}, unread = 0, open = false, from = null, ready = false, wanted = false;
  const told = {}; // what the shop has said with parley(…)
  const tell = (type, more) => frame.contentWindow && frame.contentWindow.postMessage({parley: 1, type, ...more}, base.origin);
  const page = () => ({page: location.href.split('#')[0], title: document.title});

  function settings() {
    const strings = {};
    for (const [k, v] of Object.entries(data)) {
      if (/^text[A-Z]/.test(k)) strings[k[4].toLowerCase() + k.slice(5)] = v;
    }
    return {...page(), lang: data.lang || document.documentElement.lang || '', colour: data.colour || '', group: data.group || '', strings, ...told};
  }

  function name() {
    button.setAttribute('aria-label', open ? labels.close : unread ? labels.unread : labels.open);
    count.textContent = unread > 99 ? '99+' : unread || '';
  }

  // On a phone the frame fills the screen above the keyboard, and what is behind is out of reach, as showModal does it.
  function place() {
    const full = phone.matches;
    if (dialog.open) dialog.close();
    dialog.classList.toggle('phone', full);
    if (full) dialog.showModal();
    else dialog.setAttribute('open', ''); // show() would move the focus
  }
  function fit() {
    if (window.visualViewport) dialog.style.setProperty('--height', visualViewport.height + 'px');
  }

  function show(focus = true) {
    wanted = true;
    if (!ready || open) return;
    open = true;
    from = document.activeElement;
    fit();
    place();
    button.setAttribute('aria-expanded', 'true');
    name();
    if (focus) frame.focus();
    tell('open', {...page(), focus});
  }
  function hide() {
    wanted = false;
    if (!open) return;
    const within = root.activeElement === frame || dialog.matches(':modal');
    open = false;
    dialog.close();
    button.setAttribute('aria-expanded', 'false');
    name();
    if (within) (button.hidden ? from : button)?.focus(); // the shop's own button, perhaps
    tell('shut');
  }

  const heard = {
    hello: () => tell('settings', settings()),
    ready(m) {
      ready = true;
      labels = m.labels;
      for (const e of [frame, dialog]) e.setAttribute(e === frame ? 'title' : 'aria-label', labels.frame);
      for (const k of ['accent', 'ink']) {
        if (/^#[0-9a-f]{6}$/i.test(m.colours[k])) host.style.setProperty('--' + k, m.colours[k]);
      }
      button.hidden = data.button === 'none';
      name();
      if (open) tell('open', page()); // it was loaded anew
      else if (wanted) show();
      else if (m.open && !phone.matches) show(false); // as it was on the page before
    },
    unread(m) {
      unread = Number(m.count) || 0;
      labels.unread = m.label;
      name();
    },
    close: hide,
  };
  addEventListener('message', (e) => {
    if (e.source !== frame.contentWindow || e.origin !== base.origin || !e.data || e.data.parley !== 1) return;
    if (Object.hasOwn(heard, e.data.type)) heard[e.data.type](e.data);
  });

  button.addEventListener('click', () => (open ? hide() : show()));
  button.addEventListener('keydown', (e) => e.key === 'Escape' && hide());
  dialog.addEventListener('cancel', (e) => (e.preventDefault(), hide()));
  phone.addEventListener('change', () => open && place());
  if (window.visualViewport) visualViewport.addEventListener('resize', fit);
  const moved = () => ready && tell('page', page());
  for (const what of ['popstate', 'hashchange']) addEventListener(what, moved);
  if (window.navigation) navigation.addEventListener('navigatesuccess', moved);

  const verbs = {
    open: () => show(),
    close: hide,
    identity: (jwt) => say('identity', jwt),
    group: (group) => say('group', group),
  };
  function say(what, value) {
    told[what] = String(value || '');
    if (ready) tell(what, {[what]: told[what]});
  }
  function parley(verb, ...more) {
    if (!Object.hasOwn(verbs, verb)) throw new TypeError('parley: there is no "' + verb + '", only ' + Object.keys(verbs).join(', '));
    verbs[verb](...more);
  }
  parley.q = null;
  window.parley = parley;
  for (const call of (early && early.q) || []) parley(...call);

  // The page comes first: the frame is loaded when it is done.
  const begin = () => document.body.append(host);
  if (document.readyState === 'complete') begin();
  else addEventListener('load', begin);
})();
