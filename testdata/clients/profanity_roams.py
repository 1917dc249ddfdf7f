#!/usr/bin/python3
"""Two agents with Profanity while everything breaks around them: nothing that was said
is lost.

Usage: profanity_roams.py [--direct] HOST PORT CA JID1 PASSWORD1 JID2 PASSWORD2 ORDERS SAID

The arguments are those of slixmpp_roams.py. Prints "ok ..." lines; exits with 1 at the
first thing that didn't work, with the screen as it was.
"""

import glob
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid

import pexpect

from profanity_talk import PATIENCE, Fault, Profanity, ok


class Roamer(Profanity):
    """A Profanity that comes back by itself, and writes down what it hears and says."""

    def __init__(self, home, *args):
        super().__init__(home, *args)
        self.home = home
        self.sees("logged in successfully")
        self.type("/reconnect 1")
        self.type("/carbons on")
        self.sees("carbons preference enabled")

    def heard(self, word):
        """How often a word is in the log of what was said."""
        count = 0
        for path in glob.glob(os.path.join(self.home, "data/profanity/chatlogs/*/*/*.log")):
            with open(path, encoding="utf-8") as file:
                count += file.read().count(word)
        return count

    def hears(self, words, once=True):
        """Waits until each word has come: once, or at least once."""
        until = time.monotonic() + PATIENCE
        while not all(self.heard(word) for word in words):
            if time.monotonic() > until:
                raise Fault(f"{self.jid} did not hear {[w for w in words if not self.heard(w)]} of {len(words)}")
            self.look()
        twice = [word for word in words if self.heard(word) > 1]
        if once and twice:
            raise Fault(f"{self.jid} heard {twice} twice")

    def look(self):
        """Reads what the terminal has to show, which would be full otherwise."""
        self.child.expect([r"(?s).+", pexpect.TIMEOUT], timeout=0.1)


class Story:
    """Anna says things to Bob."""

    def __init__(self, home, where, ca, jid1, password1, jid2, password2, orders, said):
        self.home, self.orders, self.said = home, int(orders), said
        self.where, self.ca = where, ca
        self.first, self.second = (jid1, password1), (jid2, password2)
        self.anna, self.bob = self.comes("1", self.first), self.comes("2", self.second)

    def comes(self, folder, person):
        return Roamer(os.path.join(self.home, folder), self.where, self.ca, *person, f"device-{folder}")

    def order(self, line):
        with socket.create_connection(("127.0.0.1", self.orders), timeout=PATIENCE) as keeper:
            keeper.sendall(line.encode() + b"\n")
            if keeper.recv(10) != b"ok\n":
                raise Fault(f"the keeper does not {line}")

    def say(self, count):
        words = [f"word-{uuid.uuid4().hex[:12]}" for _ in range(count)]
        with open(self.said, "a", encoding="utf-8") as file:
            file.writelines(word + "\n" for word in words)
        for word in words:
            self.anna.type(f"/msg {self.bob.jid} {word}")
        return words

    def tell(self):
        words = self.say(1)
        self.bob.hears(words)
        ok(f"{self.anna.jid} to {self.bob.jid}")
        self.bob.quit()
        words += self.say(2)
        self.anna.hears(words)
        self.bob = self.comes("2", self.second)
        self.bob.hears(words)
        ok("what was said while Bob was away waited for him")
        self.copies()
        self.cut()
        for order in ("restart", "kill"):
            self.broken(order)

    def copies(self):
        phone = self.comes("3", self.first)
        phone.hears(self.say(1))
        phone.quit()
        ok("another device of hers shows what Anna says")

    def cut(self):
        self.order("cut last")  # which is Bob's
        words = self.say(3)
        self.back(self.bob)
        self.bob.hears(words)
        ok("a cut line: Bob comes back by himself and hears what was said, once")

    def broken(self, order):
        """What is typed in the moment of a break is lost by Profanity 0.13.1 itself, so nothing is."""
        words = self.say(3)
        self.bob.hears(words)
        self.order(order)
        self.back(self.anna)
        self.back(self.bob)
        words += self.say(3)
        self.bob.hears(words, once=order != "kill")
        ok(f"{order}: both come back by themselves, and all six words arrived")

    def back(self, person):
        person.sees("re-established|logged in successfully")

    def end(self):
        self.anna.quit()
        self.bob.quit()


def main(args):
    direct = args[:1] == ["--direct"]
    if direct:
        args = args[1:]
    if len(args) != 9:
        print(__doc__, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as home:
        try:
            story = Story(home, (args[0], int(args[1]), direct), *args[2:])
            story.tell()
            story.end()
        except (Fault, OSError, subprocess.CalledProcessError) as fault:
            print(f"not ok {fault}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
