#!/usr/bin/python3
"""Two agents who don't know each other become contacts, and part, with Profanity.

Usage: profanity_contacts.py [--direct] HOST PORT CA JID1 PASSWORD1 JID2 PASSWORD2 ORDERS

The arguments and the server's are those of slixmpp_contacts.py. Prints "ok ..." lines;
exits with 1 at the first thing that didn't work, with the screen as it was.
"""

import os
import re
import subprocess
import sys
import tempfile

from profanity_talk import Fault, Profanity, ok


def tell(home, where, ca, jid1, password1, jid2, password2, _):
    anna = Profanity(os.path.join(home, "1"), where, ca, jid1, password1)
    anna.sees("logged in successfully")
    anna.type(f"/sub request {jid2}")
    anna.sees(f"Sent subscription request to {re.escape(jid2)}")
    bob = Profanity(os.path.join(home, "2"), where, ca, jid2, password2)
    bob.sees("Received authorization request from")
    ok("a request waits until Bob is there")
    bob.type(f"/sub allow {jid1}")
    anna.sees("Subscription received from")
    bob.type(f"/sub request {jid1}")
    anna.sees("Received authorization request from")
    anna.type(f"/sub allow {jid2}")
    bob.sees("Subscription received from")
    anna.type("/roster")
    anna.sees("jid.*subscription.*groups")
    anna.sees(f"{re.escape(jid2)}.*both")
    ok("each agreed")
    for person, other in ((anna, jid2), (bob, jid1)):
        person.type(f"/roster remove {other}")
        person.sees(f"Roster item removed: {re.escape(other)}")
    ok("removed")
    anna.quit()
    bob.quit()


def main(args):
    direct = args[:1] == ["--direct"]
    if direct:
        args = args[1:]
    if len(args) != 8:
        print(__doc__, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as home:
        try:
            tell(home, (args[0], int(args[1]), direct), *args[2:])
        except (Fault, OSError, subprocess.CalledProcessError) as fault:
            print(f"not ok {fault}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
