#!/usr/bin/python3
"""An agent whose client does what it is told, for tests that have something else to do as
well.

Usage: agent.py slixmpp|profanity HOST PORT CA JID PASSWORD

PORT is the one for direct TLS. Orders are read from the standard input, a line of JSON
each, and what happens is written in the same way; {"here": true} comes first.

slixmpp obeys {"to": JID, "id": ID, "body": TEXT} and {"to": JID, "state": "composing"}, and
tells each message: {"type", "from", "id", "body", "state", "error", "text"}. profanity obeys
{"type": TEXT}, which is what its user types, and {"see": TEXT}, which it answers by
{"saw": TEXT} as soon as that is on the screen. It ends with its input.
"""

import asyncio
import json
import re
import sys
import tempfile

STATES = "http://jabber.org/protocol/chatstates"


def tell(**what):
    print(json.dumps(what), flush=True)


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
                        # What is longer than a line goes on below; the screen is drawn in pieces.
                        agent.sees(r"(?:\s|\x1b\[[0-9;?]*[A-Za-z])+".join(re.escape(word) for word in text.split()))
                        tell(saw=text)
        finally:
            agent.quit()


async def library(where, ca, jid, password):
    from slixmpp_talk import Device

    agent = Device(jid, "slixmpp", password, ca, "SCRAM-SHA-256")

    def message(got):
        xml = got.xml
        error = xml.find("{jabber:client}error")
        tell(type=got["type"], **{"from": str(got["from"])}, id=got["id"], body=got["body"],
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
        said = agent.make_message(mto=order["to"], mtype="chat", mbody=order.get("body"))
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
