#!/usr/bin/env python3
"""Does the Africa's Talking simulator speak the protocol, fail as told and count right?

    test_simulator.py <africastalking-simulator> [<sms_load>] [unittest arguments]

Each test starts its own simulator on a free port, and a receiver of its callbacks.
"""

import collections
import http.client
import json
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import unittest
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "engine"))
import harness  # noqa: E402
from harness import DEADLINE_S  # noqa: E402

SIMULATOR = ""
SMS_LOAD = ""
ID = re.compile(r"^ATXid_[0-9a-f]{32}$")


class Base(harness.Test):
    @staticmethod
    def parse(body):
        return dict(urllib.parse.parse_qsl(body, keep_blank_values=True))

    @property
    def program(self):
        return SIMULATOR

    def environment(self):
        return {
            "SIM_USERNAME": "acme",
            "SIM_API_KEY": "key-1",
            "SIM_SENDERS": "ACME,22000",
            "SIM_REPORT_URL": self.receiver.url("/report"),
            "SIM_INCOMING_URL": self.receiver.url("/incoming"),
            "SIM_OPT_OUT_URL": self.receiver.url("/opt-out"),
            "SIM_REPORT_DELAY": "20-60",
            "SIM_REPORT_RETRY": "50ms",
        }

    def raw(self, fields, headers=None, connection=None, path="/version1/messaging"):
        every = {"apiKey": "key-1", "Accept": "application/json",
                 "Content-Type": "application/x-www-form-urlencoded"}
        every.update(headers or {})
        every = {key: value for key, value in every.items() if value is not None}
        return self.ask("POST", path, urllib.parse.urlencode(fields), every, connection)

    def fields(self, to, message="Hello", **more):
        to = to if isinstance(to, str) else ",".join(to)
        return {"username": "acme", "to": to, "message": message, **more}

    def send(self, to, message="Hello", connection=None, **more):
        reply = self.raw(self.fields(to, message, **more), connection=connection)
        self.assertEqual(reply.status, 201, reply.body)
        self.assertEqual(reply.headers["Content-Type"].split(";")[0], "application/json")
        return json.loads(reply.body)["SMSMessageData"]

    def numbers(self, count, first=254700000000):
        return ["+%d" % (first + i) for i in range(count)]


class Protocol(Base):
    def test_a_send_is_answered_201_with_mixed_recipients(self):
        self.start(SIM_FORCE="0406:406")
        data = self.send(["+254700000001", "+254700000406", "0712345678"], enqueue="1",
                         **{"from": "ACME"})
        self.assertEqual(data["Message"], "Sent to 1/3 Total Cost: KES 0.8000")
        first, second, third = data["Recipients"]
        self.assertRegex(first.pop("messageId"), ID)
        self.assertEqual(first, {"number": "+254700000001", "status": "Success",
                                 "statusCode": 102, "cost": "KES 0.8000", "messageParts": 1})
        self.assertEqual(second, {"number": "+254700000406", "status": "UserInBlacklist",
                                  "statusCode": 406, "messageId": "None", "cost": "0"})
        self.assertEqual((third["statusCode"], third["status"], third["messageId"]),
                         (403, "InvalidPhoneNumber", "None"))

    def test_enqueue_chooses_the_code(self):
        self.start()
        for fields, code in (({}, 101), ({"enqueue": "0"}, 101), ({"enqueue": "1"}, 102)):
            data = self.send("+254700000001", **fields)
            self.assertEqual(data["Recipients"][0]["statusCode"], code, fields)

    def test_the_bulk_endpoint_takes_json(self):
        self.start()
        headers = {"apiKey": "key-1", "Accept": "application/json",
                   "Content-Type": "application/json"}
        order = {"username": "acme", "message": "Hé \"x\"", "senderId": "ACME", "enqueue": 1,
                 "phoneNumbers": self.numbers(3)}
        reply = self.ask("POST", "/version1/messaging/bulk", json.dumps(order), headers)
        self.assertEqual(reply.status, 201)
        recipients = json.loads(reply.body)["SMSMessageData"]["Recipients"]
        self.assertEqual([one["number"] for one in recipients], self.numbers(3))
        self.assertEqual({one["statusCode"] for one in recipients}, {100})
        self.assertEqual(len({one["messageId"] for one in recipients}), 3)
        messages = self.control("messages?number=%2B254700000001")
        self.assertEqual(messages[0]["text"], "Hé \"x\"")
        for bad in ("{", "[]", '{"username":"acme","message":"x"}'):
            reply = self.ask("POST", "/version1/messaging/bulk", bad, headers)
            self.assertEqual(reply.status, 400)
            self.assertTrue(reply.body.startswith("The request content was malformed"))
        self.assertEqual(self.ask("POST", "/version1/messaging", "{}", headers).status, 415)

    def test_repeated_fields_keep_the_last(self):
        self.start()
        pairs = [("username", "acme"), ("to", "+254700000001"), ("to", "+254700000002"),
                 ("message", "x")]
        data = json.loads(self.raw(pairs).body)["SMSMessageData"]
        self.assertEqual([one["number"] for one in data["Recipients"]], ["+254700000002"])

    def test_a_foreign_sender_refuses_the_whole_request(self):
        self.start()
        data = self.send(self.numbers(2), **{"from": "OTHER"})
        self.assertEqual(data, {"Message": "InvalidSenderId", "Recipients": []})
        self.assertEqual(self.send("+254700000001", **{"from": "22000"})["Message"][:12],
                         "Sent to 1/1 ")
        self.assertEqual(self.stats()["accepted"], 1)

    def test_wrong_credentials_get_the_sentence(self):
        self.start()
        for fields, headers in ((self.fields("+254700000001"), {"apiKey": "other"}),
                                (self.fields("+254700000001"), {"apiKey": None}),
                                ({**self.fields("+254700000001"), "username": "x"}, {})):
            reply = self.raw(fields, headers)
            self.assertEqual(reply.status, 401)
            self.assertEqual(reply.body, "The supplied authentication is invalid")
            self.assertEqual(reply.headers["Content-Length"], "38")
            self.assertEqual(reply.headers["Content-Type"], "text/plain; charset=UTF-8")
            self.assertEqual(reply.headers["WWW-Authenticate"], 'Basic realm="api"')
        self.assertEqual(self.stats()["accepted"], 0)

    def test_a_missing_field_is_named(self):
        self.start()
        for name in ("username", "to", "message"):
            fields = self.fields("+254700000001")
            del fields[name]
            reply = self.raw(fields)
            self.assertEqual((reply.status, reply.body),
                             (400, "Request is missing required form field '%s'" % name))

    def test_without_accept_the_reply_is_xml(self):
        self.start()
        reply = self.raw(self.fields("+254700000001,07"), {"Accept": None})
        self.assertEqual(reply.status, 201)
        self.assertEqual(reply.headers["Content-Type"], "application/xml; charset=UTF-8")
        self.assertRegex(reply.body, "^<AfricasTalkingResponse>.*<Message>Sent to 1/2 Total Cost: "
                         "KES 0.8000</Message>.*<messageId>ATXid_[0-9a-f]{32}</messageId>.*"
                         "<messageId>None</messageId>.*</AfricasTalkingResponse>$")

    def test_parts_cost_and_balance(self):
        self.start(SIM_BALANCE="KES 100.5")
        cases = (("a" * 160, 1), ("a" * 161, 2), ("a" * 306, 2), ("a" * 307, 3),
                 ("é" * 160, 1), ("ç" * 70, 1), ("ç" * 71, 2), ("]" * 80, 1), ("]" * 81, 2),
                 ("]" * 153, 3), ("[ç" * 35, 1), ("\U0001F600" * 35, 1), ("\U0001F600" * 36, 2),
                 ("€" * 80, 1), ("a" * 158 + "\r\n", 1), ("a" * 159 + "\r\n", 2))
        total = 0
        for text, parts in cases:
            one = self.send("+254700000001", text)["Recipients"][0]
            self.assertEqual((one["messageParts"], one["cost"]),
                             (parts, "KES %.4f" % (parts * 0.8)), text)
            total += parts
        reply = self.ask("GET", "/version1/user?username=acme", None,
                         {"apiKey": "key-1", "Accept": "application/json"})
        self.assertEqual(reply.status, 200)
        self.assertEqual(json.loads(reply.body),
                         {"UserData": {"balance": "KES %.4f" % (100.5 - total * 0.8)}})
        reply = self.ask("GET", "/version1/user?username=x", None, {"apiKey": "key-1"})
        self.assertEqual(reply.status, 401)

    def test_an_empty_balance_refuses_each_recipient(self):
        self.start(SIM_BALANCE="KES 2.00", SIM_MESSAGE_PARTS="off", SIM_TOTAL_CURRENCY="USD")
        data = self.send(self.numbers(3))
        self.assertEqual([one["statusCode"] for one in data["Recipients"]], [101, 101, 405])
        self.assertEqual(data["Recipients"][2]["status"], "InsufficientBalance")
        self.assertRegex(data["Message"], r"^Sent to 2/3 Total Cost: USD 0\.\d{4} Message parts: 1$")
        self.assertNotIn("messageParts", data["Recipients"][0])
        self.assertEqual(self.send("+254700000009")["Message"], "Sent to 0/1 Total Cost: 0")
        self.assertEqual(self.stats()["refused"], {"405": 2})

    def test_requests_may_come_in_pieces_and_several_at_once(self):
        self.start()
        body = urllib.parse.urlencode(self.fields("+254700000001"))
        head = ("POST /version1/messaging HTTP/1.1\r\nHost: x\r\napikey: key-1\r\n"
                "accept: application/json\r\ncontent-length: %d\r\n\r\n" % len(body))
        with socket.create_connection(("127.0.0.1", self.port), DEADLINE_S) as plain:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in head + body:
                plain.send(byte.encode())
            plain.sendall((head + body).encode() * 3)
            plain.shutdown(socket.SHUT_WR)
            got = b""
            while True:
                piece = plain.recv(65536)
                if not piece:
                    break
                got += piece
        self.assertEqual(got.count(b"201 Created"), 4)
        self.assertEqual(self.stats()["accepted"], 4)

    def test_a_large_body_may_wait_for_continue(self):
        self.start()
        body = urllib.parse.urlencode(self.fields(self.numbers(20000))).encode()
        with socket.create_connection(("127.0.0.1", self.port), DEADLINE_S) as plain:
            plain.sendall(b"POST /version1/messaging HTTP/1.1\r\nHost: x\r\napiKey: key-1\r\n"
                          b"Accept: application/json\r\nExpect: 100-continue\r\n"
                          b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body))
            self.assertEqual(plain.recv(100), b"HTTP/1.1 100 Continue\r\n\r\n")
            plain.sendall(body)
            got = b""
            while True:
                piece = plain.recv(65536)
                if not piece:
                    break
                got += piece
        data = json.loads(got.split(b"\r\n\r\n", 1)[1])["SMSMessageData"]
        self.assertEqual(len({one["messageId"] for one in data["Recipients"]}), 20000)

    def test_what_is_not_http_is_refused(self):
        self.start()
        for bad in (b"NONSENSE\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
                    b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", self.port), DEADLINE_S) as plain:
                plain.sendall(bad)
                self.assertTrue(plain.recv(1000).startswith(b"HTTP/1.1 400 "), bad)
                self.assertEqual(plain.recv(1000), b"")
        self.assertEqual(self.ask("GET", "/nothing").status, 404)
        self.assertEqual(self.ask("GET", "/version1/messaging").status, 405)


class Faults(Base):
    def accepted(self):
        return self.stats()["accepted"]

    def test_refusals_before_acceptance(self):
        self.start()
        for fault, status in (("unauthorized", 401), ("throttled", 429), ("error_500", 500),
                              ("unavailable_503", 503)):
            self.faults(**{fault: {"count": 1}})
            reply = self.raw(self.fields("+254700000001"))
            self.assertEqual(reply.status, status)
            self.assertEqual(reply.headers["Content-Type"].split(";")[0], "text/plain")
            self.assertIsNone(reply.headers["Retry-After"])
            self.assertEqual(self.accepted(), 0)
            self.assertEqual(self.stats()["faults"][fault], 1)
        self.send("+254700000001")

    def test_retry_after(self):
        self.start(SIM_FAULTS='{"retry_after_s":7,"throttled":{"count":1}}')
        reply = self.raw(self.fields("+254700000001"))
        self.assertEqual((reply.status, reply.headers["Retry-After"]), (429, "7"))
        self.faults(unavailable_503={"count": 1})
        reply = self.raw(self.fields("+254700000001"))
        self.assertEqual((reply.status, reply.headers["Retry-After"]), (503, "7"))

    def test_409_as_http_status_has_the_usual_body(self):
        self.start(SIM_FAULTS='{"conflict_409":{"count":1}}')
        reply = self.raw(self.fields(self.numbers(2)))
        self.assertEqual(reply.status, 409)
        data = json.loads(reply.body)["SMSMessageData"]
        self.assertEqual(data["Message"], "Sent to 0/2 Total Cost: 0")
        self.assertEqual([(one["statusCode"], one["status"]) for one in data["Recipients"]],
                         [(409, "DoNotDisturbRejection")] * 2)
        self.assertEqual(self.accepted(), 0)

    def test_a_rate_limit_answers_429(self):
        self.start(SIM_FAULTS='{"rate_limit_per_s":10}')
        start = time.time()
        answers = [self.raw(self.fields(self.numbers(5, 254700000000 + 10 * i))).status
                   for i in range(10)]
        stats = self.stats()
        seconds = int(time.time()) - int(start) + 1
        self.assertLessEqual(stats["accepted"], 10 * seconds)
        self.assertGreaterEqual(stats["accepted"], 10)
        self.assertEqual(stats["rate_limited"], answers.count(429))
        self.assertEqual(answers.count(201) + answers.count(429), 10)

    def test_a_reused_connection_is_closed_without_accepting(self):
        self.start(SIM_FAULTS='{"close_reused":1}')
        self.send("+254700000001")
        with self.assertRaises((http.client.RemoteDisconnected, ConnectionResetError)):
            self.send("+254700000002")
        self.send("+254700000003", connection=self.connect())
        stats = self.stats()
        self.assertEqual((stats["accepted"], stats["dropped"], stats["requests"]), (2, 1, 3))
        self.assertEqual(stats["faults"]["close_reused"], 1)
        self.assertEqual(self.control("messages?number=%2B254700000002"), [])

    def test_an_answer_is_withheld_after_acceptance(self):
        self.start(SIM_FAULTS='{"withhold":{"count":2},"withhold_ms":1000}')
        impatient = self.connect(timeout=0.3)
        with self.assertRaises(TimeoutError):
            self.send("+254700000001", connection=impatient)
        impatient.close()
        self.wait_stats(lambda stats: stats["accepted"] == 1)
        start = time.monotonic()
        self.send("+254700000002")
        self.assertGreaterEqual(time.monotonic() - start, 0.99)
        self.wait_stats(lambda stats: stats["connections"] == 2)

    def test_a_connection_is_closed_after_acceptance(self):
        self.start(SIM_FAULTS='{"close_accepted":{"count":1}}')
        with self.assertRaises((http.client.RemoteDisconnected, ConnectionResetError)):
            self.send("+254700000001")
        self.assertEqual(self.accepted(), 1)
        self.send("+254700000001", connection=self.connect())
        stats = self.stats()
        self.assertEqual((stats["accepted"], stats["duplicates"]), (2, 1))

    def test_500_after_acceptance(self):
        self.start(SIM_FAULTS='{"error_500_accepted":{"count":1}}')
        self.assertEqual(self.raw(self.fields("+254700000001")).status, 500)
        self.assertEqual(self.accepted(), 1)

    def test_a_partial_reply_misses_recipients_that_were_accepted(self):
        self.start(SIM_FAULTS='{"partial":1}')
        data = self.send(self.numbers(30))
        self.assertEqual(data["Message"][:13], "Sent to 30/30")
        self.assertTrue(10 <= len(data["Recipients"]) <= 29, len(data["Recipients"]))
        for _ in range(10):
            self.assertEqual(len(self.send(self.numbers(2))["Recipients"]), 1)
        self.assertEqual(self.accepted(), 50)

    def test_a_truncated_reply(self):
        self.start(SIM_FAULTS='{"truncated":{"count":1}}')
        with self.assertRaises(http.client.IncompleteRead):
            self.send("+254700000001")
        self.assertEqual(self.accepted(), 1)

    def test_a_garbage_reply(self):
        self.start(SIM_FAULTS='{"garbage":{"count":1}}')
        self.connection.request("POST", "/version1/messaging",
                                urllib.parse.urlencode(self.fields("+254700000001")),
                                {"apiKey": "key-1", "Accept": "application/json"})
        response = self.connection.getresponse()
        self.assertEqual((response.status, response.headers.get_content_type()),
                         (201, "application/json"))
        with self.assertRaises(ValueError):
            json.loads(response.read())
        self.assertEqual(self.accepted(), 1)

    def test_latency(self):
        self.start(SIM_FAULTS='{"latency_min_ms":60,"latency_max_ms":120}')
        for _ in range(5):
            start = time.monotonic()
            self.send("+254700000001")
            self.assertGreaterEqual(time.monotonic() - start, 0.059)

    def test_shares_are_met_and_the_seed_decides(self):
        refused = []
        for seed in ("1", "1", "2"):
            self.start(SIM_SEED=seed, SIM_FAULTS='{"refuse_406":0.1,"refuse_500":0.1,'
                       '"throttled":0.3}')
            replies = [self.raw(self.fields(self.numbers(20, 254700000000 + 20 * i)))
                       for i in range(100)]
            codes = [[one["statusCode"] for one in
                      json.loads(reply.body)["SMSMessageData"]["Recipients"]]
                     if reply.status == 201 else reply.status for reply in replies]
            refused.append(codes)
            codes = collections.Counter(sum((one for one in codes if one != 429), []))
            total = sum(codes.values())
            self.assertTrue(0.07 < codes[406] / total < 0.13, codes)
            self.assertTrue(0.06 < codes[500] / total < 0.13, codes)
            self.assertEqual(self.stats()["refused"], {"406": codes[406], "500": codes[500]})
            throttled = sum(reply.status == 429 for reply in replies)
            self.assertTrue(15 < throttled < 45, throttled)
        self.assertEqual(refused[0], refused[1])
        self.assertNotEqual(refused[0], refused[2])

    def test_a_permanent_refusal_stays_and_a_transient_one_passes(self):
        self.start(SIM_FAULTS='{"refuse_404":0.5,"refuse_502":0.3}')
        rounds = [[one["statusCode"] for one in self.send(self.numbers(50))["Recipients"]]
                  for _ in range(4)]
        self.assertTrue(any(code == 404 for code in rounds[0]))
        for codes in zip(*rounds):
            self.assertIn(codes.count(404), (0, 4))
        self.assertTrue(any(502 in codes and 101 in codes for codes in zip(*rounds)))

    def test_every_code_can_be_forced(self):
        codes = (401, 402, 403, 404, 405, 406, 407, 409, 500, 501, 502)
        self.start(SIM_FORCE=",".join("0%d:%d" % (code, code) for code in codes))
        got = self.send(["+254700000%d" % code for code in codes])
        self.assertEqual([one["statusCode"] for one in got["Recipients"]], list(codes))
        self.assertEqual(got["Message"], "Sent to 0/11 Total Cost: 0")
        self.faults(force="1:delivered,9:absent")
        self.assertEqual(self.faults()["force"], "1:delivered,9:absent")

    def test_unknown_faults_are_refused_and_change_nothing(self):
        self.start()
        before = self.control("faults")
        for bad in ({"throttled": 0.5, "thro": 1}, {"throttled": 2}, {"throttled": "1"},
                    {"throttled": {}}, {"withhold_ms": -1}, {"force": "12"}, {"force": "1:none"},
                    [], {"force": "1:throttled"}, {"delivered": 1}):
            reply = self.ask("POST", "/_sim/faults", json.dumps(bad))
            self.assertEqual(reply.status, 400, bad)
        self.assertEqual(self.control("faults"), before)
        self.assertEqual(self.faults(**before), before)


class Reports(Base):
    def words(self, forms):
        return [form["status"] for form in forms]

    def test_a_report_carries_the_documented_fields(self):
        self.start(SIM_FORCE="2:failed,3:rejected,4:expired")
        data = self.send(self.numbers(5))
        forms = self.receiver.wait(5)
        self.assertTrue(all(post[1] == "application/x-www-form-urlencoded"
                            for post in self.receiver.posts))
        by_id = {form["id"]: form for form in forms}
        words = []
        for one in data["Recipients"]:
            form = by_id[one["messageId"]]
            self.assertEqual((form["phoneNumber"], form["networkCode"]), (one["number"], "63902"))
            if form["status"] not in ("Failed", "Rejected"):
                self.assertNotIn("failureReason", form)
            words.append(form["status"])
        self.assertEqual(words, ["Success", "Success", "Failed", "Rejected", "Expired"])

    def test_failures_use_both_spellings_and_sometimes_no_reason(self):
        self.start(SIM_FAULTS='{"failed":1}')
        self.send(self.numbers(300))
        reasons = {form.get("failureReason") for form in self.receiver.wait(300)}
        self.assertLessEqual({"UserInBlackList", "UserInBlacklist", "NotNetworkSubcriber",
                              "NotNetworkSubscriber", None}, reasons)

    def test_absent_is_overturned_later(self):
        self.start(SIM_FAULTS='{"absent":1,"absent_ms":150}', SIM_REPORT_CONNECTIONS="1")
        self.send("+254700000001")
        self.assertEqual(self.words(self.receiver.wait(2)), ["AbsentSubscriber", "Success"])

    def test_no_report_and_lost_reports(self):
        self.start(SIM_FAULTS='{"no_report":0.5}')
        self.send(self.numbers(100))
        self.faults(no_report=0, report_lost=0.5)
        self.send(self.numbers(100, 254711000000))
        stats = self.wait_stats(lambda stats: stats["reports"]["pending"] == 0)
        lost = stats["faults"]["no_report"] + stats["faults"]["report_lost"]
        self.assertTrue(25 < stats["faults"]["no_report"] < 75)
        self.assertTrue(25 < stats["faults"]["report_lost"] < 75)
        self.assertEqual(stats["reports"]["answered"], 200 - lost)
        self.assertEqual(len(self.receiver.forms()), 200 - lost)

    def test_doubled_reports_come_over_several_connections(self):
        self.start(SIM_FAULTS='{"report_doubled":1,"report_copies":5}')
        self.send(self.numbers(20))
        copies = collections.Counter(form["id"] for form in self.receiver.wait(100))
        self.assertEqual(set(copies.values()), {5})
        self.assertEqual(len(copies), 20)

    def test_progress_unknown_and_reordered_words(self):
        self.start(SIM_FAULTS='{"report_progress":1}', SIM_REPORT_DELAY="200-200",
                   SIM_REPORT_CONNECTIONS="1")
        self.send("+254700000001")
        self.assertIn(self.words(self.receiver.wait(3)), (["Sent", "Submitted", "Success"],
                                                          ["Sent", "Buffered", "Success"]))
        self.faults(report_progress=0, report_unknown=1)
        self.send("+254700000002")
        words = self.words(self.receiver.wait(5))[3:]
        self.assertEqual(words[1], "Success")
        self.assertNotIn(words[0], ("Sent", "Submitted", "Buffered", "Success"))
        self.faults(report_unknown=0, report_reordered=1)
        self.send("+254700000003")
        self.assertEqual(self.words(self.receiver.wait(7))[5:], ["Success", "Sent"])

    def test_an_early_report_overtakes_the_reply(self):
        self.start(SIM_FAULTS='{"report_early":1,"early_ms":400}', SIM_REPORT_DELAY="5000-5000")
        data = self.send("+254700000001")
        answered = time.monotonic()
        self.receiver.wait(1)
        self.assertLess(self.receiver.times[0], answered - 0.2)
        self.assertEqual(self.receiver.forms()[0]["id"], data["Recipients"][0]["messageId"])

    def test_late_reports(self):
        self.start(SIM_FAULTS='{"report_late":1,"report_late_ms":500}')
        start = time.monotonic()
        self.send("+254700000001")
        self.receiver.wait(1)
        self.assertGreaterEqual(self.receiver.times[0] - start, 0.5)

    def test_a_report_may_be_more_than_a_turn_of_the_wheel_away(self):
        self.start(SIM_REPORT_DELAY="4500-4500")
        start = time.monotonic()
        self.send("+254700000001")
        self.receiver.wait(1)
        self.assertTrue(4.5 <= self.receiver.times[0] - start < 15)

    def test_a_refused_or_broken_report_is_repeated(self):
        self.start(SIM_REPORT_CONNECTIONS="1")
        self.receiver.script = [503, "close", 200]
        self.send("+254700000001")
        forms = self.receiver.wait(3)
        self.assertEqual(forms[0], forms[1])
        self.assertEqual(forms[0], forms[2])
        reports = self.wait_stats(lambda stats: stats["reports"]["answered"] == 1)["reports"]
        self.assertEqual((reports["refused"], reports["broken"], reports["retried"]), (1, 1, 2))

    def test_a_report_is_given_up_at_last(self):
        self.start(SIM_REPORT_RETRIES="2")
        self.receiver.script = [500, 500, 500]
        self.send("+254700000001")
        reports = self.wait_stats(lambda stats: stats["reports"]["given_up"] == 1)["reports"]
        self.assertEqual((reports["posted"], reports["pending"]), (3, 0))

    def test_nothing_is_lost_while_the_receiver_is_down(self):
        self.start(SIM_REPORT_RETRIES="20")
        self.receiver.close()
        self.send(self.numbers(500))
        self.wait_stats(lambda stats: stats["reports"]["broken"] >= 10)
        self.receiver = harness.Receiver(self.receiver.port, self.parse)
        self.addCleanup(self.receiver.close)
        self.wait_stats(lambda stats: stats["reports"]["answered"] == 500)
        self.assertEqual(len({form["id"] for form in self.receiver.forms()}), 500)

    def test_reports_can_be_stopped(self):
        self.start()
        self.control("stop-reports", {})
        self.send(self.numbers(10))
        stats = self.stats()["reports"]
        self.assertEqual((stats["posted"], stats["pending"], stats["stopped"]), (0, 10, True))
        self.control("start-reports", {})
        self.receiver.wait(10)

    def test_incoming_and_opt_out(self):
        self.start()
        self.receiver.script = ["close"]
        self.control("incoming", {"from": "+254700000001", "to": "ACME", "text": "STOP & go"})
        form = self.receiver.wait(2, "/incoming")[1]
        self.assertRegex(form["date"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual((form["from"], form["to"], form["text"], form["linkId"]),
                         ("+254700000001", "ACME", "STOP & go", ""))
        self.assertTrue(form["id"])
        self.control("opt-out", {"phoneNumber": "+254700000001", "senderId": "ACME"})
        form = self.receiver.wait(1, "/opt-out")[0]
        self.assertEqual(form, {"phoneNumber": "+254700000001", "senderId": "ACME"})
        self.assertEqual(self.send("+254700000001")["Recipients"][0]["statusCode"], 406)
        self.wait_stats(lambda stats: stats["incoming"] ==
                        {"posted": 2, "answered": 1, "given_up": 0})


class Counting(Base):
    def test_duplicates_are_extra_acceptances_of_the_same_text(self):
        self.start()
        for text in ("one", "two", "one", "one"):
            self.send(self.numbers(3), text)
        self.send(self.numbers(3), "one", **{"from": "ACME"})
        stats = self.stats()
        self.assertEqual((stats["accepted"], stats["duplicates"]), (15, 6))
        messages = self.control("messages?number=%2B254700000001")
        self.assertEqual([one["text"] for one in messages], ["one", "one", "one", "two", "one"])
        self.assertEqual(len({one["id"] for one in messages}), 5)
        for one in messages:
            self.assertTrue(stats["first_accept_ms"] <= one["accepted_ms"]
                            <= stats["last_accept_ms"])
        self.assertLess(abs(stats["last_accept_ms"] / 1000 - time.time()), 10)

    def test_acceptances_are_counted_per_tenth_of_a_second(self):
        self.start()
        for i in range(10):
            self.send(self.numbers(10, 254700000000 + 10 * i))
            time.sleep(0.03)
        stats = self.stats()
        slots = stats["accepted_per_100ms"]
        self.assertEqual(sum(slots), 100)
        self.assertGreaterEqual(len(slots), 3)
        self.assertEqual(stats["max_per_s"],
                         max(sum(slots[i:i + 10]) for i in range(len(slots))))

    def test_reset_forgets_everything_but_the_environment(self):
        self.start(SIM_FAULTS='{"failed":1}', SIM_REPORT_DELAY="60000-60000")
        self.send(self.numbers(10))
        self.faults(throttled=1)
        self.control("opt-out", {"phoneNumber": "+254700000001", "senderId": "ACME"})
        ids = {one["id"] for one in self.control("messages?number=%2B254700000001")}
        self.control("reset", {})
        stats = self.stats()
        self.assertEqual((stats["requests"], stats["accepted"], stats["reports"]["pending"],
                          stats["accepted_per_100ms"], stats["balance"], stats["answers"]),
                         (0, 0, 0, [], "KES 100000.0000", {}))
        self.assertEqual(self.control("faults")["failed"]["share"], 1)
        self.assertEqual(self.control("faults")["throttled"]["share"], 0)
        self.assertEqual(self.control("messages?number=%2B254700000001"), [])
        again = self.send(self.numbers(10))
        self.assertFalse(ids & {one["messageId"] for one in again["Recipients"]})
        self.assertEqual(self.stats()["duplicates"], 0)

    def test_old_texts_are_forgotten_and_a_full_book_says_so(self):
        self.start(SIM_TEXTS="2", SIM_CAPACITY="1000")
        for text in ("one", "two", "three"):
            self.send("+254700000001", text)
        self.assertEqual([one["text"] for one in
                          self.control("messages?number=%2B254700000001")],
                         ["three", "two", None])
        self.send(self.numbers(997))
        self.assertEqual(self.raw(self.fields("+254700000001")).status, 503)

    def test_ids_differ_between_runs(self):
        ids = []
        for _ in range(2):
            self.start()
            ids += [one["messageId"] for one in self.send(self.numbers(100))["Recipients"]]
        self.assertEqual(len(set(ids)), 200)

    def test_bad_settings_are_all_named(self):
        environment = {"SIM_BALANCE": "much", "SIM_REPORT_DELAY": "5"}
        done = subprocess.run([SIMULATOR], env=environment, capture_output=True, text=True,
                              timeout=DEADLINE_S, check=False)
        self.assertEqual(done.returncode, 78)
        self.assertIn("SIM_BALANCE", done.stderr)
        self.assertIn("SIM_REPORT_DELAY", done.stderr)
        for bad in ({"SIM_FAULTS": "{"}, {"SIM_FORCE": "x"}, {"SIM_REPORT_URL": "ftp://x"},
                    {"SIM_LISTEN": "127.0.0.1"}):
            done = subprocess.run([SIMULATOR], env=bad, capture_output=True, text=True,
                                  timeout=DEADLINE_S, check=False)
            self.assertEqual(done.returncode, 78, bad)

    def test_it_stops_with_work_in_hand(self):
        self.start(SIM_FAULTS='{"withhold":1,"withhold_ms":60000}', SIM_REPORT_DELAY="9000-9000")
        with self.assertRaises(TimeoutError):
            self.send(self.numbers(10), connection=self.connect(timeout=0.2))
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(DEADLINE_S), 0)

    @unittest.skipUnless(len(sys.argv) > 2, "no load generator was named")
    def test_many_connections_are_counted_right(self):
        self.start(SIM_REPORT_URL="")
        done = subprocess.run([SMS_LOAD, "127.0.0.1:%d" % self.port, "200", "20000", "3", "key-1",
                               "acme"], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        stats = self.stats()
        self.assertEqual((stats["requests"], stats["accepted"], stats["duplicates"]),
                         (20000, 60000, 0))
        self.assertEqual(sum(stats["accepted_per_100ms"]), 60000)


def wav(milliseconds):
    """Silence, 8000 Hz, 16 bits, one channel."""
    data = bytes(16 * milliseconds)
    return (b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt "
            + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
            + b"data" + struct.pack("<I", len(data)) + data)


XML_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<Response>%s</Response>'


class Voice(Base):
    QUICK = {"ring_min_ms": 5, "ring_max_ms": 20, "no_answer_ms": 30, "speed": 100}

    def setUp(self):
        super().setUp()
        self.receiver.reply = lambda path, form: XML_HEAD % "<Say>Hello</Say>"

    def environment(self):
        return {**super().environment(),
                "SIM_VOICE_URL": self.receiver.url("/voice?token=t"),
                "SIM_VOICE_EVENTS_URL": self.receiver.url("/events")}

    def start(self, force="", **settings):
        faults = dict(self.QUICK, force=force)
        super().start(**{"SIM_FAULTS": json.dumps(faults), **settings})

    def call(self, to, connection=None, **more):
        to = to if isinstance(to, str) else ",".join(to)
        fields = {"username": "acme", "from": "+254711000000", "to": to,
                  "clientRequestId": "batch-1", **more}
        reply = self.raw(fields, connection=connection, path="/call")
        self.assertEqual(reply.status, 200, reply.body)
        self.reply = reply
        return json.loads(reply.body)

    def actions(self, count):
        return self.receiver.wait(count, "/voice?token=t")

    def ended(self, count):
        return self.wait_stats(lambda stats: sum(stats["voice"]["ends"].values()) == count
                               and stats["voice"]["callbacks"]["waiting"] == 0
                               and stats["voice"]["callbacks"]["posted"]["final"] >= count)["voice"]

    def test_a_call_is_queued_answered_and_ended(self):
        self.start()
        data = self.call(["+254700000001", "0712"])
        self.assertEqual(data["errorMessage"], "None")
        first, second = data["entries"]
        self.assertRegex(first["sessionId"], "^ATVId_[0-9a-f]{32}$")
        self.assertEqual((first["phoneNumber"], first["status"]), ("+254700000001", "Queued"))
        self.assertEqual(second, {"phoneNumber": "0712", "status": "InvalidPhoneNumber",
                                  "sessionId": "None"})
        self.assertEqual(self.reply.headers["X-Current-Queue-Size"], "1")
        answered, final = self.actions(2)
        self.assertEqual({name: answered[name] for name in (
            "isActive", "sessionId", "direction", "callerNumber", "destinationNumber",
            "callerCountryCode", "callSessionState")},
            {"isActive": "1", "sessionId": first["sessionId"], "direction": "Outbound",
             "callerNumber": "+254700000001", "destinationNumber": "+254711000000",
             "callerCountryCode": "254", "callSessionState": "Answered"})
        self.assertNotIn("durationInSeconds", answered)
        self.assertNotIn("clientRequestId", final)
        self.assertEqual({name: final[name] for name in (
            "isActive", "durationInSeconds", "amount", "currencyCode", "status", "hangupCause",
            "callSessionState")},
            {"isActive": "0", "durationInSeconds": "1", "amount": "3.0000", "currencyCode": "KES",
             "status": "Success", "hangupCause": "NORMAL_CLEARING",
             "callSessionState": "Completed"})
        event, = self.receiver.wait(1, "/events")
        self.assertEqual((event["isActive"], event["clientRequestId"], event["sessionId"]),
                         ("0", "batch-1", first["sessionId"]))
        self.assertEqual(self.stats()["balance"], "KES 99997.0000")
        call, = self.control("calls?number=%2B254700000001")
        self.assertEqual((call["session"], call["end"], call["client_id"], call["amount_e4"]),
                         (first["sessionId"], "completed", "batch-1", 30000))

    def test_refusals_of_a_whole_request(self):
        self.start(SIM_CALLERS="+254711000000", SIM_BALANCE="KES 3.00")
        for name in ("username", "from", "to"):
            fields = {"username": "acme", "from": "+254711000000", "to": "+254700000001"}
            del fields[name]
            reply = self.raw(fields, path="/call")
            self.assertEqual((reply.status, reply.body),
                             (400, "Request is missing required form field '%s'" % name))
        reply = self.raw({"username": "acme"}, {"apiKey": "x"}, path="/call")
        self.assertEqual((reply.status, reply.body),
                         (401, "The supplied authentication is invalid"))
        self.assertEqual(self.call("+254700000001", **{"from": "+254711000009"}),
                         {"entries": [], "errorMessage": "Invalid callerId: +254711000009"})
        self.call("+254700000001", clientRequestId="a")
        self.ended(1)
        self.assertEqual(self.call("+254700000002")["entries"][0]["status"], "InsufficientCredit")
        self.assertEqual(self.ask("GET", "/call").status, 405)

    def test_each_behaviour_has_its_final_words(self):
        self.start("1:call_no_answer,2:call_busy,3:call_rejected,4:call_unreachable,"
                   "5:call_voicemail,6:call_unsupported")
        data = self.call(self.numbers(7))
        self.assertEqual([one["status"] for one in data["entries"]],
                         ["Queued"] * 6 + ["DestinationNotSupported"])
        stats = self.ended(6)
        finals = {form["callerNumber"][-1]: (form["status"], form["hangupCause"],
                                             form["callSessionState"], form["durationInSeconds"],
                                             form["amount"])
                  for form in self.actions(8) if form["isActive"] == "0"}
        self.assertEqual(finals["0"], ("Success", "NORMAL_CLEARING", "Completed", "1", "3.0000"))
        self.assertEqual(finals["1"], ("NotAnswered", "NO_ANSWER", "NotAnswered", "0", "0"))
        self.assertEqual(finals["2"], ("NotAnswered", "USER_BUSY", "NotAnswered", "0", "0"))
        self.assertEqual(finals["3"], ("Aborted", "CALL_REJECTED", "NotAnswered", "0", "0"))
        self.assertEqual(finals["4"],
                         ("NotAnswered", "SUBSCRIBER_ABSENT", "NotAnswered", "0", "0"))
        self.assertEqual(finals["5"][0], "Success")
        self.assertEqual(stats["outcomes"], {"answers": 1, "no_answer": 1, "busy": 1,
                                             "rejected": 1, "unreachable": 1, "voicemail": 1,
                                             "hangs_up_early": 0})

    def test_audio_is_fetched_once_and_heard(self):
        self.start("9:call_hangs_up_early")
        self.receiver.files["/media/a.wav?x=1&y=2"] = ("audio/wav", wav(61500))
        url = self.receiver.url("/media/a.wav?x=1&amp;y=2")
        self.receiver.reply = lambda path, form: XML_HEAD % ('<Play url="%s"/>' % url)
        self.call(self.numbers(10))
        stats = self.ended(10)
        self.assertEqual(self.receiver.gets, ["/media/a.wav?x=1&y=2"])
        self.assertEqual((stats["media"]["fetched"], stats["media"]["files"][0]["status"],
                          stats["media"]["files"][0]["type"]), (1, 200, "audio/wav"))
        self.assertEqual(stats["media"]["bytes"], 61500 * 16 + 44)
        durations = sorted(call["duration_s"] for call in self.control("calls"))
        self.assertEqual(durations, [2] + [62] * 9)
        self.assertEqual((stats["minutes"], stats["amount"]), (19, "KES 57.0000"))
        self.assertEqual(stats["ends"]["hung_up"], 1)

    def test_missing_audio_is_counted_and_the_call_goes_on(self):
        self.start()
        url = self.receiver.url("/media/none.mp3")
        self.receiver.reply = lambda path, form: XML_HEAD % ("<Play url='%s'/><Say>x</Say>" % url)
        self.call("+254700000001")
        stats = self.ended(1)
        self.assertEqual((stats["media"]["failed"], stats["media"]["files"][0]["status"],
                          stats["ends"]["completed"]), (1, 404, 1))

    def test_keys_are_posted_to_the_callback_url(self):
        self.start("1:press_7,2:press_undefined,3:press_nothing,4:call_voicemail",)
        again = self.receiver.url("/voice?token=t&amp;q=2")

        def reply(path, form):
            if "dtmfDigits" in form:
                return XML_HEAD % "<Say>Thanks</Say>"
            return XML_HEAD % ('<GetDigits timeout="3" numDigits="1" callbackUrl="%s">'
                               "<Say>Press</Say></GetDigits><Say>Bye</Say>" % again)
        self.receiver.reply = reply
        self.call(["+25470000000%d" % i for i in range(1, 5)])
        self.ended(4)
        pressed = {form["callerNumber"][-1]: form["dtmfDigits"]
                   for form in self.receiver.wait(2, "/voice?token=t&q=2") if "dtmfDigits" in form}
        self.assertEqual(pressed, {"1": "7", "2": "undefined"})
        heard = {call["number"][-1]: (call["keys"], call["heard_ms"])
                 for call in self.control("calls")}
        self.assertEqual(heard, {"1": ("7", 300 + 1000 + 360), "2": ("", 300 + 3000 + 360),
                                 "3": ("", 300 + 3000 + 180), "4": ("", 300 + 3000 + 180)})

    def test_malformed_xml_is_counted_and_asked_for_once_more(self):
        bad = ("OK", "", XML_HEAD % "<Say>a & b</Say>", XML_HEAD % "<Say>a</Sai>",
               "<Response><Say>x</Say>", XML_HEAD % "<Play>http://x/a.mp3</Play>",
               XML_HEAD % "<Hangup/>", XML_HEAD % "<Say>a</Say>" + "x",
               XML_HEAD % "<Say><b>x</b></Say>", XML_HEAD % "<Say></Say>",
               XML_HEAD % "<GetDigits><Say>a</Say><Say>b</Say></GetDigits>",
               XML_HEAD % "<GetDigits/>", XML_HEAD % "<Say voice=man>a</Say>",
               XML_HEAD % "<GetDigits numDigits='0'><Say>a</Say></GetDigits>")
        good = ("<Response/>", "\ufeff" + XML_HEAD % "<!-- a --><Say voice='man'>a &amp; b</Say>",
                XML_HEAD % "<Say><speak>a<break/></speak></Say>")
        self.start()
        for i, text in enumerate(bad + good):
            self.receiver.reply = lambda path, form, text=text: text
            self.call("+2547000000%02d" % i)
            stats = self.ended(i + 1)
            wrong = min(i + 1, len(bad))
            self.assertEqual((stats["xml"]["malformed"], stats["ends"]["dropped"]),
                             (2 * wrong, wrong), (text, stats["xml"]))
        self.assertEqual(stats["xml"]["read"], len(good))
        self.assertGreater(stats["xml"]["p99_us"], 0)
        finals = [form for form in self.actions(1) if form["isActive"] == "0"]
        self.assertEqual(finals[0]["status"], "Aborted")

    def test_the_same_number_and_request_id_is_a_duplicate(self):
        self.start()
        self.call(self.numbers(3))
        self.call(self.numbers(2))
        self.call(self.numbers(3), clientRequestId="batch-2")
        self.call(self.numbers(3), clientRequestId="")
        self.call(self.numbers(3), clientRequestId="")
        stats = self.ended(14)
        self.assertEqual((stats["calls"], stats["duplicates"]), (14, 2))
        self.control("reset", {})
        stats = self.stats()["voice"]
        self.assertEqual((stats["calls"], stats["duplicates"], stats["live"]), (0, 0, 0))

    def test_what_strikes_after_acceptance(self):
        self.start()
        for name, broken in (("close_accepted", http.client.RemoteDisconnected),
                             ("truncated", http.client.IncompleteRead)):
            self.faults(**{name: {"count": 1}})
            with self.assertRaises(broken):
                self.call("+254700000001", connection=self.connect())
        self.faults(withhold={"count": 1})
        with self.assertRaises(TimeoutError):
            self.call("+254700000001", connection=self.connect(timeout=0.2))
        self.faults(error_500_accepted={"count": 1})
        fields = {"username": "acme", "from": "+254711000000", "to": "+254700000001"}
        self.assertEqual(self.raw(fields, path="/call").status, 500)
        self.assertEqual(self.ended(4)["calls"], 4)
        self.faults(unavailable_503={"count": 1})
        self.assertEqual(self.raw(fields, path="/call").status, 503)
        self.assertEqual(self.stats()["voice"]["calls"], 4)

    def test_callbacks_early_doubled_lost_and_reordered(self):
        self.start()
        self.faults(call_early={"count": 1}, early_ms=400)
        before = time.monotonic()
        self.call("+254700000001")
        self.assertGreaterEqual(time.monotonic() - before, 0.4)
        self.assertEqual([form["isActive"] for form in self.actions(2)], ["1", "0"])
        self.faults(call_doubled=1, call_copies=3)
        self.call("+254700000002")
        forms = self.actions(8)[2:]
        self.assertEqual(sorted(form["isActive"] for form in forms), ["0"] * 3 + ["1"] * 3)
        self.faults(call_doubled=0, call_reordered={"count": 1})
        self.call("+254700000003")
        self.assertEqual([form["isActive"] for form in self.actions(10)[8:]], ["0", "1"])
        self.faults(call_lost={"count": 2})
        self.call("+254700000004")
        stats = self.wait_stats(lambda stats: stats["voice"]["callbacks"]["lost"] == 2)["voice"]
        self.assertEqual(stats["callbacks"]["posted"]["final"], 5)
        self.assertFalse(self.control("calls?number=254700000004")[0]["told"])

    def test_callbacks_late_repeated_and_with_progress(self):
        self.start()
        self.faults(call_late={"count": 1}, call_late_ms=300, call_progress=1)
        before = time.monotonic()
        self.call("+254700000001")
        self.actions(2)
        self.assertGreaterEqual(time.monotonic() - before, 0.3)
        words = [form["callSessionState"] for form in self.receiver.wait(3, "/events")]
        # Each goes over a connection of its own: what is told first may come second.
        self.assertCountEqual(words, ["Ringing", "Answered", "Completed"])
        self.faults(call_progress=0)
        self.receiver.script = [200, 500, 500]  # the answer, then each final post once
        self.call("+254700000002")
        self.wait_stats(lambda stats: stats["voice"]["callbacks"]["retried"] == 2
                        and stats["voice"]["callbacks"]["refused"] == 2)
        self.assertEqual([form["isActive"] for form in self.actions(5)[2:]], ["1", "0", "0"])

    def test_hear_again_redirect_and_mp3(self):
        self.start("1:press_1", SIM_VOICE_CLIENT_ID="on")
        self.faults(media_each=1, press_times=2)
        frame = b"\xff\xfb\x90\x00"  # 128 kbit/s
        self.receiver.files["/a.mp3"] = ("audio/mpeg", b"ID3" + bytes(100) + frame + bytes(31893))
        menu = self.receiver.url("/menu")

        def reply(path, form):
            if path.startswith("/voice") and "dtmfDigits" not in form:
                return XML_HEAD % ("<Redirect>%s</Redirect>" % menu)
            return XML_HEAD % ('<GetDigits timeout="5" numDigits="2"><Play url="%s"/></GetDigits>'
                               % self.receiver.url("/a.mp3"))
        self.receiver.reply = reply
        self.call("+254700000001")
        stats = self.ended(1)
        first, second, third = self.receiver.wait(3, "/menu")
        final = self.actions(2)[1]
        self.assertNotIn("dtmfDigits", first)
        self.assertEqual([second["dtmfDigits"], third["dtmfDigits"]], ["11", "11"])
        self.assertEqual((final["isActive"], final["clientRequestId"]), ("0", "batch-1"))
        self.assertEqual(len(self.receiver.gets), 3)
        self.assertEqual(stats["media"]["files"][0]["length_ms"], 2000)
        call, = self.control("calls")
        self.assertEqual((call["keys"], call["heard_ms"]), ("11", 3 * 2000 + 2 * 1000 + 5000))

    def test_calls_are_dropped_without_an_answer_in_time(self):
        self.start(SIM_VOICE_TIMEOUT="200ms")
        self.receiver.reply = lambda path, form: time.sleep(0.6) or "<Response/>"
        self.call("+254700000001")
        self.assertEqual(self.ended(1)["ends"]["dropped"], 1)
        self.receiver.reply = lambda path, form: "<Response/>"
        self.faults(call_action_lost={"count": 1})
        self.call("+254700000002")
        self.assertEqual(self.ended(2)["ends"]["dropped"], 2)
        self.assertEqual(len([form for form in self.receiver.forms("/voice?token=t")
                              if form["callerNumber"] == "+254700000002"
                              and form["isActive"] == "1"]), 0)
        self.faults(call_bad_callback={"count": 1})
        data = self.call("+254700000003")
        self.assertEqual(data["entries"], [])
        self.assertRegex(data["errorMessage"], "^Invalid callbackUrl: http://")
        self.receiver.script = ["close"]
        self.call("+254700000004")
        stats = self.ended(3)
        self.assertEqual((stats["ends"]["completed"], stats["callbacks"]["retried"] > 0),
                         (1, True))

    def test_everybody_hangs_up_after_a_set_time(self):
        self.start()
        self.faults(hang_up_ms=4000, say_char_ms=1000)
        self.call(self.numbers(2))
        self.assertEqual(self.ended(2)["ends"]["hung_up"], 2)
        self.assertEqual({call["duration_s"] for call in self.control("calls")}, {4})

    def test_a_number_can_answer_the_second_time(self):
        self.start("1:call_busy")
        self.faults(call_fate_times=1)
        for i in range(3):
            self.call("+254700000001", clientRequestId="r%d" % i)
            self.ended(i + 1)
        self.assertEqual([call["outcome"] for call in self.control("calls?number=254700000001")],
                         ["answers", "answers", "busy"])

    def test_thousands_of_calls_at_once(self):
        self.start(SIM_VOICE_URL="", SIM_VOICE_EVENTS_URL="", SIM_BALANCE="KES 9000000.00")
        self.faults(call_busy=1, ring_min_ms=10, ring_max_ms=2000)
        before = self.stats()["cpu_ms"]
        for i in range(20):
            self.call(self.numbers(1000, 254700000000 + i * 1000), clientRequestId=str(i))
        stats = self.wait_stats(lambda stats: stats["voice"]["live"] == 0)
        self.assertEqual((stats["voice"]["ends"]["unanswered"], stats["voice"]["duplicates"],
                          sum(stats["voice"]["calls_per_100ms"])), (20000, 0, 20000))
        self.assertLess(stats["cpu_ms"] - before, 2000)
        self.assertEqual(len(self.control("calls?after=19990")), 10)


if __name__ == "__main__":
    SIMULATOR = sys.argv[1]
    SMS_LOAD = sys.argv[2] if len(sys.argv) > 2 else ""
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
