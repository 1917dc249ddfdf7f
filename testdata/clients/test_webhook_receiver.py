#!/usr/bin/python3
"""Checks webhook_receiver.py's arithmetic against published examples."""

import unittest

import webhook_receiver as receiver

TOKEN = "47242e604a74ea7854787a14ac1afaf438aeb56a7c471ba3b3269731819a3d80de339f4a3d3b5b920d16d2d4dde1ac2d"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Signatures(unittest.TestCase):
    def test_account_hmac(self):
        self.assertEqual(receiver.account_hmac(TOKEN, b'{"id":"c123"}'), "c438f151bcc30bb8ea8bb3caad5bcf35fcc22fcd")
        self.assertEqual(receiver.account_hmac(TOKEN, b""), "c92856eecd0ecac405267725aae6220b4557ba70")

    def test_standard_signature(self):
        got = receiver.standard_signature(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
        self.assertEqual(got, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")

    def test_verdict(self):
        body = b'{"type":"webhook.test","id":"evt_1"}'
        right = {
            "webhook-id": "evt_1",
            "webhook-timestamp": "1000",
            "webhook-signature": "v1,old " + receiver.standard_signature(SECRET, "evt_1", "1000", body),
            "x-vvc-hmac": receiver.account_hmac(TOKEN, body),
            "x-parley-event": "webhook.test",
        }
        self.assertTrue(receiver.verdict(right, body, SECRET, TOKEN, 1001)["ok"])
        self.assertFalse(receiver.verdict(right, body, SECRET, TOKEN, 2000)["fresh"])
        flipped = receiver.verdict(right, body + b" ", SECRET, TOKEN, 1001)
        self.assertFalse(flipped["signature"] or flipped["hmac"] or flipped["ok"])
        for name in right:
            self.assertFalse(receiver.verdict({**right, name: ""}, body, SECRET, TOKEN, 1001)["ok"], name)


if __name__ == "__main__":
    unittest.main()
