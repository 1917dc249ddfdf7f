#!/usr/bin/python3
"""An agent whose client does what it is told, for tests that have something else to do as
well.

Usage: agent.py slixmpp|profanity HOST PORT CA JID PASSWORD

PORT is the one for direct TLS. Orders are read from the standard input, a line of JSON
each, and what happens is written in the same way; {"here": true} comes first.

slixmpp obeys {"to": JID, "id": ID, "body": TEXT}, {"to": JID, "state": "composing"},
{"to": JID, "file": PATH} (XEP-0363) and {"get": URL}, which it answers by {"got": URL, "sum":
SHA-256}; it tells each message: {"type", "from", "id", "body", "url", "state", "error",
"text"}. profanity obeys {"type": TEXT}, which is what its user types, and {"see": TEXT}, which
it answers by {"saw": TEXT} as soon as that is on the screen; {"find": TEXT} is the same for
what may be in either of its first two windows. It ends with its input.
"""

import asyncio
import hashlib
import json
import os
import re
import sys
import tempfile

STATES = "http://jabber.org/protocol/chatstates"


def tell(**what):
    print(json.dumps(what), flush=True)


def drawn(text):
    """A text as it is on a screen: what is longer than a line goes on below, and it is drawn in pieces."""
    return r"(?:\s|\x1b\[[0-9;?]*[A-Za-z])+".join(re.escape(word) for word in text.split())


def keyboard(where, ca, jid, password):
    from profanity_talk import Profanity

    with tempfile.TemporaryDirectory() as home:
        agent = Profanity(home, where, ca, jid, password)
        try:
            agent.sees("logged in successfully")
            tell(here=True)
            for line in sys.stdin:
                match json.loads(line):
                    case {"type": text}:
                        agent.type(text)
                    case {"see": text}:
                        agent.sees(drawn(text))
                        tell(saw=text)
                    case {"find": text}:
                        agent.finds(drawn(text))
                        tell(saw=text)
        finally:
            agent.quit()


async def place(agent):
    """Where files are put, which slixmpp 1.8.3 can't find by itself with Python 3.11."""
    disco = agent["xep_0030"]
    for jid, _, _ in (await disco.get_items(agent.boundjid.domain))["disco_items"]["items"]:
        if "urn:xmpp:http:upload:0" in (await disco.get_info(jid))["disco_info"]["features"]:
            return jid
    raise LookupError("no place for files")


async def library(where, ca, jid, password):
    from aiohttp import ClientSession
    from slixmpp_talk import Device

    os.environ["SSL_CERT_FILE"] = ca  # for files' links
    agent = Device(jid, "slixmpp", password, ca, "SCRAM-SHA-256")
    agent.register_plugin("xep_0066")
    agent.register_plugin("xep_0363")

    def message(got):
        xml = got.xml
        error = xml.find("{jabber:client}error")
        tell(type=got["type"], **{"from": str(got["from"])}, id=got["id"], body=got["body"], url=got["oob"]["url"],
             state=next((e.tag.partition("}")[2] for e in xml if e.tag.startswith("{%s}" % STATES)), ""),
             error=error[0].tag.partition("}")[2] if error is not None else "",
             text=error.findtext("{urn:ietf:params:xml:ns:xmpp-stanzas}text") or "" if error is not None else "")

    from slixmpp.xmlstream.handler import Callback
    from slixmpp.xmlstream.matcher import StanzaPath

    agent.register_handler(Callback("all messages", StanzaPath("message"), message))
    await agent.sign_in(where)
    tell(here=True)
    orders = asyncio.StreamReader()
    await asyncio.get_event_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():
        order = json.loads(line)
        if "get" in order:
            async with ClientSession() as web, web.get(order["get"]) as answer:
                tell(got=order["get"], sum=hashlib.sha256(await answer.read()).hexdigest())
            continue
        said = agent.make_message(mto=order["to"], mtype="chat", mbody=order.get("body"))
        if "file" in order:
            files = agent["xep_0363"]
            files.upload_service = files.upload_service or await place(agent)
            said["body"] = said["oob"]["url"] = await files.upload_file(order["file"])
        if "id" in order:
            said["id"] = order["id"]
        if "state" in order:
            from xml.etree import ElementTree

            said.append(ElementTree.Element("{%s}%s" % (STATES, order["state"])))
        said.send()
    await agent.leave()


def main(args):
    if len(args) != 6 or args[0] not in ("slixmpp", "profanity"):
        print(__doc__, file=sys.stderr)
        return 2
    where, rest = (args[1], int(args[2]), True), args[3:]
    if args[0] == "profanity":
        keyboard(where, *rest)
    else:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        loop.run_until_complete(library(where, *rest))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
