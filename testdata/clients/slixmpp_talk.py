#!/usr/bin/python3
"""Two agents, three devices, one conversation, with slixmpp as the client.

Usage: slixmpp_talk.py [--direct] HOST PORT CA JID1 PASSWORD1 JID2 PASSWORD2

CA is the PEM file that the server's certificate must chain to; the certificate's
name must be the JIDs' domain, whatever HOST is. PORT is the one for STARTTLS, or
with --direct the one for TLS from the first byte. The two are colleagues: agents of
one account. Prints a line "ok ..." for each thing that worked and exits with 1 at
the first that didn't.
"""

import asyncio
import hashlib
import logging
import ssl
import sys
import uuid

logging.getLogger("slixmpp.stringprep").setLevel(logging.ERROR)  # it tells how fast it isn't

from slixmpp import ClientXMPP
from slixmpp.util.sasl.client import MECHANISMS
from slixmpp.util.sasl.mechanisms import SCRAM

PATIENCE = 20  # seconds for anything
PLUGINS = ("xep_0030", "xep_0092", "xep_0198", "xep_0199", "xep_0203", "xep_0280", "xep_0313", "xep_0359")


class EndPointSCRAM(SCRAM):
    """SCRAM bound to the server's certificate (RFC 5929, section 4).

    slixmpp itself knows tls-unique only, which TLS 1.3 does not have.
    """

    def process_1(self, challenge):
        first = super().process_1(challenge)
        self.gs2_header = self.gs2_header.replace(b"tls-unique", b"tls-server-end-point")
        return self.gs2_header + self.client_first_message_bare


MECHANISMS["SCRAM-SHA-512-PLUS"] = EndPointSCRAM


class Device(ClientXMPP):
    """One device of an agent's."""

    def __init__(self, jid, resource, password, ca, mechanism):
        super().__init__(f"{jid}/{resource}", password)
        self.ca_certs = ca
        self.bound_to_tls = mechanism.endswith("-PLUS")
        sasl = self["feature_mechanisms"]
        sasl.use_mechs = {mechanism}
        sasl.sasl_callback = self.find_credentials
        for name in PLUGINS:
            self.register_plugin(name)
        self.seen = {}
        for event in ("message", "carbon_sent", "carbon_received", "session_start", "sm_enabled", "stanza_acked",
                      "failed_all_auth", "ssl_invalid_chain", "connection_failed", "presence_available"):
            self.seen[event] = asyncio.Queue()
            self.add_event_handler(event, self.seen[event].put_nowait)

    def find_credentials(self, required, optional):
        found = self["feature_mechanisms"]._default_credentials(required, optional)
        found["channel_binding"] = b""
        if self.bound_to_tls:
            found["channel_binding"] = hashlib.sha256(self.socket.getpeercert(True)).digest()
        return found

    async def next(self, event):
        """The next thing of that name, or a failure."""
        try:
            return await asyncio.wait_for(self.seen[event].get(), PATIENCE)
        except asyncio.TimeoutError:
            raise Fault(f"{self.boundjid}: no {event} within {PATIENCE} s") from None

    async def said(self, body):
        """Wants the next message to have this body."""
        message = await self.next("message")
        want(message["body"] == body, f"{self.boundjid} got {message['body']!r} instead of {body!r}")
        return message

    def go(self, where):
        host, port, direct = where
        self.connect((host, port), use_ssl=direct, disable_starttls=direct)

    async def sign_in(self, where):
        self.go(where)
        await self.next("session_start")
        await self.next("sm_enabled")
        self.send_presence()

    async def leave(self):
        await self.disconnect()


class Fault(Exception):
    """Something that the server did wrong."""


def want(right, what):
    if not right:
        raise Fault(what)


def ok(what):
    print("ok", what, flush=True)


async def order(port, line):
    """Has keeper.py do something with the server or the lines to it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(line.encode() + b"\n")
    want(await asyncio.wait_for(reader.readline(), PATIENCE) == b"ok\n", f"the keeper does not {line}")
    writer.close()


async def talk(where, ca, jid1, password1, jid2, password2):
    laptop = Device(jid1, "laptop", password1, ca, "SCRAM-SHA-512-PLUS")
    phone = Device(jid1, "phone", password1, ca, "SCRAM-SHA-256")
    desk = Device(jid2, "desk", password2, ca, "SCRAM-SHA-1")
    for device in (laptop, phone, desk):
        await device.sign_in(where)
        ok(f"{device.boundjid} signed in with {device['feature_mechanisms'].mech.name}, "
           f"{device.socket.version()}, stream management on")
    await phone["xep_0280"].enable()
    ok("carbons enabled")
    await see(laptop, desk)
    await exchange(laptop, phone, desk)
    await archive(laptop, desk)
    await laptop["xep_0199"].ping(laptop.boundjid.domain)
    version = await laptop["xep_0092"].get_version(laptop.boundjid.domain)
    ok(f"ping answered by {version['software_version']['name']}")
    for device in (laptop, phone, desk):
        await device.leave()
    await refused(where, ca, jid1, password1)


async def see(laptop, desk):
    """The two find each other in their rosters, and see each other's presence."""
    roster = await laptop.get_roster()
    items = roster["roster"]["items"]
    want(desk.boundjid.bare in items, f"{desk.boundjid.bare} is not in the roster")
    want(items[desk.boundjid.bare]["subscription"] == "both", "no subscription both ways")
    presence = await laptop.next("presence_available")
    while presence["from"] != desk.boundjid:
        presence = await laptop.next("presence_available")
    ok(f"{laptop.boundjid} sees {desk.boundjid}")


async def exchange(laptop, phone, desk):
    """A word each way, with a copy for the phone and an acknowledgement."""
    laptop.words = [f"Tür & Tor <{uuid.uuid4()}>", f"Ja, {uuid.uuid4()}"]
    while not laptop.seen["stanza_acked"].empty():
        laptop.seen["stanza_acked"].get_nowait()
    laptop.send_message(mto=desk.boundjid.full, mbody=laptop.words[0], mtype="chat")
    got = await desk.said(laptop.words[0])
    want(got["from"] == laptop.boundjid, f"from {got['from']}")
    copied = (await phone.next("carbon_sent"))["carbon_sent"]
    want(copied["body"] == laptop.words[0], f"the copy says {copied['body']!r}")
    laptop["xep_0198"].request_ack()
    await laptop.next("stanza_acked")
    ok(f"{laptop.boundjid} to {desk.boundjid}, copied to {phone.boundjid}, acknowledged")

    desk.send_message(mto=laptop.boundjid.full, mbody=laptop.words[1], mtype="chat")
    got = await laptop.said(laptop.words[1])
    want(got["stanza_id"]["by"] == laptop.boundjid.bare, "no stanza-id of the archive")
    laptop.kept = got["stanza_id"]["id"]
    copied = (await phone.next("carbon_received"))["carbon_received"]
    want(copied["body"] == laptop.words[1], f"the copy says {copied['body']!r}")
    ok(f"{desk.boundjid} to {laptop.boundjid}, copied to {phone.boundjid}")


async def archive(laptop, desk):
    """Both find both words in their archives, in order."""
    for device, other in ((laptop, desk), (desk, laptop)):
        said, ids = [], []
        async for message in device["xep_0313"].iterate(with_jid=other.boundjid.bare, rsm={"max": "1"}):
            result = message["mam_result"]
            ids.append(result["id"])
            said.append(result["forwarded"]["stanza"]["body"])
        want(said[-2:] == laptop.words, f"the archive of {device.boundjid.bare} has {said}")
        if device is laptop:
            want(ids[-1] == laptop.kept, "the archive's id differs from the stanza-id")
        ok(f"archive of {device.boundjid.bare}: {len(said)} messages, page by page")


async def refused(where, ca, jid, password):
    """A wrong password and a certificate that nobody vouches for end it."""
    logging.disable(logging.ERROR)  # which are expected
    wrong = Device(jid, "wrong", "not " + password, ca, "SCRAM-SHA-256")
    wrong.go(where)
    await wrong.next("failed_all_auth")
    ok("a wrong password is refused")
    careful = Device(jid, "careful", password, None, "SCRAM-SHA-256")
    careful.ssl_context = ssl.create_default_context()
    careful.go(where)
    await careful.next("connection_failed" if where[2] else "ssl_invalid_chain")
    careful.abort()
    ok("without the CA the certificate is refused")


def main(args):
    direct = args[:1] == ["--direct"]
    if direct:
        args = args[1:]
    if len(args) != 7:
        print(__doc__, file=sys.stderr)
        return 2
    host, port, ca = args[0], int(args[1]), args[2]
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(asyncio.wait_for(talk((host, port, direct), ca, *args[3:]), 6 * PATIENCE))
    except Exception as fault:  # whatever it is, something did not work
        print(f"not ok {type(fault).__name__}: {fault}", file=sys.stderr)
        return 1
    finally:
        finish(loop)
    return 0


def finish(loop):
    """Ends what slixmpp leaves running for each device."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
