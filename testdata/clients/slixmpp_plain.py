#!/usr/bin/python3
"""Two agents talk with slixmpp as it comes: nothing of it is changed or chosen.

Usage: slixmpp_plain.py [--direct] HOST PORT CA JID1 PASSWORD1 JID2 PASSWORD2

The arguments are those of slixmpp_talk.py. slixmpp takes the strongest mechanism on
offer, and fails at those with -PLUS over TLS 1.3, so the server is to run with
auth.channel_binding = false. Prints "ok ..." lines; exits with 1 at the first thing
that didn't work.
"""

import asyncio
import logging
import sys
import uuid

logging.getLogger("slixmpp.stringprep").setLevel(logging.ERROR)  # it tells how fast it isn't

from slixmpp import ClientXMPP

PATIENCE = 20  # seconds for anything


async def sign_in(where, ca, jid, password):
    host, port, direct = where
    client = ClientXMPP(jid, password)
    client.ca_certs = ca
    client.said = asyncio.Queue()
    client.add_event_handler("message", client.said.put_nowait)
    client.connect((host, port), use_ssl=direct, disable_starttls=direct)
    await client.wait_until("session_start", PATIENCE)
    client.send_presence()
    await client.get_roster()
    print(f"ok {client.boundjid} signed in with {client['feature_mechanisms'].mech.name}, {client.socket.version()}", flush=True)
    return client


async def talk(where, ca, jid1, password1, jid2, password2):
    anna = await sign_in(where, ca, jid1, password1)
    bob = await sign_in(where, ca, jid2, password2)
    for speaker, listener in ((anna, bob), (bob, anna)):
        word = f"Tür & Tor <{uuid.uuid4()}>"
        speaker.send_message(mto=listener.boundjid.bare, mbody=word, mtype="chat")
        got = await asyncio.wait_for(listener.said.get(), PATIENCE)
        if got["body"] != word or got["from"] != speaker.boundjid:
            raise ValueError(f"{listener.boundjid} got {got['body']!r} from {got['from']} instead of {word!r}")
        print(f"ok {speaker.boundjid} to {listener.boundjid}", flush=True)
    for client in (anna, bob):
        await client.disconnect()


def main(args):
    direct = args[:1] == ["--direct"]
    if direct:
        args = args[1:]
    if len(args) != 7:
        print(__doc__, file=sys.stderr)
        return 2
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(asyncio.wait_for(talk((args[0], int(args[1]), direct), *args[2:]), 3 * PATIENCE))
    except Exception as fault:  # whatever it is, something did not work
        print(f"not ok {type(fault).__name__}: {fault}", file=sys.stderr)
        return 1
    finally:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
