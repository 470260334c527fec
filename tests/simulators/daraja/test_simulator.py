#!/usr/bin/env python3
"""Does the M-Pesa simulator speak the protocol, act for payers, fail as told and keep right books?

    test_simulator.py <daraja-simulator> [unittest arguments]

Each test starts its own simulator on a free port, and a receiver of its callbacks.
"""

import base64
import collections
import datetime
import hashlib
import http.client
import json
import pathlib
import re
import signal
import socket
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "engine"))
import harness  # noqa: E402
from harness import DEADLINE_S  # noqa: E402

SIMULATOR = ""
SHORTCODE = "174379"
PASSKEY = "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919"
EAT = datetime.timezone(datetime.timedelta(hours=3))
PHONE = "254700000001"
RECEIPT = re.compile(r"^[A-Z]{2}[0-9A-Z]{8}$")


def password(timestamp, shortcode=SHORTCODE, passkey=PASSKEY):
    return base64.b64encode((shortcode + passkey + timestamp).encode()).decode()


def now_eat():
    return datetime.datetime.now(EAT).strftime("%Y%m%d%H%M%S")


class Base(harness.Test):
    @property
    def program(self):
        return SIMULATOR

    def environment(self):
        return {"SIM_FAULTS": json.dumps(self.quick)}

    # Everything that happens by itself happens at once.
    quick = {"pay_min_ms": 10, "pay_max_ms": 30, "prompt_ms": 60, "late_ms": 300,
             "callback_min_ms": 0, "callback_max_ms": 10}

    def start(self, **settings):
        super().start(**settings)
        self.token = None

    def generate(self, key="simulator-key", secret="simulator-secret", kind="Basic",
                 query="grant_type=client_credentials", connection=None):
        credentials = base64.b64encode(("%s:%s" % (key, secret)).encode()).decode()
        return self.ask("GET", "/oauth/v1/generate?" + query, None,
                        {"Authorization": "%s %s" % (kind, credentials)}, connection)

    def new_token(self):
        reply = self.generate()
        self.assertEqual(reply.status, 200, reply.body)
        self.token = json.loads(reply.body)["access_token"]
        return self.token

    def call(self, path, value, token=None, connection=None, content_type="application/json",
             method="POST"):
        token = token or self.token or self.new_token()
        headers = {"Authorization": "Bearer " + token, "Content-Type": content_type}
        body = value if isinstance(value, (str, bytes)) else json.dumps(value)
        return self.ask(method, path, body, headers, connection)

    def order(self, phone=PHONE, amount=50, path="/c/token-1", **more):
        timestamp = now_eat()
        order = {"BusinessShortCode": SHORTCODE, "Password": password(timestamp),
                 "Timestamp": timestamp, "TransactionType": "CustomerPayBillOnline",
                 "Amount": amount, "PartyA": phone, "PartyB": SHORTCODE, "PhoneNumber": phone,
                 "CallBackURL": self.receiver.url(path), "AccountReference": "TK000123",
                 "TransactionDesc": "tokens"}
        order.update(more)
        return {key: value for key, value in order.items() if value is not None}

    def raw_push(self, *args, connection=None, token=None, **more):
        return self.call("/mpesa/stkpush/v1/processrequest", self.order(*args, **more), token,
                         connection)

    def push(self, *args, connection=None, **more):
        reply = self.raw_push(*args, connection=connection, **more)
        self.assertEqual(reply.status, 200, reply.body)
        self.assertEqual(reply.headers["Content-Type"], "application/json;charset=UTF-8")
        return json.loads(reply.body)

    def raw_query(self, checkout, **more):
        timestamp = now_eat()
        body = {"BusinessShortCode": SHORTCODE, "Password": password(timestamp),
                "Timestamp": timestamp, "CheckoutRequestID": checkout}
        body.update(more)
        return self.call("/mpesa/stkpushquery/v1/query", body)

    def query(self, checkout):
        reply = self.raw_query(checkout)
        self.assertEqual(reply.status, 200, reply.body)
        return json.loads(reply.body)

    def register(self, version=2, **more):
        body = {"ShortCode": SHORTCODE, "ResponseType": "Completed",
                "ConfirmationURL": self.receiver.url("/c2b/confirm"),
                "ValidationURL": self.receiver.url("/c2b/validate")}
        body.update(more)
        return self.call("/mpesa/c2b/v%d/registerurl" % version, body)

    def reverse(self, receipt, amount=50, **more):
        body = {"Initiator": "apiop", "SecurityCredential": "c2VjcmV0",
                "CommandID": "TransactionReversal", "TransactionID": receipt, "Amount": amount,
                "ReceiverParty": SHORTCODE, "RecieverIdentifierType": "11",
                "ResultURL": self.receiver.url("/result"),
                "QueueTimeOutURL": self.receiver.url("/timeout"), "Remarks": "refund"}
        body.update(more)
        return self.call("/mpesa/reversal/v1/request", body)

    def result(self, count=1, path="/c/token-1"):
        """The last of so many callbacks: stkCallback."""
        return self.receiver.wait(count, path)[count - 1]["Body"]["stkCallback"]

    def items(self, callback):
        return {item["Name"]: item.get("Value") for item in callback["CallbackMetadata"]["Item"]}

    def refused(self, reply, status, code, message):
        self.assertEqual(reply.status, status, reply.body)
        body = json.loads(reply.body)
        self.assertEqual(set(body), {"requestId", "errorCode", "errorMessage"})
        self.assertEqual((body["errorCode"], body["errorMessage"]), (code, message))

    def is_spike(self, reply, per_period):
        self.assertEqual(reply.status, 429)
        fault = json.loads(reply.body)["fault"]
        self.assertEqual(fault["detail"]["errorcode"], "policies.ratelimit.SpikeArrestViolation")
        self.assertIn("messagesPerPeriod=%d," % per_period, fault["faultstring"])

    def is_firewall_page(self, reply, status):
        self.assertEqual((reply.status, reply.headers["Content-Type"]), (status, "text/html"))
        self.assertIn("Incapsula incident ID", reply.body)

    def settled(self, callbacks):
        return self.wait_stats(lambda stats: stats["callbacks"]["answered"] >= callbacks and
                               stats["callbacks"]["pending"] == 0)


class Tokens(Base):
    def test_a_token_of_28_characters_for_an_hour(self):
        self.start()
        reply = self.generate()
        self.assertEqual((reply.status, reply.headers["Content-Type"]),
                         (200, "application/json;charset=UTF-8"))
        body = json.loads(reply.body)
        self.assertRegex(body["access_token"], r"^[A-Za-z0-9]{28}$")
        self.assertEqual(body["expires_in"], 3599)

    def test_wrong_keys_and_kinds_are_refused(self):
        self.start()
        for reply in (self.generate(key="x"), self.generate(secret="x"),
                      self.generate(kind="Bearer"), self.ask(
                          "GET", "/oauth/v1/generate?grant_type=client_credentials"),
                      self.ask("GET", "/oauth/v1/generate?grant_type=client_credentials", None,
                               {"Authorization": "Basic !!!"})):
            self.refused(reply, 400, "400.008.01", "Invalid Authentication passed")
        for query in ("", "grant_type=password"):
            self.refused(self.generate(query=query), 400, "400.008.02",
                         "Invalid grant type passed")
        self.refused(self.ask("POST", "/oauth/v1/generate"), 405, "405.001", "Method Not Allowed")

    def test_expires_in_may_be_text(self):
        self.start()
        self.faults(expires_in_text=1, token_s=120)
        self.assertEqual(json.loads(self.generate().body)["expires_in"], "120")

    def test_html_and_nothing_instead_of_a_token(self):
        self.start()
        self.faults(oauth_unavailable_503={"count": 1})
        self.is_firewall_page(self.generate(), 503)
        self.faults(oauth_html={"count": 1})
        self.is_firewall_page(self.generate(), 200)
        self.faults(oauth_empty={"count": 1})
        reply = self.generate()
        self.assertEqual((reply.status, reply.body), (200, ""))
        self.assertEqual(self.generate().status, 200)

    def test_a_newer_token_leaves_the_older_alone_or_ends_it(self):
        self.start()
        first = self.new_token()
        second = self.new_token()
        self.assertEqual(self.raw_push(token=first).status, 200)
        self.assertEqual(self.raw_push(token=second).status, 200)
        self.faults(token_single=1)
        third = self.new_token()
        for old in (first, second):
            self.refused(self.raw_push(token=old), 404, "404.001.03", "Invalid Access Token")
        self.assertEqual(self.raw_push(token=third).status, 200)
        self.assertEqual(self.stats()["tokens"], {"issued": 3, "refused": 2})

    def test_a_token_ends_with_its_time(self):
        self.start()
        self.faults(token_s=2)
        token = self.new_token()
        self.assertEqual(self.raw_push(token=token).status, 200)
        end = time.monotonic() + DEADLINE_S
        while self.raw_push(token=token).status == 200:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)
        self.refused(self.raw_push(token=token), 404, "404.001.03", "Invalid Access Token")

    def test_a_token_ends_mid_way(self):
        self.start()
        token = self.new_token()
        self.assertEqual(self.raw_push(token=token).status, 200)
        self.faults(token_expired={"count": 1})
        for _ in range(2):
            self.refused(self.raw_push(token=token), 404, "404.001.03", "Invalid Access Token")
        self.assertEqual(self.raw_push(token=self.new_token()).status, 200)
        self.control("expire-tokens", method="POST")
        self.refused(self.raw_push(), 404, "404.001.03", "Invalid Access Token")
        self.assertEqual(self.stats()["pushes"]["accepted"], 2)

    def test_the_words_for_a_bad_token(self):
        self.start()
        paths = ("/mpesa/stkpush/v1/processrequest", "/mpesa/stkpushquery/v1/query",
                 "/mpesa/c2b/v2/registerurl", "/mpesa/reversal/v1/request")
        for path in paths:
            self.refused(self.call(path, {}, token="x" * 28), 404, "404.001.03",
                         "Invalid Access Token")
            self.refused(self.ask("POST", path, "{}"), 404, "404.001.04",
                         "Invalid Authentication Header")
        self.faults(invalid_token_400={"count": 1})
        self.refused(self.raw_push(token="x"), 400, "400.003.01", "Invalid Access Token")
        self.faults(invalid_token_401={"count": 1})
        self.refused(self.raw_push(token="x"), 401, "401.002.01",
                     "Error Occurred - Invalid Access Token")

    def test_methods_and_paths(self):
        self.start()
        self.refused(self.ask("GET", "/mpesa/stkpush/v1/processrequest"), 405, "405.001",
                     "Method Not Allowed")
        self.refused(self.ask("GET", "/mpesa/c2b/v2/registerurl"), 404, "404.001.04",
                     "Invalid Authentication Header")
        self.refused(self.ask("POST", "/mpesa/stkpush/v2/processrequest", "{}"), 404, "404.001.01",
                     "Resource not found")


class Pushes(Base):
    def test_a_push_is_accepted_and_paid(self):
        self.start()
        before = datetime.datetime.now(EAT).replace(microsecond=0, tzinfo=None)
        reply = self.push()
        self.assertEqual(set(reply), {"MerchantRequestID", "CheckoutRequestID", "ResponseCode",
                                      "ResponseDescription", "CustomerMessage"})
        self.assertEqual({type(value) for value in reply.values()}, {str})
        self.assertEqual(reply["ResponseCode"], "0")
        self.assertRegex(reply["CheckoutRequestID"], r"^ws_CO_\d{14}\d{6}700000001$")
        day = datetime.datetime.strptime(reply["CheckoutRequestID"][6:20], "%d%m%Y%H%M%S")
        self.assertTrue(datetime.timedelta(0) <= day - before < datetime.timedelta(seconds=9))
        callback = self.result()
        self.assertEqual({key: callback[key] for key in ("MerchantRequestID",
                                                         "CheckoutRequestID")},
                         {key: reply[key] for key in ("MerchantRequestID", "CheckoutRequestID")})
        self.assertEqual((callback["ResultCode"], callback["ResultDesc"]),
                         (0, "The service request is processed successfully."))
        items = self.items(callback)
        self.assertEqual(set(items), {"Amount", "MpesaReceiptNumber", "TransactionDate",
                                      "PhoneNumber"})
        self.assertEqual((items["Amount"], items["PhoneNumber"]), (50, 254700000001))
        self.assertRegex(items["MpesaReceiptNumber"], RECEIPT)
        at = datetime.datetime.strptime(str(items["TransactionDate"]), "%Y%m%d%H%M%S")
        self.assertTrue(datetime.timedelta(0) <= at - before < datetime.timedelta(seconds=9))
        paid = self.control("payments")
        self.assertEqual([(one["receipt"], one["phone"], one["amount"], one["source"],
                           one["checkout_request_id"], one["reference"]) for one in paid],
                         [(items["MpesaReceiptNumber"], PHONE, 50, "push",
                           reply["CheckoutRequestID"], "TK000123")])

    def test_the_callback_is_posted_as_documented(self):
        self.start()
        self.push(path="/deep/er/3f9c?x=1")
        self.receiver.wait(1, "/deep/er/3f9c?x=1")
        path, content_type, _, _ = self.receiver.posts[0]
        headers = self.receiver.headers[0]
        self.assertEqual((path, content_type),
                         ("/deep/er/3f9c?x=1", "application/json;charset=UTF-8"))
        self.assertEqual(headers["Businessshortcode"], SHORTCODE)
        self.assertEqual(headers["Host"], "127.0.0.1:%d" % self.receiver.port)
        self.assertNotIn("Authorization", headers)

    def test_the_public_test_vector_of_the_password(self):
        self.start()
        timestamp = "20210628092408"
        self.assertEqual(self.push(
            Timestamp=timestamp,
            Password="MTc0Mzc5YmZiMjc5ZjlhYTliZGJjZjE1OGU5N2RkNzFhNDY3Y2QyZTBjODkzMDU5YjEwZjc4"
                     "ZTZiNzJhZGExZWQyYzkxOTIwMjEwNjI4MDkyNDA4")["ResponseCode"], "0")
        for wrong in (password("20210628092409"), password(timestamp, passkey="x"),
                      password(timestamp, "174378"), "%%%", password(timestamp) + "AAAA"):
            self.refused(self.raw_push(Timestamp=timestamp, Password=wrong), 500, "500.001.1001",
                         "Wrong credentials")
        self.refused(self.raw_push(BusinessShortCode="600000"), 500, "500.001.1001",
                     "Merchant does not exist")

    def test_numbers_and_strings_are_the_same(self):
        self.start()
        self.push(BusinessShortCode=int(SHORTCODE), PartyA=int(PHONE), PartyB=int(SHORTCODE),
                  PhoneNumber=int(PHONE), Amount="50")
        self.assertEqual(self.items(self.result())["Amount"], 50)

    def test_each_field_is_checked(self):
        self.start()
        cases = [
            ("BusinessShortCode", (None, "", "1743", "17437912", "abcdef", [], True)),
            ("Password", (None, "")),
            ("Timestamp", (None, "", "2026112013450", "20261320134500", "20260231120000",
                           "2026-11-20 1345")),
            ("TransactionType", (None, "", "CustomerPayBill")),
            ("Amount", (None, "", 0, "0", -1, "-1", 1.5, 1.0, "1.00", "1e3", "ten",
                        10 ** 15)),
            ("PartyA", (None, "0700000001", "+254700000001", "25470000000", "254200000001")),
            ("PartyB", (None, "1743", "x")),
            ("PhoneNumber", (None, "0700000001", "254600000001", "2547000000011")),
            ("CallBackURL", (None, "", "ftp://pay.example/c", "http://", "http://pay.example/a b",
                             "http://Pay.example/c", "pay.example/c",
                             "http://pay.example/" + "c" * 600)),
            ("AccountReference", (None, "", "A" * 13, "TK 1", "TK-1")),
            ("TransactionDesc", ("x" * 14,)),
        ]
        for name, values in cases:
            for value in values:
                reply = self.raw_push(**{name: value})
                self.refused(reply, 400, "400.002.02", "Bad Request - Invalid " + name)
        stats = self.stats()["pushes"]
        self.assertEqual((stats["accepted"], stats["refused"]),
                         (0, sum(len(values) for _, values in cases)))
        for good in ({"AccountReference": "A" * 12}, {"TransactionDesc": "x" * 13},
                     {"TransactionDesc": None}, {"phone": "254110000001"},
                     {"CallBackURL": self.receiver.url("/C/Mpesa")}):
            self.push(**good)

    def test_bodies_that_are_not_json_objects(self):
        self.start()
        for body in ("", "{", "[]", "\"x\"", "{\"Amount\":1}}"):
            self.refused(self.call("/mpesa/stkpush/v1/processrequest", body), 400, "400.002.05",
                         "Invalid Request Payload")
        self.refused(self.call("/mpesa/stkpush/v1/processrequest", self.order(),
                               content_type="text/plain"), 400, "400.002.02",
                     "Bad Request - Invalid BusinessShortCode")

    def test_rules_that_can_be_switched_on(self):
        self.start()
        self.faults(url_https_only=1)
        self.refused(self.raw_push(), 400, "400.002.02", "Bad Request - Invalid CallBackURL")
        self.faults(url_https_only=0, url_words=1)
        for word in ("mpesa", "M-Pesa", "safaricom", "cmd", "sql", "query"):
            self.refused(self.raw_push(path="/x/%s/y" % word), 400, "400.002.02",
                         "Bad Request - Invalid CallBackURL")
        self.push()
        self.faults(url_words=0, timestamp_skew_s=60)
        utc = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%d%H%M%S")
        self.refused(self.raw_push(Timestamp=utc, Password=password(utc)), 400, "400.002.02",
                     "Bad Request - Invalid Timestamp")
        self.push()

    def test_https_urls_go_where_they_are_told(self):
        self.start(SIM_CALLBACK_TO="127.0.0.1:%d" % self.receiver.port)
        self.push(CallBackURL="https://pay.example/c/token-1")
        self.assertEqual(self.result()["ResultCode"], 0)
        self.assertEqual(self.receiver.headers[0]["Host"], "pay.example")

    def test_what_nobody_can_reach_is_counted(self):
        self.start()
        self.push(CallBackURL="https://pay.example/c/token-1")
        self.push(CallBackURL="http://no-such-host.invalid:1/x")
        stats = self.wait_stats(lambda stats: stats["callbacks"]["unroutable"] == 2)
        self.assertEqual((stats["callbacks"]["pending"], stats["payments"]["count"]), (0, 2))

    def test_a_till_sells_goods(self):
        self.start(SIM_TILL="888880")
        self.push(PartyB="888880", TransactionType="CustomerBuyGoodsOnline")
        self.assertEqual(self.result()["ResultCode"], 0)
        self.push(path="/2")
        self.assertEqual(self.result(path="/2")["ResultCode"], 2028)

    def test_a_wrong_party_and_too_much_end_in_callbacks(self):
        self.start()
        self.push(path="/1", PartyB="600000")
        self.push(path="/2", TransactionType="CustomerBuyGoodsOnline")
        self.push(path="/3", amount=250001)
        self.push(path="/4", amount=250000)
        self.assertEqual([self.result(path="/%d" % i)["ResultCode"] for i in (1, 2, 3, 4)],
                         [2028, 2028, 3, 0])

    def test_the_same_again_is_accepted_or_ends_in_17(self):
        self.start()
        ids = {self.push(path="/1")["CheckoutRequestID"] for _ in range(2)}
        self.assertEqual(len(ids), 2)
        self.receiver.wait(2, "/1")
        stats = self.stats()["pushes"]
        self.assertEqual((stats["accepted"], stats["repeated"], stats["repeated_urls"]), (2, 1, 1))
        self.faults(duplicate_17=1)
        self.push(path="/2")
        self.push(path="/3", amount=51)
        self.push("254700000002", path="/4")
        self.assertEqual([self.result(path="/%d" % i)["ResultCode"] for i in (2, 3, 4)],
                         [17, 0, 0])
        self.faults(duplicate_ms=1)
        time.sleep(0.01)
        self.push(path="/5")
        self.assertEqual(self.result(path="/5")["ResultCode"], 0)

    def test_a_subscriber_may_be_locked(self):
        self.start(SIM_FORCE="0001:no_answer")
        self.faults(push_locked={"count": 1})
        locked = ("Unable to lock subscriber, a transaction is already in process for the "
                  "current subscriber")
        self.refused(self.raw_push(), 500, "500.001.1001", locked)
        self.faults(lock_subscriber=1, prompt_ms=1000)
        self.push()
        self.refused(self.raw_push(), 500, "500.001.1001", locked)
        self.push("254700000002", path="/other")
        self.result()
        self.push()


class Payers(Base):
    def test_what_payers_do(self):
        cases = {"cancels": 1032, "wrong_pin": 2001, "no_answer": 1037, "insufficient": 1,
                 "expires": 1019, "pin_locked": 8006, "no_operator": "SFC_IC0003",
                 "unknown_code": 4321, "pays": 0}
        self.start(SIM_FORCE=",".join("%03d:%s" % (i, name) for i, name in enumerate(cases)))
        for i, (name, code) in enumerate(cases.items()):
            reply = self.push("254700000%03d" % i, path="/" + name)
            callback = self.result(path="/" + name)
            self.assertEqual(callback["ResultCode"], code, name)
            self.assertEqual("CallbackMetadata" in callback, name == "pays", callback)
            answer = self.query(reply["CheckoutRequestID"])
            self.assertEqual((answer["ResponseCode"], answer["ResultCode"],
                              answer["CheckoutRequestID"]),
                             ("0", str(code), reply["CheckoutRequestID"]))
        self.assertEqual(self.stats()["results"], {str(code): 1 for code in cases.values()})
        self.assertEqual(self.stats()["payments"]["count"], 1)

    def test_the_sandbox_number_never_answers(self):
        self.start()
        self.push("254708374149")
        callback = self.result()
        self.assertEqual((callback["ResultCode"], callback["ResultDesc"]),
                         (1037, "No response from user."))

    def test_shares_of_payers_are_the_same_every_time(self):
        self.start()
        self.faults(cancels=0.3, wrong_pin=0.2)
        codes = []
        for turn in range(2):
            for i in range(60):
                self.push("2547000001%02d" % i, path="/%d/%d" % (turn, i))
            codes.append([self.result(path="/%d/%d" % (turn, i))["ResultCode"]
                          for i in range(60)])
        self.assertEqual(codes[0], codes[1])
        counted = collections.Counter(codes[0])
        self.assertEqual(set(counted), {0, 1032, 2001})
        self.assertTrue(8 <= counted[1032] <= 30 and 3 <= counted[2001] <= 24, counted)

    def test_pays_late(self):
        self.start(SIM_FORCE="0001:pays_late")
        self.faults(late_ms=1000)
        began = time.monotonic()
        reply = self.push()
        self.assertEqual(self.query(reply["CheckoutRequestID"])["ResultCode"], "4999")
        self.assertEqual(self.result()["ResultCode"], 0)
        self.assertGreaterEqual(time.monotonic() - began, 0.99)

    def test_pays_another_amount(self):
        self.start(SIM_FORCE="0001:pays_other")
        self.push()
        self.assertEqual(self.items(self.result())["Amount"], 49)
        self.push(amount=1, path="/one")
        self.assertEqual(self.items(self.result(path="/one"))["Amount"], 2)
        self.assertEqual(self.stats()["payments"]["amount"], 51)

    def test_pays_after_a_failure(self):
        self.start(SIM_FORCE="0001:pays_after_failure")
        self.faults(late_ms=1500)
        reply = self.push()
        first = self.result()
        self.assertEqual(first["ResultCode"], 1037)
        self.assertEqual(self.query(reply["CheckoutRequestID"])["ResultCode"], "1037")
        second = self.result(2)
        self.assertEqual((second["ResultCode"], second["CheckoutRequestID"]),
                         (0, first["CheckoutRequestID"]))
        self.assertEqual(self.query(reply["CheckoutRequestID"])["ResultCode"], "0")


class Queries(Base):
    def test_in_flight_in_every_form(self):
        self.start(SIM_FORCE="0001:no_answer")
        self.faults(prompt_ms=60000)
        checkout = self.push()["CheckoutRequestID"]
        answer = self.query(checkout)
        self.assertEqual((answer["ResponseCode"], answer["ResultCode"]), ("0", "4999"))
        self.faults(query_processing_500={"count": 1})
        self.refused(self.raw_query(checkout), 500, "500.001.1001",
                     "The transaction is being processed")
        self.faults(query_processing_200={"count": 1})
        self.refused(self.raw_query(checkout), 200, "500.001.1001", "")
        self.faults(query_early_ms=60000)
        self.refused(self.raw_query(checkout), 400, "400.002.02",
                     "Bad Request - Invalid CheckoutRequestID")

    def test_an_unknown_id_has_two_answers(self):
        self.start()
        self.refused(self.raw_query("ws_CO_nobody"), 500, "500.001.1001",
                     "The transaction does not Exist")
        self.faults(query_unknown_400=1)
        self.refused(self.raw_query("ws_CO_nobody"), 400, "400.002.02",
                     "Bad Request - Invalid CheckoutRequestID")

    def test_fields_and_credentials_are_checked(self):
        self.start()
        checkout = self.push()["CheckoutRequestID"]
        self.refused(self.raw_query(checkout, BusinessShortCode="1"), 400, "400.002.02",
                     "Bad Request - Invalid BusinessShortCode")
        self.refused(self.raw_query(""), 400, "400.002.02",
                     "Bad Request - Invalid CheckoutRequestID")
        self.refused(self.raw_query(checkout, Password=password("20200101000000")), 500,
                     "500.001.1001", "Wrong credentials")
        self.refused(self.raw_query(checkout, BusinessShortCode="600000"), 500, "500.001.1001",
                     "Merchant does not exist")

    def test_ended_and_yet_a_hiccup(self):
        self.start()
        checkout = self.push()["CheckoutRequestID"]
        self.result()
        answer = self.query(checkout)
        self.assertEqual(set(answer), {"ResponseCode", "ResponseDescription", "MerchantRequestID",
                                       "CheckoutRequestID", "ResultCode", "ResultDesc"})
        self.assertEqual({type(value) for value in answer.values()}, {str})
        self.faults(query_hiccup={"count": 1})
        reply = self.raw_query(checkout)
        self.assertEqual((reply.status, json.loads(reply.body)["errorCode"]),
                         (500, "500.001.1001"))
        self.assertEqual(self.query(checkout)["ResultCode"], "0")

    def test_callback_and_query_word_1037_differently(self):
        self.start(SIM_FORCE="0001:no_answer")
        checkout = self.push()["CheckoutRequestID"]
        words = self.result()["ResultDesc"]
        self.assertNotEqual(self.query(checkout)["ResultDesc"], words)

    def test_five_a_minute(self):
        self.start()
        checkout = self.push()["CheckoutRequestID"]
        self.faults(query_per_minute=5, retry_after_s=12)
        self.assertEqual(self.raw_query(checkout).status, 200)
        reply = self.raw_query(checkout)
        self.is_spike(reply, 5)
        self.assertIn("periodInMicroseconds=60000000", reply.body)
        self.assertEqual(reply.headers["Retry-After"], "12")
        self.assertEqual(self.stats()["queries"], {"asked": 2, "limited": 1})

    def test_the_limit_lets_through_what_keeps_to_it(self):
        self.start()
        checkout = self.push()["CheckoutRequestID"]
        self.result()
        self.faults(query_per_minute=60, query_burst=3)
        codes = [self.raw_query(checkout).status for _ in range(6)]
        self.assertEqual((codes[:3], 429 in codes), ([200] * 3, True))
        time.sleep(1.1)
        self.assertEqual(self.raw_query(checkout).status, 200)

    def test_what_else_goes_wrong(self):
        self.start()
        checkout = self.push()["CheckoutRequestID"]
        self.result()
        self.faults(query_unavailable_503={"count": 1})
        self.is_firewall_page(self.raw_query(checkout), 503)
        self.faults(query_html={"count": 1})
        self.is_firewall_page(self.raw_query(checkout), 200)
        self.faults(query_empty={"count": 1})
        reply = self.raw_query(checkout)
        self.assertEqual((reply.status, reply.body), (200, ""))
        self.faults(query_spike_arrest={"count": 1})
        self.is_spike(self.raw_query(checkout), 5)
        self.faults(query_slow={"count": 1}, slow_ms=300)
        began = time.monotonic()
        self.assertEqual(self.raw_query(checkout).status, 200)
        self.assertGreaterEqual(time.monotonic() - began, 0.29)


class PushFaults(Base):
    def test_what_strikes_before_acceptance(self):
        self.start()
        self.faults(push_unavailable_503={"count": 1})
        self.is_firewall_page(self.raw_push(), 503)
        self.faults(push_spike_arrest={"count": 1})
        self.is_spike(self.raw_push(), 10)
        for name, code, message in (
                ("push_spike_arrest_500", "500.003.02", "Error Occurred: Spike Arrest Violation"),
                ("push_quota", "500.003.03", "Error Occurred: Quota Violation"),
                ("push_busy", "500.003.02", "System is busy. Please try again in few minutes."),
                ("push_error_500", "500.003.1001", "Internal Server Error")):
            self.faults(**{name: {"count": 1}})
            self.refused(self.raw_push(), 500, code, message)
        stats = self.stats()
        self.assertEqual((stats["pushes"]["accepted"], stats["pushes"]["refused"]), (0, 6))
        self.push()

    def test_a_used_connection_dies(self):
        self.start()
        self.push()
        self.faults(push_close_reused={"count": 1})
        with self.assertRaises((ConnectionError, http.client.HTTPException)):
            self.raw_push()
        self.assertEqual(self.stats()["pushes"]["accepted"], 1)

    def test_so_many_a_second(self):
        self.start()
        self.faults(push_per_s=1)
        replies = [self.raw_push("2547000000%02d" % i) for i in range(12)]
        self.assertEqual(replies[0].status, 200)
        self.refused(next(reply for reply in replies if reply.status != 200), 500, "500.003.02",
                     "Error Occurred: Spike Arrest Violation")

    def test_what_strikes_after_acceptance(self):
        self.start()
        self.new_token()
        for name, status in (("push_error_500_accepted", 500), ("push_html", 200),
                             ("push_empty", 200), ("push_unavailable_503_accepted", 503)):
            self.faults(**{name: {"count": 1}})
            reply = self.raw_push(path="/" + name)
            self.assertEqual(reply.status, status)
            self.assertNotIn("CheckoutRequestID", reply.body)
            self.assertEqual(self.result(path="/" + name)["ResultCode"], 0)
        self.faults(push_truncated={"count": 1})
        with self.assertRaises(http.client.IncompleteRead):
            self.raw_push(path="/cut", connection=self.connect())
        self.faults(push_close_accepted={"count": 1})
        with self.assertRaises((ConnectionError, http.client.HTTPException)):
            self.raw_push(path="/closed", connection=self.connect())
        for path in ("/cut", "/closed"):
            self.assertEqual(self.result(path=path)["ResultCode"], 0)
        self.assertEqual(self.stats()["payments"]["count"], 6)

    def test_a_reply_is_withheld_while_the_payer_pays(self):
        self.start()
        self.new_token()
        self.faults(push_withhold={"count": 1})
        with self.assertRaises(TimeoutError):
            self.raw_push(connection=self.connect(timeout=0.5))
        self.assertEqual(self.result()["ResultCode"], 0)

    def test_a_reply_is_slow(self):
        self.start()
        self.faults(push_slow={"count": 1}, slow_ms=300)
        began = time.monotonic()
        self.push()
        self.assertGreaterEqual(time.monotonic() - began, 0.29)
        self.faults(latency_min_ms=200, latency_max_ms=250)
        began = time.monotonic()
        self.push()
        self.assertGreaterEqual(time.monotonic() - began, 0.19)


class CallbackFaults(Base):
    def test_lost(self):
        self.start()
        self.faults(callback_lost=1)
        checkout = self.push()["CheckoutRequestID"]
        stats = self.wait_stats(lambda stats: stats["callbacks"]["lost"] == 1)
        self.assertEqual((stats["callbacks"]["planned"], stats["payments"]["count"]), (0, 1))
        self.assertEqual(self.query(checkout)["ResultCode"], "0")

    def test_doubled_tripled_and_copies_lost(self):
        self.start()
        self.faults(callback_doubled={"count": 1}, balance_empty=0.5, amount_decimal=0.5)
        self.push(path="/2")
        bodies = self.receiver.wait(2, "/2")
        self.assertEqual(bodies[0], bodies[1])
        self.faults(callback_tripled={"count": 1}, callback_doubled=0)
        self.push(path="/3")
        self.receiver.wait(3, "/3")
        self.faults(callback_tripled={"count": 1}, callback_copy_lost={"count": 2})
        self.push(path="/1")
        self.receiver.wait(1, "/1")
        stats = self.settled(6)["callbacks"]
        self.assertEqual((stats["posted"], stats["lost"]), (6, 2))
        self.assertEqual(self.stats()["payments"]["count"], 3)

    def test_early(self):
        self.start()
        self.faults(callback_early=1)
        reply = self.push()
        answered = time.monotonic()
        self.assertEqual(self.result()["CheckoutRequestID"], reply["CheckoutRequestID"])
        self.assertLess(self.receiver.times[0], answered - 0.1)

    def test_late(self):
        self.start()
        self.faults(callback_late=1, callback_late_ms=400)
        began = time.monotonic()
        checkout = self.push()["CheckoutRequestID"]
        self.wait_stats(lambda stats: stats["payments"]["count"] == 1)
        self.assertEqual(self.query(checkout)["ResultCode"], "0")
        self.result()
        self.assertGreaterEqual(self.receiver.times[0] - began, 0.39)

    def test_out_of_order(self):
        self.start(SIM_CALLBACK_CONNECTIONS="1")
        self.faults(callback_reordered=1, callback_reorder_ms=500)
        for i in range(20):
            self.push("2547000000%02d" % i, path="/%02d" % i)
        self.settled(20)
        paths = [post[0] for post in self.receiver.posts]
        self.assertNotEqual(paths, sorted(paths))
        self.assertEqual(len(set(paths)), 20)

    def test_slow(self):
        self.start()
        self.faults(callback_slow=1, callback_slow_ms=800)
        plain = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(plain.close)
        plain.settimeout(DEADLINE_S)
        self.push(CallBackURL="http://127.0.0.1:%d/slow" % plain.getsockname()[1])
        connection, _ = plain.accept()
        with connection:
            connection.settimeout(DEADLINE_S)
            got = connection.recv(65536)
            head_at = time.monotonic()
            self.assertTrue(got.endswith(b"\r\n\r\n"), got)
            body = connection.recv(65536)
            self.assertGreaterEqual(time.monotonic() - head_at, 0.4)
            self.assertEqual(json.loads(body)["Body"]["stkCallback"]["ResultCode"], 0)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            self.settled(1)

    def test_ways_to_write_it(self):
        self.start()
        self.faults(result_code_text={"count": 1})
        self.push(path="/text")
        self.assertEqual(self.result(path="/text")["ResultCode"], "0")
        cases = (("amount_decimal", "\"Amount\",\"Value\":50.00}"),
                 ("balance_empty", "{\"Name\":\"Balance\"}"),
                 ("balance_value", "{\"Name\":\"Balance\",\"Value\":100"),
                 ("phone_masked", "\"PhoneNumber\",\"Value\":\"2547 ***** 001\""))
        raw = Raw()
        self.addCleanup(raw.close)
        for name, text in cases:
            self.faults(**{name: {"count": 1}})
            self.push(CallBackURL=raw.url)
            self.assertIn(text, raw.next())
        self.faults(date_formatted={"count": 1})
        self.push(CallBackURL=raw.url)
        self.assertRegex(raw.next(), r'"TransactionDate","Value":"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"')
        self.faults(phone_missing={"count": 1})
        self.push(CallBackURL=raw.url)
        self.assertNotIn("PhoneNumber", raw.next())
        self.push(CallBackURL=raw.url)
        names = re.findall(r'"Name":"(\w+)"', raw.next())
        self.faults(items_reordered={"count": 1})
        self.push(CallBackURL=raw.url)
        self.assertEqual(re.findall(r'"Name":"(\w+)"', raw.next()), names[::-1])
        self.push(CallBackURL=raw.url)
        self.assertIn("\"Amount\",\"Value\":50}", raw.next())

    def test_no_repetition_unless_it_is_set(self):
        self.start()
        self.receiver.script = [500]
        self.push(path="/1")
        stats = self.wait_stats(lambda stats: stats["callbacks"]["given_up"] == 1)
        self.assertEqual((stats["callbacks"]["refused"], stats["callbacks"]["retried"]), (1, 0))
        self.faults(callback_retries=2, callback_retry_ms=20)
        self.receiver.script = [500, "close", 200]
        self.push(path="/2")
        self.receiver.wait(3, "/2")
        stats = self.settled(1)["callbacks"]
        self.assertEqual((stats["retried"], stats["refused"], stats["broken"]), (2, 2, 1))
        self.assertEqual(len(self.receiver.forms("/1")), 1)

    def test_stopped_shuffled_and_repeated(self):
        self.start(SIM_CALLBACK_CONNECTIONS="1")
        self.control("stop-callbacks", method="POST")
        first = self.push("254700000000", path="/00")["CheckoutRequestID"]
        for i in range(1, 20):
            self.push("2547000000%02d" % i, path="/%02d" % i)
        self.wait_stats(lambda stats: stats["callbacks"]["pending"] == 20)
        time.sleep(0.05)
        self.assertEqual(self.receiver.posts, [])
        self.control("shuffle-callbacks", method="POST")
        self.control("start-callbacks", method="POST")
        self.settled(20)
        paths = [post[0] for post in self.receiver.posts]
        self.assertNotEqual(paths, sorted(paths))
        self.control("repeat-callback", {"checkout_request_id": first})
        bodies = self.receiver.wait(2, "/00")
        self.assertEqual(bodies[0], bodies[1])

    def test_receivers_at_different_places(self):
        self.start(SIM_CALLBACK_CONNECTIONS="1")
        other = harness.Receiver()
        self.addCleanup(other.close)
        for i in range(6):
            self.push(CallBackURL=(other if i % 2 else self.receiver).url("/x"), amount=i + 1)
        self.settled(6)
        self.assertEqual((len(other.forms("/x")), len(self.receiver.forms("/x"))), (3, 3))


class Raw:
    """Takes callbacks and keeps their text as it came."""

    def __init__(self):
        self.receiver = harness.Receiver(parse=str)
        self.url = self.receiver.url("/raw")
        self.seen = 0

    def next(self):
        self.seen += 1
        return self.receiver.wait(self.seen, "/raw")[self.seen - 1]

    def close(self):
        self.receiver.close()


class Paybill(Base):
    def pay(self, phone=PHONE, amount=120, reference="TUMA 42"):
        return self.control("pay", {"phone": phone, "amount": amount, "reference": reference})

    def test_a_payment_by_hand_is_confirmed(self):
        self.start()
        reply = self.register()
        self.assertEqual(reply.status, 200)
        body = json.loads(reply.body)
        self.assertEqual(set(body), {"OriginatorCoversationID", "ResponseCode",
                                     "ResponseDescription"})
        self.assertEqual(body["ResponseCode"], "0")
        paid = self.pay("254700000126")
        self.assertTrue(paid["confirmed"])
        form = self.receiver.wait(1, "/c2b/confirm")[0]
        self.assertEqual({type(value) for value in form.values()}, {str})
        self.assertRegex(form.pop("TransTime"), r"^\d{14}$")
        self.assertIn(form.pop("FirstName"), ("AISHA", "BRIAN", "CHEBET", "DAUDI", "ESTHER",
                                              "FATUMA", "GEORGE"))
        self.assertEqual(form, {
            "TransactionType": "Pay Bill", "TransID": paid["receipt"], "TransAmount": "120.00",
            "BusinessShortCode": SHORTCODE, "BillRefNumber": "TUMA 42", "InvoiceNumber": "",
            "OrgAccountBalance": "100120.00", "ThirdPartyTransID": "",
            "MSISDN": "2547 ***** 126", "MiddleName": "", "LastName": ""})
        self.assertEqual([(one["source"], one["amount"], one["reference"])
                          for one in self.control("payments")], [("hand", 120, "TUMA 42")])
        self.assertEqual(self.stats()["payments"]["by_hand"], 1)

    def test_numbers_are_hashed(self):
        digest = hashlib.sha256(PHONE.encode()).hexdigest()
        self.start()
        self.register(version=1)
        self.pay()
        self.assertEqual(self.receiver.wait(1, "/c2b/confirm")[0]["MSISDN"], digest)
        self.register(version=2)
        self.faults(c2b_hashed=1)
        self.pay()
        self.assertEqual(self.receiver.wait(2, "/c2b/confirm")[1]["MSISDN"], digest)

    def test_nobody_registered(self):
        self.start()
        self.assertFalse(self.pay()["confirmed"])
        self.assertEqual(self.stats()["payments"]["count"], 1)

    def test_registering_again(self):
        self.start()
        self.assertEqual(self.register().status, 200)
        self.assertEqual(self.register().status, 200)
        self.faults(c2b_registered_once=1)
        self.refused(self.register(), 500, "500.003.1001", "Urls are already registered")
        for name, value in (("ShortCode", "1"), ("ShortCode", "600000"),
                            ("ResponseType", "completed"), ("ConfirmationURL", "x"),
                            ("ValidationURL", "")):
            self.refused(self.register(**{name: value}), 400, "400.002.02",
                         "Bad Request - Invalid " + name)
        self.refused(self.call("/mpesa/c2b/v2/registerurl", "["), 400, "400.002.05",
                     "Invalid Request Payload")

    def test_a_push_comes_as_a_confirmation_too(self):
        self.start()
        self.register()
        self.push(path="/without")
        self.result(path="/without")
        self.faults(c2b_of_push=1, callback_lost=1)
        self.push()
        form = self.receiver.wait(1, "/c2b/confirm")[0]
        paid = self.control("payments?phone=" + PHONE)[0]
        self.assertEqual((form["TransID"], form["BillRefNumber"], form["TransAmount"]),
                         (paid["receipt"], "TK000123", "50.00"))
        self.faults(callback_lost=0)
        self.push(path="/both")
        receipt = self.items(self.result(path="/both"))["MpesaReceiptNumber"]
        self.assertEqual(self.receiver.wait(2, "/c2b/confirm")[1]["TransID"], receipt)
        self.assertEqual(len(self.receiver.forms("/c2b/confirm")), 2)

    def test_lost_and_doubled(self):
        self.start()
        self.register()
        self.faults(c2b_lost={"count": 1})
        self.pay()
        self.faults(c2b_doubled={"count": 1})
        self.pay()
        forms = self.receiver.wait(2, "/c2b/confirm")
        self.assertEqual(forms[0], forms[1])
        stats = self.settled(2)
        self.assertEqual((stats["callbacks"]["lost"], stats["callbacks"]["posted_c2b"]), (1, 2))

    def test_bad_payments_are_refused(self):
        self.start()
        for bad in ({}, {"phone": "07", "amount": 1, "reference": "x"},
                    {"phone": PHONE, "amount": 0, "reference": "x"},
                    {"phone": PHONE, "amount": 1, "reference": "x" * 21}):
            self.assertEqual(self.ask("POST", "/_sim/pay", json.dumps(bad)).status, 400)
        self.assertEqual(self.stats()["payments"]["count"], 0)


class Reversals(Base):
    def paid(self, path="/c/token-1"):
        self.push(path=path)
        return self.items(self.result(path=path))["MpesaReceiptNumber"]

    def outcome(self, count=1):
        return self.receiver.wait(count, "/result")[count - 1]["Result"]

    def test_money_goes_back_once(self):
        self.start()
        receipt = self.paid()
        reply = self.reverse(receipt)
        self.assertEqual(reply.status, 200)
        acknowledged = json.loads(reply.body)
        self.assertEqual(set(acknowledged), {"OriginatorConversationID", "ConversationID",
                                             "ResponseCode", "ResponseDescription"})
        self.assertEqual(acknowledged["ResponseCode"], "0")
        result = self.outcome()
        self.assertEqual((result["ResultType"], result["ResultCode"]), (0, 0))
        for name in ("OriginatorConversationID", "ConversationID"):
            self.assertEqual(result[name], acknowledged[name])
        self.assertRegex(result["TransactionID"], RECEIPT)
        self.assertNotEqual(result["TransactionID"], receipt)
        parameters = {one["Key"]: one.get("Value")
                      for one in result["ResultParameters"]["ResultParameter"]}
        self.assertEqual((parameters["Amount"], parameters["OriginalTransactionID"]),
                         (50, receipt))
        self.assertEqual(result["ReferenceData"]["ReferenceItem"]["Value"],
                         self.receiver.url("/timeout"))
        self.assertTrue(self.control("payments")[0]["reversed"])
        self.assertEqual(self.reverse(receipt).status, 200)
        again = self.outcome(2)
        self.assertEqual(again["ResultCode"], "R000001")
        self.assertNotIn("ResultParameters", again)
        stats = self.stats()["payments"]
        self.assertEqual((stats["reversed"], stats["amount_reversed"]), (1, 50))

    def test_what_cannot_be_reversed(self):
        self.start()
        receipt = self.paid()
        self.reverse("UKK0000000")
        self.assertEqual(self.outcome()["ResultCode"], "R000002")
        self.reverse(receipt, Initiator="other")
        self.assertEqual(self.outcome(2)["ResultCode"], 2001)
        self.reverse(receipt, 51)
        self.assertEqual(self.outcome(3)["ResultCode"], 1)
        self.faults(reversal_insufficient={"count": 1})
        self.reverse(receipt)
        self.assertEqual(self.outcome(4)["ResultCode"], 1)
        self.reverse(receipt)
        self.assertEqual(self.outcome(5)["ResultCode"], 0)

    def test_each_field_is_checked(self):
        self.start()
        for name, value in (("Initiator", ""), ("SecurityCredential", ""), ("CommandID", "x"),
                            ("TransactionID", ""), ("Amount", "1.5"), ("ReceiverParty", "1"),
                            ("RecieverIdentifierType", "4"), ("ResultURL", "x"),
                            ("ResultURL", "http://x/" + "y" * 600), ("QueueTimeOutURL", ""),
                            ("Remarks", "x"), ("Remarks", "x" * 101)):
            self.refused(self.reverse("UKK0000000", **{name: value}), 400, "400.002.02",
                         "Bad Request - Invalid " + name)
        self.refused(self.call("/mpesa/reversal/v1/request", "x"), 400, "400.002.05",
                     "Invalid Request Payload")

    def test_what_goes_wrong(self):
        self.start()
        receipts = [self.paid("/%d" % i) for i in range(3)]
        self.faults(reversal_unavailable_503={"count": 1})
        self.is_firewall_page(self.reverse(receipts[0]), 503)
        self.faults(reversal_close_accepted={"count": 1})
        with self.assertRaises((ConnectionError, http.client.HTTPException)):
            self.reverse(receipts[0])
        self.assertEqual(self.outcome()["ResultCode"], 0)
        self.faults(result_doubled={"count": 1})
        self.reverse(receipts[1])
        self.assertEqual(self.outcome(2), self.outcome(3))
        self.faults(result_lost={"count": 1})
        self.reverse(receipts[2])
        stats = self.stats()
        self.assertEqual((stats["callbacks"]["lost"], stats["payments"]["reversed"]), (1, 3))


class Control(Base):
    def test_faults_are_shown_and_checked(self):
        self.start()
        shown = self.faults(callback_lost=0.25, force="0001:cancels,12:pays")
        self.assertEqual((shown["callback_lost"]["share"], shown["force"]),
                         (0.25, "0001:cancels,12:pays"))
        for bad in ("{", "[]", '{"nonsense":1}', '{"callback_lost":2}', '{"force":"1:push_busy"}',
                    '{"callback_lost":0.5,"late_ms":-1}', '{"pays":1}'):
            self.assertEqual(self.ask("POST", "/_sim/faults", bad).status, 400, bad)
        self.assertEqual(self.control("faults"), shown)
        self.assertEqual(self.ask("GET", "/_sim/nothing").status, 404)

    def test_lists_by_phone_and_in_pages(self):
        self.start()
        for i in range(5):
            self.push("25470000000%d" % (i % 2), amount=i + 1, path="/%d" % i)
            self.result(path="/%d" % i)
        self.assertEqual([one["amount"] for one in self.control("pushes")], [1, 2, 3, 4, 5])
        self.assertEqual([one["amount"] for one in self.control("pushes?after=1&limit=2")], [2, 3])
        for what in ("pushes", "payments"):
            self.assertEqual([one["amount"] for one in
                              self.control(what + "?phone=%2B254700000000")], [5, 3, 1])
            self.assertEqual([one["amount"] for one in
                              self.control(what + "?phone=254700000000&after=1&limit=1")], [3])
            self.assertEqual(self.control(what + "?phone=254711111111"), [])
            for bad in ("?phone=x", "?limit=0", "?after=-1", "?colour=red"):
                self.assertEqual(self.ask("GET", "/_sim/" + what + bad).status, 400)
        one = self.control("pushes?limit=1")[0]
        self.assertEqual((one["result"], one["callback_url"], one["reference"]),
                         ("0", self.receiver.url("/0"), "TK000123"))
        self.assertEqual(one["receipt"], self.control("payments?limit=1")[0]["receipt"])

    def test_reset_begins_anew_but_tokens_live_on(self):
        self.start(SIM_FORCE="0009:no_answer")
        self.register()
        token = self.new_token()
        self.faults(prompt_ms=400, callback_late=1, c2b_of_push=1)
        self.push()
        self.push("254700000009", path="/never")
        self.wait_stats(lambda stats: stats["payments"]["count"] == 1)
        self.control("stop-callbacks", method="POST")
        self.control("reset", method="POST")
        stats = self.stats()
        self.assertEqual((stats["pushes"]["accepted"], stats["payments"]["count"],
                          stats["callbacks"]["planned"], stats["requests"]), (0, 0, 0, 0))
        self.assertEqual(self.control("faults")["callback_late"]["share"], 0)
        reply = self.raw_push(path="/after", token=token)
        self.assertEqual(reply.status, 200)
        self.result(path="/after")
        time.sleep(0.5)
        self.assertEqual({post[0] for post in self.receiver.posts} - {"/c2b/confirm"}, {"/after"})
        self.assertFalse(self.control("pay", {"phone": PHONE, "amount": 1,
                                              "reference": "x"})["confirmed"])

    def test_ids_and_receipts_are_never_given_twice(self):
        self.start()
        ids, receipts = set(), set()
        for turn in range(2):
            for i in range(50):
                ids.add(self.push("2547000000%02d" % i)["CheckoutRequestID"])
            self.wait_stats(lambda stats: stats["payments"]["count"] == 50)
            receipts |= {one["receipt"] for one in self.control("payments")}
            if turn == 0:
                self.control("reset", method="POST")
        self.assertEqual((len(ids), len(receipts)), (100, 100))

    def test_a_full_simulator_says_so(self):
        self.start(SIM_CAPACITY="1000", SIM_FAULTS=json.dumps({**self.quick, "pay_min_ms": 60000,
                                                              "pay_max_ms": 60000}))
        for i in range(1000):
            self.raw_push("254700%06d" % i)
        self.assertEqual(self.raw_push().status, 503)
        self.assertEqual(self.stats()["pushes"]["open"], 1000)

    def test_bad_settings_are_named(self):
        for name, value in (("SIM_FAULTS", "{"), ("SIM_FORCE", "1:nonsense"),
                            ("SIM_SHORTCODE", "12"), ("SIM_LISTEN", "nowhere"),
                            ("SIM_CALLBACK_TO", "nowhere"), ("SIM_CALLBACK_TO", "x" * 101)):
            process = harness.run(SIMULATOR, {"SIM_LISTEN": "127.0.0.1:0", name: value})
            self.assertEqual(process.returncode, 78, name)
            self.assertNotEqual(process.stderr, "")

    def test_it_ends_while_connections_wait(self):
        self.start()
        self.new_token()
        self.faults(push_withhold=1)
        with self.assertRaises(TimeoutError):
            self.raw_push(connection=self.connect(timeout=0.2))
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(DEADLINE_S), 0)


class Rate(Base):
    def test_ten_thousand_payments(self):
        """Each callback three times, spread and in no order, a third of the copies lost."""
        self.start(SIM_CALLBACK_CONNECTIONS="32")
        sink = Sink()
        self.addCleanup(sink.close)
        self.faults(callback_tripled=1, callback_spread_ms=1000, callback_copy_lost=0.333,
                    cancels=0.1)
        token = self.new_token()
        began = time.monotonic()
        pushers = [threading.Thread(target=self.push_many, args=(token, sink.url, i * 1250, 1250))
                   for i in range(8)]
        for pusher in pushers:
            pusher.start()
        for pusher in pushers:
            pusher.join()
        took = time.monotonic() - began
        stats = self.wait_stats(lambda stats: sum(stats["results"].values()) == 10000 and
                                stats["callbacks"]["pending"] == 0)
        self.assertEqual((stats["pushes"]["accepted"], stats["pushes"]["repeated"],
                          stats["pushes"]["open"]), (10000, 0, 0))
        self.assertEqual(stats["results"]["0"], stats["payments"]["count"])
        self.assertTrue(8500 < stats["payments"]["count"] < 9500, stats["results"])
        self.assertEqual(stats["callbacks"]["posted"] + stats["callbacks"]["lost"], 30000)
        self.assertTrue(9000 < stats["callbacks"]["lost"] < 11000, stats["callbacks"])
        self.assertEqual(stats["callbacks"]["answered"], stats["callbacks"]["posted"])
        paid = self.control("payments")
        self.assertEqual(len({one["receipt"] for one in paid}), stats["payments"]["count"])
        self.assertEqual(sum(one["amount"] for one in paid), stats["payments"]["amount"])
        print("\n%.0f pushes/s, %d callbacks, %d ms CPU of the simulator, %d KiB" %
              (10000 / took, stats["callbacks"]["posted"], stats["cpu_ms"], stats["peak_kib"]))

    def push_many(self, token, url, first, count):
        """Pipelined, without a client library: the simulator is what is measured."""
        timestamp = now_eat()
        host = "Host: sim\r\nContent-Type: application/json\r\n"
        with socket.create_connection(("127.0.0.1", self.port), DEADLINE_S) as plain:
            reader = plain.makefile("rb")
            for start in range(first, first + count, 50):
                out = []
                for i in range(start, start + 50):
                    body = json.dumps(self.order(
                        "2547%08d" % i, 1 + i % 7, Timestamp=timestamp,
                        Password=password(timestamp), CallBackURL="%s/%d" % (url, i)))
                    out.append("POST /mpesa/stkpush/v1/processrequest HTTP/1.1\r\n%s"
                               "Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s" %
                               (host, token, len(body), body))
                plain.sendall("".join(out).encode())
                for _ in range(50):
                    status = reader.readline()
                    self.assertEqual(status, b"HTTP/1.1 200 OK\r\n")
                    length = 0
                    for line in iter(reader.readline, b"\r\n"):
                        if line.lower().startswith(b"content-length:"):
                            length = int(line.split(b":")[1])
                    reader.read(length)


class Sink:
    """Answers every callback and forgets it, cheaply."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = "http://127.0.0.1:%d" % self.server.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection):
        with connection:
            kept = b""
            while True:
                got = connection.recv(65536)
                if not got:
                    return
                kept += got
                while b"\r\n\r\n" in kept:
                    head, _, rest = kept.partition(b"\r\n\r\n")
                    length = int(re.search(rb"(?i)content-length: *(\d+)", head).group(1))
                    if len(rest) < length:
                        break
                    kept = rest[length:]
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    def close(self):
        self.server.close()


if __name__ == "__main__":
    SIMULATOR = sys.argv[1]
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
