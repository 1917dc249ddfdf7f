#!/usr/bin/python3
"""Two agents who don't know each other become contacts, and part, with slixmpp.

Usage: slixmpp_contacts.py [--direct] HOST PORT CA JID1 PASSWORD1 JID2 PASSWORD2 ORDERS

The arguments are those of slixmpp_roams.py. The server runs with roster.colleagues =
false. Prints a line "ok ..." for each thing that worked and exits with 1 at the first
that didn't; a second run finds everything as it was before.
"""

import asyncio
import sys

from slixmpp_talk import PATIENCE, Device, finish, ok, order, want


class Contact(Device):
    """A device that asks for its roster, and decides itself who may see it."""

    def __init__(self, where, jid, resource, password, ca):
        super().__init__(jid, resource, password, ca, "SCRAM-SHA-256")
        self.where, self.roster.auto_authorize = where, None
        for event in ("presence_subscribe", "presence_subscribed", "presence_unsubscribed", "presence_unavailable"):
            self.seen[event] = asyncio.Queue()
            self.add_event_handler(event, self.seen[event].put_nowait)

    async def come(self):
        await self.sign_in(self.where)
        await self.get_roster()
        return self

    async def has(self, other, subscription):
        """Wants the roster to say this of somebody, None for nothing, as soon as it may."""
        until = asyncio.get_running_loop().time() + PATIENCE
        while True:
            request = self.make_iq_get(queryxmlns="jabber:iq:roster")
            item = (await request.send())["roster"]["items"].get(other.boundjid.bare)
            if (item and item["subscription"]) == subscription:
                return
            want(asyncio.get_running_loop().time() < until, f"the roster of {self.boundjid.bare} says {item}, not {subscription}")
            await asyncio.sleep(0.05)

    async def sees(self, other):
        """Waits for the presence of somebody's device."""
        while (await self.next("presence_available"))["from"] != other.boundjid:
            pass

    async def misses(self, other):
        while (await self.next("presence_unavailable"))["from"] != other.boundjid:
            pass


async def tell(where, ca, jid1, password1, jid2, password2, orders):
    anna = await Contact(where, jid1, "laptop", password1, ca).come()
    bob = Contact(where, jid2, "desk", password2, ca)
    await anna.has(bob, None)
    anna.send_presence_subscription(pto=bob.boundjid.bare)
    await anna.has(bob, "none")
    await bob.come()
    asked = await bob.next("presence_subscribe")
    want(asked["from"] == anna.boundjid.bare, f"{asked['from']} asked")
    ok("a request waits until Bob is there")

    bob.send_presence_subscription(pto=anna.boundjid.bare, ptype="subscribed")
    bob.send_presence_subscription(pto=anna.boundjid.bare)
    await anna.next("presence_subscribed")
    await anna.next("presence_subscribe")
    await anna.sees(bob)
    anna.send_presence_subscription(pto=bob.boundjid.bare, ptype="subscribed")
    await bob.next("presence_subscribed")
    await bob.sees(anna)
    await anna.has(bob, "both")
    await bob.has(anna, "both")
    ok("each agreed, and sees the other")

    await order(orders, "kill")
    anna = await Contact(where, jid1, "laptop", password1, ca).come()
    bob = await Contact(where, jid2, "desk", password2, ca).come()
    await anna.has(bob, "both")
    await anna.sees(bob)
    await bob.sees(anna)
    ok("after a kill -9 they are contacts as before")

    await anna.del_roster_item(bob.boundjid.bare)
    await anna.misses(bob)
    await bob.misses(anna)
    await anna.has(bob, None)
    await bob.del_roster_item(anna.boundjid.bare)
    await bob.has(anna, None)
    ok("removed, they see each other no more")
    for device in (anna, bob):
        await device.leave()


def main(args):
    direct = args[:1] == ["--direct"]
    if direct:
        args = args[1:]
    if len(args) != 8:
        print(__doc__, file=sys.stderr)
        return 2
    where = (args[0], int(args[1]), direct)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(asyncio.wait_for(tell(where, *args[2:7], int(args[7])), 3 * PATIENCE))
    except Exception as fault:  # whatever it is, something did not work
        print(f"not ok {type(fault).__name__}: {fault}", file=sys.stderr)
        return 1
    finally:
        finish(loop)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
