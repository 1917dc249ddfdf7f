#!/usr/bin/python3
"""Two agents talk to each other with Profanity, as people would: at a keyboard. Then one
of them looks at it again somewhere else.

Usage: profanity_talk.py [--direct] HOST PORT CA JID1 PASSWORD1 JID2 PASSWORD2

The arguments are those of slixmpp_talk.py. Prints "ok ..." lines; exits with 1 at
the first thing that didn't work, with the screen as it was.
"""

import os
import re
import subprocess
import sys
import tempfile
import uuid

import pexpect

PATIENCE = 20  # seconds for anything


class Fault(Exception):
    """Something that did not happen."""


class Profanity:
    """One Profanity at a terminal of its own, with nothing of the user's."""

    def __init__(self, home, where, ca, jid, password, resource="profanity"):
        host, port, direct = where
        self.jid, self.screen = jid, ""
        authorities = os.path.join(home, "ca")
        for folder in ("ca", "config/profanity", "data/profanity"):
            os.makedirs(os.path.join(home, folder), mode=0o700, exist_ok=True)
        with open(ca, "rb") as pem, open(os.path.join(authorities, "ca.pem"), "wb") as copy:
            copy.write(pem.read())
        subprocess.run(["openssl", "rehash", authorities], check=True)
        self.write(home, "config/profanity/profrc",
                   f"[connection]\ntls.certpath={authorities}\n[ui]\nsplash=false\n[notifications]\nmessage=off\n"
                   "[chatstates]\nenabled=false\n[logging]\nchlog=true\n")
        self.write(home, "data/profanity/accounts",
                   f"[agent]\nenabled=true\njid={jid}\nserver={host}\nport={port}\nresource={resource}\n"
                   f"tls.policy={'legacy' if direct else 'force'}\npassword={password}\n")
        environment = {
            "PATH": os.environ["PATH"], "TERM": "xterm", "LANG": "C.UTF-8", "HOME": home,
            "XDG_CONFIG_HOME": os.path.join(home, "config"), "XDG_DATA_HOME": os.path.join(home, "data"),
        }
        self.child = pexpect.spawn("profanity", ["-a", "agent"], env=environment, encoding="utf-8",
                                   codec_errors="replace", dimensions=(40, 160), timeout=PATIENCE)

    @staticmethod
    def write(home, name, text):
        with open(os.path.join(home, name), "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text)

    def sees(self, text):
        """Waits until something is on the screen."""
        try:
            self.child.expect(text)
        except (pexpect.TIMEOUT, pexpect.EOF) as end:
            shown = re.sub(r"\x1b[\[(][0-9;?]*[A-Za-z]", " ", self.child.before or "")
            raise Fault(f"{self.jid}: no {text!r} on the screen ({type(end).__name__}), but:\n{shown}") from None

    def finds(self, text):
        """Waits until something is in the console or in the window beside it, looking at one after the other."""
        for window in (1, 2) * 5:
            self.type(f"/win {window}")
            try:
                self.child.expect(text, timeout=PATIENCE / 10)
            except pexpect.TIMEOUT:
                continue
            return self.type("/win 2")
        self.sees(text)

    def type(self, line):
        self.child.send(line + "\r")

    def quit(self):
        self.type("/quit")
        try:
            self.child.expect(pexpect.EOF)
        except pexpect.TIMEOUT:
            self.child.terminate(force=True)


def ok(what):
    print("ok", what, flush=True)


def talk(home, where, ca, jid1, password1, jid2, password2):
    anna = Profanity(os.path.join(home, "1"), where, ca, jid1, password1)
    bob = Profanity(os.path.join(home, "2"), where, ca, jid2, password2)
    try:
        for agent in (anna, bob):
            agent.sees("logged in successfully")
            ok(f"{agent.jid} signed in")
        # The roster is asked for after signing in.
        anna.type("/roster")
        anna.sees(re.escape(jid2))
        ok(f"{jid1} has {jid2} in her roster")
        words = [f"word-{uuid.uuid4().hex[:12]}" for _ in range(2)]
        for speaker, listener, word in ((anna, bob, words[0]), (bob, anna, words[1])):
            speaker.type(f"/msg {listener.jid} {word}")
            if listener is bob:
                listener.sees("win 2")
                listener.type("/win 2")
            listener.sees(word)
            ok(f"{speaker.jid} to {listener.jid}")
    finally:
        anna.quit()
        bob.quit()
    history(Profanity(os.path.join(home, "3"), where, ca, jid1, password1, "anew"), jid2, words)


def history(anew, other, words):
    """A Profanity that knows nothing yet shows what was said, from the archive."""
    try:
        anew.sees("logged in successfully")
        anew.type("/mam on")
        anew.type(f"/msg {other}")
        for word in words:
            anew.sees(word)
        ok(f"{anew.jid} reads what was said with {other} in the archive")
    finally:
        anew.quit()


def main(args):
    direct = args[:1] == ["--direct"]
    if direct:
        args = args[1:]
    if len(args) != 7:
        print(__doc__, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as home:
        try:
            talk(home, (args[0], int(args[1]), direct), *args[2:])
        except (Fault, OSError, subprocess.CalledProcessError) as fault:
            print(f"not ok {fault}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
