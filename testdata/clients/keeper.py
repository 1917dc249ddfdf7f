#!/usr/bin/python3
"""Keeps a server running, and is the line between it and its clients.

Usage: keeper.py LOG PARLEY serve [ARG...]

Starts the server, which is to listen on ports of its own choice, and appends what it
says to LOG. Prints "ready starttls=PORT tls=PORT orders=PORT": two ports that lead to
the server's for as long as the keeper runs, and one that takes an order a line and
says "ok" when it is done:

  restart     ends the server with SIGTERM and starts it again
  kill        the same with SIGKILL
  cut         breaks all lines; neither end says goodbye
  cut PORT    breaks the line of the client that has this port at its own end
  cut last    breaks the youngest line

Whoever comes while the server is away waits until it is back. SIGTERM ends the server
and then the keeper, with the server's exit code.
"""

import asyncio
import re
import signal
import sys

READY = re.compile(r"msg=ready .*?\bstarttls=\S*:(\d+) .*?\btls=\S*:(\d+)")


class Keeper:
    def __init__(self, log, command):
        self.log, self.command = open(log, "ab", buffering=0), command
        self.ready = asyncio.Event()
        self.lines = {}  # the transports of each line, by the client's port

    async def start(self):
        self.server = await asyncio.create_subprocess_exec(*self.command, stderr=asyncio.subprocess.PIPE)
        self.reading = asyncio.ensure_future(self.read())
        waiting = asyncio.ensure_future(self.ready.wait())
        await asyncio.wait({waiting, self.reading}, return_when=asyncio.FIRST_COMPLETED)
        if not self.ready.is_set():
            raise SystemExit(f"keeper: {' '.join(self.command)} ended before it was ready")

    async def read(self):
        while line := await self.server.stderr.readline():
            self.log.write(line)
            if found := READY.search(line.decode(errors="replace")):
                self.ports = [int(port) for port in found.groups()]
                self.ready.set()

    async def stop(self, number):
        self.ready.clear()
        self.server.send_signal(number)
        await self.reading
        return await self.server.wait()

    def through(self, which):
        """What to do with a client that wants one of the server's ports."""

        async def join(*client):
            line = client[1].get_extra_info("peername")[1]
            self.lines[line] = [client[1]]
            try:
                await self.ready.wait()
                server = await asyncio.open_connection("127.0.0.1", self.ports[which])
                self.lines.setdefault(line, [client[1]]).append(server[1])
                await asyncio.gather(self.copy(client[0], server[1]), self.copy(server[0], client[1]))
            except OSError:
                pass  # one of them is gone
            finally:
                self.cut(line)

        return join

    async def copy(self, reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()

    def cut(self, line):
        for writer in self.lines.pop(line, []):
            writer.transport.abort()

    async def orders(self, reader, writer):
        while words := (await reader.readline()).decode().split():
            match words:
                case ["restart"]:
                    if code := await self.stop(signal.SIGTERM):
                        raise SystemExit(f"keeper: SIGTERM ended the server with {code}")
                    await self.start()
                case ["kill"]:
                    await self.stop(signal.SIGKILL)
                    await self.start()
                case ["cut", "last"]:
                    self.cut(list(self.lines)[-1])
                case ["cut", *ports]:
                    for line in [int(port) for port in ports] or list(self.lines):
                        self.cut(line)
            writer.write(b"ok\n")
        writer.close()

    async def run(self):
        loop, end = asyncio.get_running_loop(), asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, end.set)
        await self.start()
        handlers = {"starttls": self.through(0), "tls": self.through(1), "orders": self.orders}
        servers = {name: await asyncio.start_server(handler, "127.0.0.1", 0) for name, handler in handlers.items()}
        print("ready", *(f"{name}={server.sockets[0].getsockname()[1]}" for name, server in servers.items()), flush=True)
        await end.wait()
        return await self.stop(signal.SIGTERM)


def main(args):
    if len(args) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(Keeper(args[0], args[1:]).run())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
