// What the scripts here share: a device of an agent's, with @xmpp/client (xmpp.js).

import { randomUUID, webcrypto } from "node:crypto";
import dns from "node:dns";
import net from "node:net";
import { client, jid, xml } from "@xmpp/client";

globalThis.crypto ??= webcrypto; // which xmpp.js looks for there, and Debian 12's Node.js 18 does not have

const PATIENCE = 20_000; // milliseconds for anything

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

export function want(right, what) {
  if (!right) throw new Error(what);
}

export function ok(what) {
  console.log("ok", what);
}

export async function until(reached, what) {
  for (const end = Date.now() + PATIENCE; !reached(); await pause(20)) want(Date.now() < end, what());
}

/**
 * A device of an agent's. xmpp.js comes back and resumes its session by itself, or begins
 * a new one; what it could not write, or the server has lost, is said again here.
 */
export class Device {
  constructor(where, address, resource, password) {
    const { local, domain } = jid(address);
    // The name for direct TLS is the certificate's; see where it leads, below.
    const service = where.direct ? `xmpps://${domain}:${where.port}` : `xmpp://${where.host}:${where.port}`;
    const xmpp = client({ service, domain, resource, username: local, password });
    Object.assign(this, { xmpp, bare: address, got: new Map(), copies: [], presences: [], resumed: 0, unacked: new Map(), unsent: new Set() });
    xmpp.reconnect.delay = 100;
    xmpp.on("error", () => {}); // a line that breaks; what matters is what comes of it
    xmpp.on("connect", () => (this.port ??= (xmpp.socket.socket ?? xmpp.socket).localPort));
    xmpp.on("disconnect", () => (this.port = null));
    xmpp.on("stanza", (stanza) => this.take(stanza));
    xmpp.on("online", () => this.begin());
    xmpp.streamManagement.on("fail", (stanza) => this.unsent.add(stanza));
    xmpp.streamManagement.on("resumed", () => (this.resumed++, this.again()));
    xmpp.streamManagement.on("ack", (stanza) => this.unacked.delete(stanza.attrs.id));
  }

  /**
   * begin waits for <enabled/>: what is sent before is never acknowledged, and what comes
   * together with it confuses xmpp.js 0.14.0, which then acknowledges more than it was sent.
   */
  async begin() {
    await until(() => this.xmpp.streamManagement.enabled, () => "stream management is not enabled");
    this.send(xml("presence"));
    this.again();
  }

  /** again sends what has not gone out, under the same ids, by which the server knows what it has. */
  again() {
    const unsent = [...this.unsent].filter((stanza) => this.unacked.has(stanza.attrs.id));
    this.unsent.clear();
    for (const message of unsent) this.send(message);
  }

  send(stanza) {
    return this.xmpp.send(stanza).catch(() => this.unsent.add(stanza)); // the line has broken meanwhile
  }

  /**
   * take keeps what came by the archive's id for it: the same id twice is the same message.
   * That happens: xmpp.js 0.14.0 acknowledges less than it has got, since it does not count
   * the answers to its own requests.
   */
  take(stanza) {
    if (stanza.is("presence")) this.presences.push(`${stanza.attrs.from} ${stanza.attrs.type ?? "available"}`);
    if (!stanza.is("message")) return;
    const copy = stanza.getChild("sent", "urn:xmpp:carbons:2") ?? stanza.getChild("received", "urn:xmpp:carbons:2");
    if (copy) this.copies.push(copy.getChild("forwarded").getChild("message").getChildText("body"));
    const id = stanza.getChild("stanza-id", "urn:xmpp:sid:0")?.attrs.id;
    if (id) this.got.set(id, [...(this.got.get(id) ?? []), stanza.getChildText("body")]);
  }

  async come() {
    await this.xmpp.start();
    return this;
  }

  /** settled returns when all that was sent before has come: the answer to a ping comes last. */
  async settled() {
    await until(() => this.xmpp.status === "online", () => `${this.bare} does not come back`);
    await this.xmpp.iqCaller.get(xml("ping", "urn:xmpp:ping"), this.xmpp.options.domain, PATIENCE);
  }

  /** sees waits for a presence, as "JID type". */
  sees(presence) {
    return until(() => this.presences.includes(presence), () => `${this.bare} did not see "${presence}", but ${this.presences}`);
  }

  async say(other, body) {
    await until(() => this.xmpp.status === "online", () => `${this.bare} does not come back`);
    const message = xml("message", { type: "chat", to: other.bare, id: randomUUID() }, xml("body", {}, body));
    this.unacked.set(message.attrs.id, message);
    await this.send(message);
  }

  acknowledged() {
    return until(() => this.unacked.size === 0, () => `${this.unacked.size} messages were never acknowledged`);
  }

  /** has wants all of these to come, and none under two ids. */
  async has(bodies) {
    const end = Date.now() + PATIENCE;
    while (this.got.size < bodies.length && Date.now() < end) await pause(20);
    await this.settled();
    const got = [...this.got.values()].map((same) => same[0]);
    const lost = bodies.filter((b) => !got.includes(b));
    const odd = got.filter((b, i) => !bodies.includes(b) || got.indexOf(b) < i);
    want(!lost.length && !odd.length, `${this.bare}: lost ${lost}, unexpected or twice ${odd}`);
    return got;
  }

  repeats() {
    return [...this.got.values()].reduce((sum, same) => sum + same.length - 1, 0);
  }

  /** archive reads all that was said with somebody, page by page. */
  async archive(other) {
    const found = [];
    const keep = (stanza) => {
      const result = stanza.getChild("result", "urn:xmpp:mam:2");
      if (result) found.push(result.getChild("forwarded").getChild("message").getChildText("body"));
    };
    this.xmpp.on("stanza", keep);
    for (let after = "", complete = false; !complete; ) {
      const field = (name, value) => xml("field", { var: name }, xml("value", {}, value));
      const form = xml("x", { xmlns: "jabber:x:data", type: "submit" }, field("FORM_TYPE", "urn:xmpp:mam:2"), field("with", other.bare));
      const page = xml("set", { xmlns: "http://jabber.org/protocol/rsm" }, xml("max", {}, "50"), ...(after ? [xml("after", {}, after)] : []));
      const query = xml("query", { xmlns: "urn:xmpp:mam:2" }, form, page);
      const fin = (await this.xmpp.iqCaller.request(xml("iq", { type: "set" }, query), PATIENCE)).getChild("fin");
      after = fin.getChild("set").getChildText("last");
      complete = fin.attrs.complete === "true";
    }
    this.xmpp.off("stanza", keep);
    return found;
  }
}

/** keeper sends an order to keeper.py. */
export function keeper(port, line) {
  return new Promise((done, failed) => {
    const socket = net.connect(port, "127.0.0.1", () => socket.write(line + "\n"));
    socket.on("error", failed);
    socket.on("data", (answer) => (socket.end(), String(answer) === "ok\n" ? done() : failed(new Error(`the keeper does not ${line}`))));
  });
}

/** main reads the arguments, which are those of the scripts for slixmpp, and runs one. */
export async function main(tell) {
  const args = process.argv.slice(2);
  const direct = args[0] === "--direct";
  if (direct) args.shift();
  const [host, port, ca, ...rest] = args;
  if (rest.length < 5 || process.env.NODE_EXTRA_CA_CERTS !== ca) {
    console.error("usage: NODE_EXTRA_CA_CERTS=CA node SCRIPT [--direct] HOST PORT CA JID1 PASSWORD1 JID2 PASSWORD2 ORDERS [SAID]");
    process.exit(2);
  }
  // Every name leads to HOST, as a line of /etc/hosts would have it.
  dns.lookup = (name, options, done) => (options.all ? done(null, [{ address: host, family: 4 }]) : done(null, host, 4));
  try {
    await tell({ host, port, direct }, ...rest);
  } catch (fault) {
    console.error("not ok", fault.message);
    process.exitCode = 1;
  } finally {
    process.exit(); // xmpp.js keeps timers
  }
}
