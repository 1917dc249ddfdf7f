// What of a text becomes a link: addresses that begin with https://, and nothing that looks like one and leads elsewhere.

// Neither spaces nor quotes, nor the marks that turn the direction of writing.
const address = /https:\/\/[^\s<>"'`\u0000-\u001f\u007f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+/giu;
const pairs = {')': '(', ']': '[', '}': '{'};

// parts cuts a text into strings and links {href, text}; joined they are the text.
export function parts(text) {
  const found = [];
  let done = 0;
  for (const m of text.matchAll(address)) {
    const url = trimmed(m[0]);
    const href = safe(url);
    if (!href) continue;
    if (m.index > done) found.push(text.slice(done, m.index));
    found.push({href, text: url});
    done = m.index + url.length;
  }
  if (done < text.length) found.push(text.slice(done));
  return found;
}

// trimmed leaves the end of a sentence outside, but keeps a bracket that was opened within.
function trimmed(url) {
  for (;;) {
    const last = url.at(-1);
    const opens = pairs[last];
    if (opens ? url.split(opens).length < url.split(last).length : /[.,;:!?…*_~]/u.test(last)) url = url.slice(0, -1);
    else return url;
  }
}

// safe is the address, if it begins with https:// and names nobody, or nothing: "https://shop.example@evil.example" is no address of the shop's.
export function safe(text) {
  try {
    const url = new URL(text);
    return url.protocol === 'https:' && url.hostname && !url.username && !url.password ? url.href : '';
  } catch {
    return '';
  }
}
