#!/usr/bin/python3
"""Waits until webhook_receiver.py has got what it should.

Usage: check_webhooks.py OUT TYPE=COUNT...

Succeeds when so many different events of each type have come, all of them signed as
they must be; fails at once when one isn't, and after half a minute when one is missing.
"""

import collections
import json
import sys
import time


def read(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


def main(args):
    if len(args) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    wanted = {name: int(count) for name, _, count in (arg.partition("=") for arg in args[1:])}
    until = time.monotonic() + 30
    while True:
        verdicts = read(args[0])
        bad = [v for v in verdicts if not v["ok"]]
        if bad:
            print(f"not ok {bad[0]}", file=sys.stderr)
            return 1
        counts = collections.Counter(kind for _, kind in {(v["id"], v["type"]) for v in verdicts})
        if all(counts[name] >= count for name, count in wanted.items()):
            break
        if time.monotonic() > until:
            print(f"not ok got {dict(counts)}, want {wanted}", file=sys.stderr)
            return 1
        time.sleep(0.1)
    over = {name: counts[name] for name, count in wanted.items() if counts[name] != count}
    if over:
        print(f"not ok more events than there were: {over}, want {wanted}", file=sys.stderr)
        return 1
    print(f"ok {len(verdicts)} webhooks, each signed twice: {dict(counts)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
