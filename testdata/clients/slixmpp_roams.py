#!/usr/bin/python3
"""Two agents with slixmpp while everything breaks around them: nothing that was said
is lost, and nothing comes twice.

Usage: slixmpp_roams.py [--direct] HOST PORT CA JID1 PASSWORD1 JID2 PASSWORD2 ORDERS SAID

The arguments are those of slixmpp_talk.py; PORT and ORDERS are keeper.py's. What was
said is appended to the file SAID, a line each. Prints a line "ok ..." for each thing
that worked and exits with 1 at the first that didn't.
"""

import asyncio
import logging
import sys
import uuid

from slixmpp_talk import PATIENCE, Device, finish, ok, order, want

for name in ("slixmpp", "asyncio"):
    logging.getLogger(name).setLevel(logging.CRITICAL)  # they tell that lines break, which is expected

CROWD = 60  # messages that are on their way while the server restarts


class Roamer(Device):
    """A device that comes back whenever its line breaks.

    slixmpp resumes the session by itself, or begins a new one when the server has lost
    it, but 1.8.3 forgets what was not acknowledged; so that is said again here, under
    the same ids, by which the server knows what it has.
    """

    def __init__(self, where, jid, resource, password, ca):
        super().__init__(jid, resource, password, ca, "SCRAM-SHA-256")
        self.where, self.online, self.stays = where, asyncio.Event(), False
        self.unacked, self.got = {}, {}
        for event in ("session_resumed", "presence_unavailable", "disconnected"):
            self.seen[event] = asyncio.Queue()
            self.add_event_handler(event, self.seen[event].put_nowait)
        self.add_event_handler("message", self.note)
        self.add_event_handler("session_start", lambda _: self.send_presence())
        self.add_event_handler("sm_enabled", self.again)
        self.add_event_handler("session_resumed", self.again)
        self.add_event_handler("stanza_acked", lambda stanza: self.unacked.pop(stanza["id"], None))
        self.add_event_handler("disconnected", self.breaks)

    def note(self, message):
        """Keeps what came by the archive's id for it: the same id twice is the same message."""
        self.got.setdefault(message["stanza_id"]["id"], []).append(message["body"])

    def again(self, _):
        for message in list(self.unacked.values()):
            message.send()
        self.online.set()

    def breaks(self, _):
        self.online.clear()
        if not self.stays:
            self.go(self.where)

    async def come(self):
        self.stays = False
        self.go(self.where)
        await asyncio.wait_for(self.online.wait(), PATIENCE)

    def port(self):
        return self.transport.get_extra_info("sockname")[1]

    async def say(self, other, body):
        await asyncio.wait_for(self.online.wait(), PATIENCE)
        message = self.make_message(mto=other.boundjid.bare, mbody=body, mtype="chat")
        message["id"] = uuid.uuid4().hex
        self.unacked[message["id"]] = message
        message.send()

    async def acknowledged(self):
        """Waits until the server has everything."""
        until = asyncio.get_running_loop().time() + PATIENCE
        while self.unacked:
            want(asyncio.get_running_loop().time() < until, f"{len(self.unacked)} messages were never acknowledged")
            if self.online.is_set():
                self["xep_0198"].request_ack()
            await asyncio.sleep(0.05)

    async def settled(self):
        """Afterwards all that was sent before has come: the answer to a ping comes last."""
        await asyncio.wait_for(self.online.wait(), PATIENCE)
        await self["xep_0199"].ping(self.boundjid.domain, timeout=PATIENCE)

    async def has(self, bodies):
        """Wants all of these to come, and none under two ids."""
        until = asyncio.get_running_loop().time() + PATIENCE
        while len(self.got) < len(bodies) and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.05)
        await self.settled()
        got = [same[0] for same in self.got.values()]
        want(sorted(got) == sorted(bodies), f"{self.boundjid} got {len(got)} of {len(bodies)} messages: {missing(got, bodies)}")
        want(all(len(set(same)) == 1 for same in self.got.values()), "an id was given twice")

    def repeats(self):
        return sum(len(same) - 1 for same in self.got.values())


def missing(got, wanted):
    return f"lost {[b for b in wanted if b not in got]}, unexpected or twice {[b for i, b in enumerate(got) if b not in wanted or b in got[:i]]}"


class Story:
    """Anna at her laptop says things to Bob at his desk."""

    def __init__(self, where, ca, jid1, password1, jid2, password2, orders, said):
        self.laptop = Roamer(where, jid1, "laptop", password1, ca)
        self.bob = where, jid2, "desk", password2, ca
        self.desk = Roamer(*self.bob)
        self.keeper, self.said, self.file = int(orders), [], said

    async def say(self, count=1):
        for _ in range(count):
            word = f"roaming {uuid.uuid4()}"
            self.said.append(word)
            with open(self.file, "a", encoding="utf-8") as file:
                file.write(word + "\n")
            await self.laptop.say(self.desk, word)

    async def tell(self):
        await self.laptop.come()
        await self.desk.come()
        await self.say()
        await self.desk.has(self.said)
        await self.offline()
        await self.cut()
        await self.cut_while_talking()
        for how in ("restart", "kill"):
            await self.crowd(how)
        await self.archives()
        for device in (self.laptop, self.desk):
            device.stays = True
            await device.leave()

    async def offline(self):
        self.desk.stays = True
        await self.desk.leave()
        await self.laptop.next("presence_unavailable")
        await self.say(2)
        await self.laptop.acknowledged()
        got = self.desk.got
        self.desk = Roamer(*self.bob)
        self.desk.got = got
        await self.desk.come()
        await self.desk.has(self.said)
        want(self.desk.repeats() == 0, "what waited came twice")
        ok("what was said while Bob was away waited for him")

    async def cut(self):
        desk, gone = self.desk, self.laptop.seen["presence_unavailable"]
        await self.laptop.settled()
        before = gone.qsize()
        desk.stays = True
        await order(self.keeper, f"cut {desk.port()}")
        await desk.next("disconnected")
        await self.say()
        await self.laptop.acknowledged()
        await desk.come()
        await desk.next("session_resumed")
        await desk.has(self.said)
        await self.laptop.settled()
        want(desk.repeats() == 0, "what was said during the cut came twice")
        want(gone.qsize() == before, "a session that was resumed was taken for ended")
        ok("a cut line: the session is resumed, and nobody saw it")

    async def cut_while_talking(self):
        await self.say(5)
        await order(self.keeper, f"cut {self.laptop.port()}")
        await self.say(5)
        await self.laptop.next("session_resumed")
        await self.laptop.acknowledged()
        await self.desk.has(self.said)
        want(self.desk.repeats() == 0, "what was sent again came twice")
        ok("a line cut while she talks: ten messages, each once")

    async def crowd(self, how):
        before = self.desk.repeats()
        await self.say(CROWD // 3)
        ordered = asyncio.ensure_future(order(self.keeper, how))
        for _ in range(CROWD - CROWD // 3):
            await self.say()
            await asyncio.sleep(0.005)
        await ordered
        await self.laptop.acknowledged()
        await self.desk.has(self.said)
        again = self.desk.repeats() - before
        want(how == "kill" or again == 0, f"{again} messages came twice")
        ok(f"{how}: {CROWD} messages on their way, each arrived, {again} known by their ids came again")

    async def archives(self):
        got = [same[0] for same in self.desk.got.values()]
        for device, other in ((self.laptop, self.desk), (self.desk, self.laptop)):
            kept = []
            async for message in device["xep_0313"].iterate(with_jid=other.boundjid.bare, rsm={"max": "50"}):
                kept.append(message["mam_result"]["forwarded"]["stanza"]["body"])
            kept = kept[-len(self.said):]
            want(kept == got, f"the archive of {device.boundjid.bare} has another order, or: {missing(kept, got)}")
        ok(f"both archives have the {len(self.said)} messages, each once, in the order in which they came")


def main(args):
    direct = args[:1] == ["--direct"]
    if direct:
        args = args[1:]
    if len(args) != 9:
        print(__doc__, file=sys.stderr)
        return 2
    where = (args[0], int(args[1]), direct)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)

    async def tell():
        await Story(where, *args[2:]).tell()

    try:
        loop.run_until_complete(asyncio.wait_for(tell(), 6 * PATIENCE))
    except Exception as fault:  # whatever it is, something did not work
        print(f"not ok {type(fault).__name__}: {fault}", file=sys.stderr)
        return 1
    finally:
        finish(loop)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
