// Two agents, three devices with xmpp.js while everything breaks around them: nothing
// that was said is lost, and nothing is kept twice.
//
// Usage: NODE_EXTRA_CA_CERTS=CA node roams.mjs [--direct] HOST PORT CA JID1 PASSWORD1 JID2 PASSWORD2 ORDERS SAID
//
// The arguments are those of slixmpp_roams.py. Prints a line "ok ..." for each thing
// that worked and exits with 1 at the first that didn't.

import { randomUUID } from "node:crypto";
import { appendFileSync } from "node:fs";
import { xml } from "@xmpp/client";
import { Device, keeper, main, ok, pause, until, want } from "./device.mjs";

const CROWD = 60; // messages that are on their way while the server restarts

async function tell(where, anna, password1, bob, password2, orders, file) {
  const said = [];
  const laptop = await new Device(where, anna, "laptop", password1).come();
  const phone = await new Device(where, anna, "phone", password1).come();
  let desk = await new Device(where, bob, "desk", password2).come();
  ok("three devices signed in with SCRAM-SHA-1");

  const say = async (count) => {
    for (let i = 0; i < count; i++) {
      said.push(`xmpp.js ${randomUUID()}`);
      appendFileSync(file, said.at(-1) + "\n");
      await laptop.say(desk, said.at(-1));
    }
  };

  await phone.xmpp.iqCaller.set(xml("enable", "urn:xmpp:carbons:2"));
  await say(1);
  await desk.has(said);
  await until(() => phone.copies.length === 1, () => "the phone got no copy");
  want(phone.copies[0] === said[0], "the phone got another copy");
  await phone.xmpp.stop();
  ok("what the laptop says is copied to the phone");

  await desk.xmpp.stop();
  await say(2);
  await laptop.acknowledged();
  const before = desk.got;
  desk = new Device(where, bob, "desk", password2);
  desk.got = before;
  await desk.come();
  await desk.has(said);
  ok("what was said while Bob was away waited for him");

  await laptop.settled();
  laptop.presences = [];
  desk.xmpp.reconnect.delay = 1000;
  await keeper(orders, `cut ${desk.port}`);
  await say(1);
  await desk.has(said);
  await laptop.settled();
  want(desk.resumed === 1 && !laptop.presences.length, "the session was not resumed, or somebody saw the cut");
  desk.xmpp.reconnect.delay = 100;
  ok("a cut line: the session is resumed, and nobody saw it");

  await say(5);
  await keeper(orders, `cut ${laptop.port}`);
  await say(5);
  await laptop.acknowledged();
  await desk.has(said);
  want(laptop.resumed === 1, "the session was not resumed");
  ok("a line cut while she talks: ten messages, each kept once");

  for (const how of ["restart", "kill"]) {
    const repeats = desk.repeats();
    await say(CROWD / 3);
    const ordered = keeper(orders, how);
    for (let i = CROWD / 3; i < CROWD; i++) {
      await say(1);
      await pause(5);
    }
    await ordered;
    await laptop.acknowledged();
    await desk.has(said);
    const again = desk.repeats() - repeats;
    ok(`${how}: ${CROWD} messages on their way, each arrived, ${again} known by their ids came again`);
  }

  const got = await desk.has(said);
  for (const [device, other] of [[laptop, desk], [desk, laptop]]) {
    const kept = (await device.archive(other)).slice(-said.length);
    want(kept.join() === got.join(), `the archive of ${device.bare} has something else`);
  }
  ok(`both archives have the ${said.length} messages, each once, in the order in which they came`);
  await Promise.all([laptop.xmpp.stop(), desk.xmpp.stop()]);
}

await main(tell);
