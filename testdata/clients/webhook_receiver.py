#!/usr/bin/python3
"""An HTTPS receiver that checks the signatures of webhooks, with nothing but the
standard library.

Usage: webhook_receiver.py HOST:PORT CERT KEY SECRETS OUT

CERT and KEY are the receiver's own certificate. SECRETS is a JSON file, read anew
for each request: {"secret": "whsec_...", "token": "..."}, the endpoint's secret and
the account's token. Each request is answered with 204 when both of its signatures
are right and with 401 otherwise, and one JSON line with the verdict is appended to
OUT: {"ok": true, "signature": true, "hmac": true, "fresh": true, "same": true,
"id": "evt_...", "type": "message.created", "event": {...}}. Prints "listening on
HOST:PORT" when it is ready; port 0 takes a free one. Ends with SIGTERM.
"""

import base64
import hashlib
import hmac
import http.server
import json
import ssl
import sys
import threading
import time

TOLERANCE = 300  # seconds that a timestamp may be off


def standard_signature(secret, identifier, timestamp, body):
    """The signature of Standard Webhooks: over id, time and body."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{identifier}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


def account_hmac(token, body):
    """x-vvc-hmac: over the bytes of the body, with the token as it is written."""
    return hmac.new(token.encode("ascii"), body, hashlib.sha1).hexdigest()


def verdict(headers, body, secret, token, now):
    """What is right and what is wrong about a request."""
    identifier, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    right = standard_signature(secret, identifier, timestamp, body)
    signature = any(hmac.compare_digest(right, one) for one in headers.get("webhook-signature", "").split(" "))
    mac = hmac.compare_digest(account_hmac(token, body), headers.get("x-vvc-hmac", ""))
    fresh = timestamp.isdigit() and abs(now - int(timestamp)) <= TOLERANCE
    try:
        event = json.loads(body)
    except ValueError:
        event = None
    same = isinstance(event, dict) and event.get("id") == identifier and event.get("type") == headers.get("x-parley-event")
    return {
        "ok": signature and mac and fresh and same,
        "signature": signature,
        "hmac": mac,
        "fresh": fresh,
        "same": same,
        "id": identifier,
        "type": event.get("type") if isinstance(event, dict) else None,
        "event": event,
    }


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        with open(self.server.secrets, encoding="utf-8") as file:
            secrets = json.load(file)
        v = verdict(self.headers, body, secrets["secret"], secrets["token"], time.time())
        with self.server.lock:
            self.server.out.write(json.dumps(v) + "\n")
            self.server.out.flush()
        self.send_response(204 if v["ok"] else 401)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


def main(args):
    if len(args) != 5:
        print(__doc__, file=sys.stderr)
        return 2
    host, _, port = args[0].rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(args[1], args[2])
    server = http.server.ThreadingHTTPServer((host.strip("[]"), int(port)), Handler)
    server.daemon_threads = True
    server.secrets = args[3]
    server.lock, server.out = threading.Lock(), open(args[4], "a", encoding="utf-8")
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(f"listening on {host}:{server.server_address[1]}", flush=True)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
