// Work that an account may ask for before a chat is opened: a number with which a hash begins with so many zero bits.

const together = 512; // hashes that are asked for at a time

export async function work({challenge, bits}, id, env = globalThis) {
  const text = new TextEncoder();
  for (let n = 0; ; n += together) {
    const tries = Array.from({length: together}, (_, i) => String(n + i));
    const hashes = await Promise.all(tries.map((nonce) => env.crypto.subtle.digest('SHA-256', text.encode(challenge + ':' + id + ':' + nonce))));
    const found = hashes.findIndex((h) => zeros(new Uint8Array(h)) >= bits);
    if (found >= 0) return {challenge, nonce: tries[found]};
  }
}

// zeros is with how many zero bits bytes begin.
export function zeros(bytes) {
  const n = bytes.findIndex((b) => b);
  return n < 0 ? bytes.length * 8 : n * 8 + Math.clz32(bytes[n]) - 24;
}
