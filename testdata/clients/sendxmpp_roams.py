#!/usr/bin/python3
"""Two agents with go-sendxmpp, which is started for each thing that is to be said, and
once more to listen: nothing that was said is lost.

Usage: sendxmpp_roams.py [--direct] HOST PORT CA JID1 PASSWORD1 JID2 PASSWORD2 ORDERS SAID

The arguments are those of slixmpp_roams.py. Prints "ok ..." lines; exits with 1 at the
first thing that didn't work.
"""

import base64
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import uuid

PATIENCE = 20  # seconds for anything
HEARD = re.compile(r"\d{4}-\d\d-\d\dT[\d:]+Z ")  # how a line begins that somebody said
TOKEN = "HT-SHA-256-EXPR"  # what it comes back with
MECHANISMS = [f"SCRAM-SHA-{size}{plus}" for size in (1, 256, 512) for plus in ("", "-PLUS")]


class Fault(Exception):
    """Something that the server did wrong."""


def want(right, what):
    if not right:
        raise Fault(what)


def ok(what):
    print("ok", what, flush=True)


def last(wrote):
    return wrote.rstrip("\n").rpartition("\n")[2]


def signed_in(wrote, mechanism):
    """Whether this mechanism was taken by SASL2, with -PLUS bound to the session of TLS 1.3 (RFC 9266)."""
    found = re.search(r"<authenticate [^>]*mechanism='([^']*)'><initial-response>([^<]*)<", wrote)
    if mechanism == TOKEN:
        return found and found[1] == mechanism
    binding = b"p=tls-exporter," if mechanism.endswith("-PLUS") else b"n,"
    return found and found[1] == mechanism and base64.b64decode(found[2]).startswith(binding)


class Person:
    """Somebody who has a go-sendxmpp, and a home for what it notes down."""

    def __init__(self, home, where, ca, jid, password):
        host, port, direct = where
        self.jid, self.password, self.listeners = jid, password, []
        self.command = ["go-sendxmpp", "--suppress-root-warning", "--debug", f"--timeout={PATIENCE}",
                        "--username", jid, "--jserver", f"{host}:{port}", *(["--tls"] if direct else [])]
        self.environment = {"PATH": os.environ["PATH"], "HOME": home, "SSL_CERT_FILE": ca, "SSL_CERT_DIR": home}

    def send(self, other, text, *options, password=None, **environment):
        """Lets the program send what is in text, and gives back how it ended, and all it wrote."""
        command = [*self.command, "--password", password or self.password, *options, other.jid]
        done = subprocess.run(command, env={**self.environment, **environment}, timeout=PATIENCE, text=True,
                              input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout

    def listen(self, *only):
        """Listens to all, or to some."""
        self.listeners.append(Listener(self, *only))
        return self.listeners[-1].comes()

    def end(self):
        for listener in self.listeners:
            listener.process.kill()
            listener.process.wait()


class Listener:
    """A go-sendxmpp that prints what it hears, until its line breaks."""

    def __init__(self, person, *only):
        self.jid, self.lines = person.jid, queue.SimpleQueue()
        self.process = subprocess.Popen([*person.command, "--password", person.password, "--listen", *only],
                                        env=person.environment, text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.reading = threading.Thread(target=self.read, daemon=True)
        self.reading.start()

    def comes(self):
        """Waits until it is there: then its own presence comes back to it."""
        self.until(re.compile(rf"RECV: <presence .*from='{re.escape(self.jid)}/").match, "presence of its own")
        return self

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def until(self, this, what):
        """The next line that is this, or a failure."""
        while True:
            try:
                line = self.lines.get(timeout=PATIENCE)
            except queue.Empty:
                raise Fault(f"{self.jid}: no {what} within {PATIENCE} s") from None
            want(line is not None, f"{self.jid}: no {what} before the end")
            if this(line):
                return line

    def hears(self, other, words, again=()):
        """Wants these to come next, in this order, and nothing else but perhaps some again before."""
        repeats, wanted = 0, list(words)
        while wanted:
            line = self.until(HEARD.match, f"{wanted[0]!r}")
            word = line.split(" ", 1)[1].removeprefix(f"{other.jid}: ")
            if len(wanted) == len(words) and word in again:
                repeats += 1
                continue
            want(word == wanted.pop(0), f"{self.jid} heard {line!r}, not what was to come")
        return repeats

    def breaks(self):
        """Wants the program to notice that its line is gone, having heard no more."""
        code = self.process.wait(PATIENCE)
        want(code == 1, f"{self.jid}: ended with {code} when the line broke")
        self.silent()

    def leaves(self):
        """Ends it as a person would, with Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE)
        self.silent()

    def silent(self):
        while (line := self.lines.get(timeout=PATIENCE)) is not None:
            want(not HEARD.match(line), f"{self.jid} heard also {line!r}")


class Story:
    """Anna says things to Bob."""

    def __init__(self, home, where, ca, jid1, password1, jid2, password2, orders, said):
        self.orders, self.file, self.said = int(orders), said, []
        homes = [os.path.join(home, name) for name in "12"]
        for folder in homes:
            os.mkdir(folder, mode=0o700)
        self.anna = Person(homes[0], where, ca, jid1, password1)
        self.bob = Person(homes[1], where, ca, jid2, password2)

    def order(self, line):
        with socket.create_connection(("127.0.0.1", self.orders), PATIENCE) as keeper:
            keeper.sendall(line.encode() + b"\n")
            want(keeper.recv(16) == b"ok\n", f"the keeper does not {line}")

    def say(self, count=1, speaker=None, *options):
        """Has so many lines said to the other, by one program; gives them back, and what it wrote.

        The server ends its stream only when it has what came before, and go-sendxmpp waits
        for that: what has been said by it can't be lost any more.
        """
        speaker = speaker or self.anna
        listener = self.bob if speaker is self.anna else self.anna
        words = [f"go-sendxmpp {uuid.uuid4()}" for _ in range(count)]
        code, wrote = speaker.send(listener, "".join(word + "\n" for word in words), *options)
        # With --interactive the end of its input is a fault to it, after which it says goodbye.
        well = code == 0 or "--interactive" in options and wrote.endswith(" failed to read from stdin\n")
        want(well, f"{speaker.jid}: go-sendxmpp ended with {code}: {last(wrote)}")
        with open(self.file, "a", encoding="utf-8") as file:
            file.writelines(word + "\n" for word in words)
        self.said += words
        return words, wrote

    def tell(self):
        self.offline()
        self.two()
        for how in ("cut", "restart", "kill"):
            self.broken(how)
        self.refused()

    def offline(self):
        words, wrote = self.say()
        want(signed_in(wrote, MECHANISMS[-1]), f"did not choose {MECHANISMS[-1]}")
        ok(f"what it chooses by itself is {MECHANISMS[-1]}")
        more, wrote = self.say()
        want(signed_in(wrote, TOKEN), f"did not come back with {TOKEN}")
        ok(f"it comes back with a token, {TOKEN}")
        words += more
        for mechanism in MECHANISMS:
            more, wrote = self.say(1, self.anna, "--fast-off", f"--scram-mech-pinning={mechanism}")
            want(signed_in(wrote, mechanism), f"did not sign in with {mechanism}")
            words += more
        ok(f"signed in with {', '.join(MECHANISMS)}; -PLUS is bound with tls-exporter")
        bob = self.bob.listen()
        bob.hears(self.anna, words)
        ok("what was said while Bob was away waited for him")
        bob.leaves()

    def two(self):
        bob, phone, anna = self.bob.listen(), self.bob.listen(self.anna.jid), self.anna.listen()
        words, _ = self.say(20, self.anna, "--interactive")
        for device in (bob, phone):
            device.hears(self.anna, words)
        anna.hears(self.bob, self.say(1, self.bob)[0])
        ok("twenty lines to two devices, and an answer")
        for device in (bob, phone, anna):
            device.leaves()

    def broken(self, how):
        bob = self.bob.listen()
        bob.hears(self.anna, self.say()[0])
        before = list(self.said)
        self.order(how)
        bob.breaks()
        words, _ = self.say(2, self.anna, "--interactive")
        if how != "cut":
            self.order(how)  # as soon as it is said
        bob = self.bob.listen()
        # What has come to whom a server notes now and then: killed, it sends again what came
        # since, under the same ids; go-sendxmpp looks at none.
        repeats = bob.hears(self.anna, words, before if how == "kill" else ())
        bob.leaves()
        ok(f"{how}: he notices, and hears what was said until he came back; {repeats} came again")

    def refused(self):
        code, wrote = self.anna.send(self.bob, "never said\n", "--fast-off", password="not " + self.anna.password)
        want(code == 1 and "not-authorized" in wrote, f"a wrong password: ended with {code}: {last(wrote)}")
        ok("a wrong password is refused")
        code, wrote = self.anna.send(self.bob, "never said\n", SSL_CERT_FILE=os.devnull)
        want(code == 1 and "unknown authority" in wrote, f"an unknown CA: ended with {code}: {last(wrote)}")
        ok("without the CA the certificate is refused")


def main(args):
    direct = args[:1] == ["--direct"]
    if direct:
        args = args[1:]
    if len(args) != 9:
        print(__doc__, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as home:
        story = Story(home, (args[0], int(args[1]), direct), *args[2:])
        try:
            story.tell()
        except (Fault, OSError, subprocess.SubprocessError, queue.Empty) as fault:
            print(f"not ok {fault or type(fault).__name__}", file=sys.stderr)
            return 1
        finally:
            story.anna.end()
            story.bob.end()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
