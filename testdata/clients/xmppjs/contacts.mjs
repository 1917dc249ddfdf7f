// Two agents who don't know each other become contacts, and part, with xmpp.js.
//
// Usage: NODE_EXTRA_CA_CERTS=CA node contacts.mjs [--direct] HOST PORT CA JID1 PASSWORD1 JID2 PASSWORD2 ORDERS
//
// The arguments and the server's are those of slixmpp_contacts.py. A second run finds
// everything as it was before.

import { jid, xml } from "@xmpp/client";
import { Device, keeper, main, ok, pause, want } from "./device.mjs";

/** subscription is what the roster says of somebody, "nothing" if they are not on it. */
async function subscription(device, other) {
  const query = await device.xmpp.iqCaller.get(xml("query", "jabber:iq:roster"));
  const item = query.getChildren("item").find((item) => jid(item.attrs.jid).toString() === other.bare);
  return item ? item.attrs.subscription + (item.attrs.ask ? ", asked" : "") : "nothing";
}

async function says(device, other, wanted) {
  let said = "";
  for (let tries = 0; tries < 200; tries++, await pause(50)) {
    if ((said = await subscription(device, other)) === wanted) return;
  }
  want(false, `the roster of ${device.bare} says "${said}" of ${other.bare}, not "${wanted}"`);
}

async function tell(where, anna, password1, bob, password2, orders) {
  const laptop = await new Device(where, anna, "laptop", password1).come();
  const desk = new Device(where, bob, "desk", password2);
  const send = (device, type, other) => device.send(xml("presence", { type, to: other.bare }));

  await says(laptop, desk, "nothing");
  await send(laptop, "subscribe", desk);
  await says(laptop, desk, "none, asked");
  await desk.come();
  await says(desk, laptop, "nothing");
  await desk.sees(`${anna} subscribe`);
  ok("a request waits until Bob is there");

  await send(desk, "subscribed", laptop);
  await send(desk, "subscribe", laptop);
  await laptop.sees(`${bob} subscribed`);
  await laptop.sees(`${bob} subscribe`);
  await laptop.sees(`${desk.xmpp.jid} available`);
  await send(laptop, "subscribed", desk);
  await desk.sees(`${anna} subscribed`);
  await desk.sees(`${laptop.xmpp.jid} available`);
  await says(laptop, desk, "both");
  await says(desk, laptop, "both");
  ok("each agreed, and sees the other");

  for (const device of [laptop, desk]) device.presences = [];
  await keeper(orders, "kill");
  await laptop.sees(`${desk.xmpp.jid} available`);
  await desk.sees(`${laptop.xmpp.jid} available`);
  await says(laptop, desk, "both");
  ok("after a kill -9 they are contacts as before");

  const remove = (device, other) =>
    device.xmpp.iqCaller.set(xml("query", "jabber:iq:roster", xml("item", { jid: other.bare, subscription: "remove" })));
  await remove(laptop, desk);
  await laptop.sees(`${desk.xmpp.jid} unavailable`);
  await desk.sees(`${laptop.xmpp.jid} unavailable`);
  await remove(desk, laptop);
  await says(laptop, desk, "nothing");
  await says(desk, laptop, "nothing");
  ok("removed, they see each other no more");
  await Promise.all([laptop.xmpp.stop(), desk.xmpp.stop()]);
}

await main(tell);
