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


if __name__ == "__main__":
    SIMULATOR = sys.argv[1]
    SMS_LOAD = sys.argv[2] if len(sys.argv) > 2 else ""
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
