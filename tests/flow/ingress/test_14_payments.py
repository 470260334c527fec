"""Plans bought and paid for; what M-Pesa posts is kept. No stage runs: the tests play settle-payment."""

import http.client
import json
import socket
import threading

from ingress_tests import check, expect, row_id, wait_for

BUY = "/api/tokens/purchase/"
PAID = {"Body": {"stkCallback": {"MerchantRequestID": "aa-1", "CheckoutRequestID": "ws_CO_1",
                                 "ResultCode": 0, "ResultDesc": "ok"}}}
SECRET = "00112233445566778899aabbccddeeff"


def buyer(env, name=None):
    """An admin key of a new account, and a phone nobody else has."""
    buyer.count = getattr(buyer, "count", 0) + 1
    slug = "buyer-%d" % buyer.count
    env.tumactl("account", "create", "--slug", slug, "--name", name or slug, "--email",
                slug + "@customers.test")
    env.keys[slug] = env.key(slug, "admin")
    return slug, "2547120%05d" % buyer.count


def buy(env, key, phone, plan="business", headers=None):
    return env.ask("POST", BUY, {"package_type": plan, "payment_method": "mpesa",
                                 "phone_number": phone}, key=key, headers=headers)


def bought(env, key, phone, **named):
    reply = buy(env, key, phone, **named)
    expect(reply.status, 202, "answer %r" % (reply.body,))
    return reply.body


def asked(env):
    """What settle-payment would read."""
    return env.drain("settle-payment.high")


def becomes(env, payment, status, reason="", **columns):
    """settle-payment's part."""
    values = {"status": status, "reason": reason, **columns}
    env.sql("UPDATE payments SET %s WHERE id = %d"
            % (", ".join("%s = %s" % (name, value if name.endswith("_at") else "nullif('%s', '')" % value)
                         for name, value in values.items()), row_id(payment)))
    if status == "paid":
        env.sql("UPDATE purchases SET status = 'paid', paid_at = now()"
                " WHERE id = (SELECT purchase_id FROM payments WHERE id = %d)" % row_id(payment))


def payments_of(env, slug):
    return int(env.sql("SELECT count(*) FROM payments p JOIN accounts a ON a.id = p.account_id"
                       " WHERE slug = '%s'" % slug)[0][0])


def test_a_free_plan_is_had_at_once_and_once(env):
    key, _ = buyer(env)
    asked(env)
    reply = env.ask("POST", BUY, {"plan": "demo"}, key=key, headers={"Idempotency-Key": "free"})
    expect((reply.status, reply.body["purchase_status"], reply.body["amount"]),
           (200, "paid", "0.00"), "answer")
    expect((reply.body["subscription"]["plan"], reply.body["subscription"]["reference"]),
           ("demo", reply.body["reference"]), "subscription")
    expect(env.ask("GET", "/api/tokens/balance", key=key).body["available"], 100, "tokens")
    again = env.ask("POST", BUY, {"plan": "demo"}, key=key, headers={"Idempotency-Key": "free"})
    expect((again.status, again.body), (200, reply.body), "the same again")
    env.refused(409, "plan_only_once", "package_type", "POST", BUY, {"package_type": "demo"}, key=key)
    expect(asked(env), [], "nobody is asked to pay")


def test_a_plan_is_bought_without_having_one(env):
    key, phone = buyer(env)
    env.ask("POST", BUY, {"plan": "demo"}, key=key)
    env.sql("UPDATE subscriptions SET starts_at = now() - interval '9 days', ends_at = now() -"
            " interval '1 day' WHERE account_id = (SELECT id FROM accounts WHERE slug = '%s')" % key)
    asked(env)
    body = bought(env, key, "0" + phone[3:])
    expect((body["status"], body["plan"], body["tokens"], body["phone_number"], body["currency"],
            body["purchase_status"], body["final"], body["may_retry"]),
           ("requested", "business", 5000, phone, "KES", "open", False, False), "payment")
    [plan] = [plan for plan in env.ask("GET", "/api/plans", key=key).body["plans"]
              if plan["code"] == "business"]
    expect(body["amount"], plan["price"], "amount")
    expect((body["status_url"], body["events_url"]),
           ("/api/payments/" + body["id"], "/api/payments/%s/events" % body["id"]), "where to look")
    [(properties, route, told)] = asked(env)
    expect((properties.type, route, told), ("payment.requested.v1", "payment.requested.high",
                                            {"payment": body["id"]}), "told")
    expect(env.ask("GET", body["status_url"], key=key).body, body, "looked at")


def test_said_twice_is_bought_once(env):
    key, phone = buyer(env)
    asked(env)
    first = bought(env, key, phone, headers={"Idempotency-Key": "k"})
    again = bought(env, key, phone, headers={"Idempotency-Key": "k"})
    expect((again, payments_of(env, key), len(asked(env))), (first, 1, 1), "once")
    expect(buy(env, key, phone, "starter", headers={"Idempotency-Key": "k"}).status, 422,
           "another request")
    reply = buy(env, key, phone)
    expect((reply.status, reply.body["code"], payments_of(env, key)), (429, "asked_just_now", 1),
           "a double click")
    check(1 <= int(reply.headers["Retry-After"]) <= 60, reply.headers["Retry-After"])
    becomes(env, first["id"], "failed", "cancelled")
    expect(buy(env, key, phone).status, 202, "once that is decided")


def test_an_ingress_that_died_before_its_answer_asks_nobody_twice(env):
    key, phone = buyer(env)
    asked(env)
    first = bought(env, key, phone, headers={"Idempotency-Key": "died"})
    [before] = asked(env)
    # As it is between the commit and the answer, and a minute later.
    lost = ("UPDATE idempotency_keys SET status = NULL, body = '%s', created_at = now() -"
            " interval '2 minutes' WHERE key = 'died'" % first["id"])
    env.sql(lost)
    again = bought(env, key, phone, headers={"Idempotency-Key": "died"})
    expect((again, payments_of(env, key)), (first, 1), "the same payment")
    [after] = asked(env)
    expect((after[0].message_id, after[2]), (before[0].message_id, before[2]), "the same message")
    env.sql(lost)
    becomes(env, first["id"], "prompted")
    expect(bought(env, key, phone, headers={"Idempotency-Key": "died"})["status"], "prompted",
           "later still")
    expect(asked(env), [], "what is begun is not told again")


def test_what_was_made_is_kept_while_the_broker_does_not_take_it(env):
    key, phone = buyer(env)
    asked(env)
    env.channel.queue_unbind("tuma.settle-payment.high", "tuma.payments", "payment.requested.high")
    try:
        reply = buy(env, key, phone, headers={"Idempotency-Key": "later"})
        expect((reply.status, payments_of(env, key)), (503, 1), "no queue is bound: %r" % (reply.body,))
        expect(buy(env, key, phone, headers={"Idempotency-Key": "later"}).status, 503, "still")
    finally:
        env.channel.queue_bind("tuma.settle-payment.high", "tuma.payments", "payment.requested.high")
    body = bought(env, key, phone, headers={"Idempotency-Key": "later"})
    expect((payments_of(env, key), [told["payment"] for _, _, told in asked(env)]), (1, [body["id"]]),
           "the payment made at first")


def test_what_cannot_be_bought(env):
    key, phone = buyer(env)
    good = {"package_type": "business", "payment_method": "mpesa", "phone_number": phone}
    env.tumactl("plan", "set", "relic", "--name", "Relic", "--price", "10", "--tokens", "10", "--days",
                "1", "--on-sale", "no")
    env.tumactl("plan", "set", "cents", "--name", "Cents", "--price", "10.50", "--tokens", "10",
                "--days", "1")
    env.tumactl("plan", "set", "dollars", "--name", "Dollars", "--price", "10", "--currency", "USD",
                "--tokens", "10", "--days", "1")
    try:
        for status, code, field, changes in [
                (422, "plan_unknown", "package_type", {"package_type": "gold"}),
                (422, "plan_not_on_sale", "package_type", {"package_type": "relic"}),
                (422, "price_not_payable", "package_type", {"package_type": "cents"}),
                (422, "price_not_payable", "plan", {"package_type": None, "plan": "dollars"}),
                (422, "no_plan", "package_type", {"package_type": None}),
                (422, "bad_field", "plan", {"plan": "starter"}),
                (422, "bad_field", "package_type", {"package_type": "x" * 41}),
                (422, "bad_field", "package_type", {"package_type": 5}),
                (422, "no_payment_method", "payment_method", {"payment_method": None}),
                (422, "payment_method_unknown", "payment_method", {"payment_method": "cash"}),
                (422, "no_phone", "phone_number", {"phone_number": None}),
                (422, "bad_field", "phone_number", {"phone_number": 712345678}),
                (422, "phone_not_kenyan", "phone_number", {"phone_number": "+255712345678"}),
                (422, "not_a_number", "phone_number", {"phone_number": "my phone"}),
                (422, "not_mobile", "phone_number", {"phone_number": "0202345678"})]:
            reply = env.ask("POST", BUY, {**good, **changes}, key=key)
            expect((reply.status, reply.body["code"], reply.body.get("field")), (status, code, field),
                   "%r: %r" % (changes, reply.body))
        env.refused(400, "bad_json", None, "POST", BUY, "{", key=key)
        expect(env.ask("POST", BUY, {**good, "amount": 1}, key=key).status, 422, "no such field")
        expect(env.ask("POST", BUY, good, key=key, content_type="text/csv").status, 415, "type")
        expect(env.ask("POST", BUY, b"{", key=key,
                       headers={"Content-Length": str(9 << 20)}).status, 413, "oversize")
        env.refused(403, "scope_missing", None, "POST", BUY, good, key="send")
        expect(env.ask("POST", BUY, good, key=None).status, 401, "no key")
        expect(payments_of(env, key), 0, "payments")
    finally:
        for plan in ("cents", "dollars"):
            env.tumactl("plan", "set", plan, "--on-sale", "no")


def test_payments_are_their_account_s_own(env):
    key, phone = buyer(env)
    other, _ = buyer(env)
    one = bought(env, key, phone)["id"]
    for path in ("/api/payments/" + one, "/api/payments/%s/events" % one,
                 "/api/payments/%s/receipt" % one, "/api/payments/pay_0000000000000",
                 "/api/payments/" + one.replace("pay_", "pur_"), "/api/payments/x"):
        reply = env.ask("GET", path, key=other)
        expect((reply.status, reply.body["code"]), (404, "payment_unknown"), path)
    expect(env.ask("POST", "/api/payments/%s/retry" % one, key=other).status, 404, "retry")
    expect(env.ask("GET", "/api/payments", key=other).body, {"payments": [], "next": None}, "list")


def test_payments_come_page_by_page(env):
    key, phone = buyer(env)
    made = []
    for _ in range(5):
        made.append(bought(env, key, phone))
        becomes(env, made[-1]["id"], "failed", "cancelled")
    becomes(env, made[2]["id"], "unresolved")
    found, cursor = [], None
    while True:
        page = env.ask("GET", "/api/payments", key=key, limit=2,
                       **({"cursor": cursor} if cursor else {})).body
        found += [one["id"] for one in page["payments"]]
        cursor = page["next"]
        if cursor is None:
            break
    expect(found, [one["id"] for one in reversed(made)], "newest first")
    few = env.ask("GET", "/api/payments", key=key, status="unresolved").body["payments"]
    expect([one["id"] for one in few], [made[2]["id"]], "by status")
    few = env.ask("GET", "/api/payments", key=key, purchase=made[1]["purchase"]).body["payments"]
    expect([one["id"] for one in few], [made[1]["id"]], "by purchase")
    for arguments in ({"status": "done"}, {"purchase": "x"}, {"limit": "0"}, {"cursor": "x"}, {"x": "1"}):
        expect(env.ask("GET", "/api/payments", key=key, **arguments).status, 400, arguments)


def test_what_is_not_known_is_never_told_as_failed(env):
    key, phone = buyer(env)
    one = bought(env, key, phone)["id"]
    for status, reason, says in [("pushing", "", "about to be asked"), ("push_unknown", "", "checking"),
                                 ("prompted", "", "PIN"), ("unresolved", "no_answer", "checking"),
                                 ("prompted", "paid_receipt_awaited", "paid, checking"),
                                 ("failed", "cancelled", "not paid: it was cancelled"),
                                 ("failed", "wrong_pin", "not paid: the PIN was wrong"),
                                 ("failed", "odd_word", "not paid"), ("paid", "", "paid")]:
        becomes(env, one, status, reason)
        env.sql("UPDATE payments SET detail = '<html>busy' WHERE status = '%s'" % status)
        body = env.ask("GET", "/api/payments/" + one, key=key).body
        # While nobody knows, it is what a firewall said to us.
        expect(body["detail"], None if status == "push_unknown" else "<html>busy", "detail of " + status)
        check(says in body["message"], body)
        expect("fail" in body["message"] or "not paid" in body["message"], status == "failed", body)
        expect(body["may_retry"], status in ("failed", "unresolved"), "may_retry of " + status)


def stream_of(env, key, path, out):
    connection = http.client.HTTPConnection("127.0.0.1", env.main.port, timeout=30)
    connection.request("GET", path, headers={"Authorization": "Bearer " + env.keys[key]})
    answer = connection.getresponse()
    out["status"], out["type"] = answer.status, answer.headers["Content-Type"]
    out["events"] = []
    event = None
    for line in answer:
        if line.startswith(b"event: "):
            event = line[7:].strip().decode()
        if line.startswith(b"data: "):
            out["events"].append((event, json.loads(line[6:])))
    connection.close()


def test_the_payer_sees_the_result_arrive(env):
    key, phone = buyer(env)
    one = bought(env, key, phone)["id"]
    seen = {}
    watching = threading.Thread(target=stream_of,
                                args=(env, key, "/api/payments/%s/events" % one, seen))
    watching.start()
    for status, reason in [("prompted", ""), ("prompted", "paid_receipt_awaited"), ("paid", "")]:
        before = wait_for("an event", 10, lambda: seen.get("events")) and len(seen["events"])
        becomes(env, one, status, reason)
        wait_for("an event of " + status, 10, lambda: len(seen["events"]) > before)
    watching.join(20)
    check(not watching.is_alive(), "the stream ended")
    expect((seen["status"], seen["type"]), (200, "text/event-stream"), "stream")
    expect([(event, data["status"], data["reason"]) for event, data in seen["events"]],
           [("progress", "requested", None), ("progress", "prompted", None),
            ("progress", "prompted", "paid_receipt_awaited"), ("final", "paid", None)], "events")
    env.contract.validate({"$ref": "#/components/schemas/Payment"}, seen["events"][0][1])
    expect(env.ask("GET", "/api/payments/%s/events" % one, key=key).status, 200, "one that is over")


def test_a_payment_is_tried_again(env):
    key, phone = buyer(env)
    first = bought(env, key, phone)
    retry = "/api/payments/%s/retry" % first["id"]
    env.refused(409, "payment_under_way", None, "POST", retry, key=key)
    becomes(env, first["id"], "failed", "cancelled", pushed_at="now() - interval '20 s'")
    reply = env.refused(429, "asked_just_now", None, "POST", retry, key=key)
    check(35 <= int(reply.headers["Retry-After"]) <= 40, reply.headers["Retry-After"])
    becomes(env, first["id"], "unresolved", pushed_at="now() - interval '61 s'")
    asked(env)
    again = env.ask("POST", retry, key=key, headers={"Idempotency-Key": "r"})
    expect((again.status, again.body["purchase"], again.body["reference"], again.body["status"]),
           (202, first["purchase"], first["reference"], "requested"), "the same purchase")
    check(again.body["id"] != first["id"], "a row of its own")
    expect([told["payment"] for _, _, told in asked(env)], [again.body["id"]], "told")
    expect(env.ask("POST", retry, key=key, headers={"Idempotency-Key": "r"}).body, again.body, "twice")
    env.refused(409, "payment_under_way", None, "POST", retry, key=key)
    becomes(env, again.body["id"], "failed", "wrong_pin", pushed_at="now() - interval '5 s'")
    env.refused(429, "asked_just_now", None, "POST", retry, key=key)
    becomes(env, first["id"], "paid")
    for one in (first["id"], again.body["id"]):
        env.refused(409, "purchase_paid", None, "POST", "/api/payments/%s/retry" % one, key=key)
    expect(asked(env), [], "nothing more")


def test_a_receipt_is_data_or_a_page(env):
    key, phone = buyer(env, name="<b>Bee & \"Sons\"</b>")
    one = bought(env, key, phone)
    path = "/api/payments/%s/receipt" % one["id"]
    env.refused(409, "not_paid", None, "GET", path, key=key)
    becomes(env, one["id"], "paid", receipt="QUERY-ws_CO_1")
    expect(env.ask("GET", path, key=key).body["receipt"], None, "its receipt is awaited")
    becomes(env, one["id"], "paid", receipt="UAB1CD2EF3")
    body = env.ask("GET", path, key=key).body
    expect((body["receipt"], body["reference"], body["amount"], body["customer"],
            body["phone_number"]),
           ("UAB1CD2EF3", one["reference"], one["amount"], "<b>Bee & \"Sons\"</b>",
            phone[:-6] + "***" + phone[-3:]), "receipt")
    reply = env.ask("GET", path, key=key, headers={"Accept": "text/html,application/json;q=0.9"})
    page = reply.body.decode()
    becomes(env, one["id"], "failed", "cancelled", receipt="")
    env.sql("INSERT INTO payment_receipts (receipt, provider, amount_minor, currency, source, status,"
            " purchase_id) VALUES ('UXY%d', 'mpesa', 450000, 'KES', 'confirmation', 'credited', %d)"
            % (buyer.count, row_id(one["purchase"])))
    expect(env.ask("GET", path, key=key).body["receipt"], "UXY%d" % buyer.count, "paid by hand")
    body = env.ask("GET", "/api/payments/" + one["id"], key=key).body
    expect((body["message"], body["may_retry"], body["final"]),
           ("what it was for is paid", False, True), "the try that failed")
    expect(reply.headers["Content-Type"], "text/html; charset=utf-8", "type")
    check("&lt;b&gt;Bee &amp; &quot;Sons&quot;&lt;/b&gt;" in page and "<b>" not in page, page)
    check("UAB1CD2EF3" in page and "<script" not in page, page)
    check(isinstance(env.ask("GET", path, key=key,
                             headers={"Accept": "application/json, text/html"}).body, dict), "JSON")


# ---- what M-Pesa posts ----


def told(env, path, body, **named):
    return env.ask("POST", path, body, key=None, **named)


def kept(env):
    return [(properties, body) for properties, _, body in asked(env)
            if properties.type == "payment.reported.v1"]


def test_what_m_pesa_posts_is_kept_and_answered_alike(env):
    asked(env)
    raw = json.dumps(PAID)
    for path, kind, secret in [
            ("/api/pay/" + SECRET, "stk", SECRET), ("/api/pay/%s/" % SECRET, "stk", SECRET),
            ("/api/pay/wrong", "stk", "wrong"), ("/api/pay/" + "a" * 65, "stk", None),
            ("/api/pay/a%20b", "stk", None), ("/api/pay/a/b", "stk", None),
            ("/api/payments/mpesa/callback/", "stk", None), ("/api/payments/mpesa/callback", "stk", None),
            ("/api/payments/mpesa/callback/" + SECRET, "stk", SECRET),
            ("/api/pay/c2b/confirmation/abc1", "confirmation", "abc1"),
            ("/api/pay/c2b/validation/abc1", "validation", "abc1"),
            ("/api/pay/reversal/result/" + SECRET, "result", SECRET)]:
        reply = told(env, path, raw)
        expect((reply.status, reply.body), (200, {"ResultCode": 0, "ResultDesc": "Accepted"}), path)
        [(properties, body)] = kept(env)
        check(body.pop("received_at").endswith("Z"), "received_at")
        expect({name: value for name, value in body.items() if value},
               {"provider": "mpesa", "kind": kind, "peer": "127.0.0.1", "raw": raw,
                **({"secret": secret} if secret else {})}, path)
        expect(len(properties.message_id), 32, "message id")
    for path in ("/api/pay", "/api/pay/", "/api/pay/c2b/confirmation", "/api/pay/c2b/validation/", "/api/pay/reversal/result"):
        expect(told(env, path, raw).status, 404, path)
    expect(env.ask("GET", "/api/pay/" + SECRET, key=None).status, 405, "GET")
    expect(kept(env), [], "nothing else")


def test_a_callback_is_kept_whatever_it_says(env):
    asked(env)
    for body in ("", "{", "<html>busy</html>", "\u0000\u0001\"\\é", b"caf\xe9", "[" * 9000):
        expect(told(env, "/api/pay/" + SECRET, body).status, 200, body)
    expect([body["raw"] for _, body in kept(env)],
           ["", "{", "<html>busy</html>", "\ufffd\u0001\"\\é", "caf\ufffd", "[" * 9000], "raw")


def test_the_same_callback_is_the_same_message(env):
    asked(env)
    for path, body in [("/api/pay/" + SECRET, "{}"), ("/api/pay/" + SECRET, "{}"),
                       ("/api/pay/" + SECRET, "{} "), ("/api/pay/other", "{}"),
                       ("/api/pay/c2b/validation/" + SECRET, "{}")]:
        told(env, path, body)
    ids = [properties.message_id for properties, _ in kept(env)]
    expect((ids[0] == ids[1], len(set(ids))), (True, 4), "ids")


def test_a_callback_too_large_is_refused_and_noted(env):
    asked(env)
    path = "/api/pay/" + SECRET
    expect(told(env, path, "x" * 16384).status, 200, "just fits")
    expect(len(kept(env)[0][1]["raw"]), 16384, "kept whole")
    expect(told(env, path, "x" * 16385).status, 413, "one more")
    expect(told(env, path, (piece for piece in [b"x" * 16000, b"x" * 385])).status, 413, "in chunks")
    expect(told(env, path, (piece for piece in [b"x" * 16000, b"x" * 384])).status, 200, "in chunks")
    expect(len(kept(env)), 1, "kept")
    expect(env.main.log.read_text().count("event=callback_too_large"), 2, "noted")


def test_an_ambiguous_callback_is_refused(env):
    asked(env)
    for head in (b"Content-Length: 2\r\nContent-Length: 3", b"Content-Length: 2\r\nTransfer-Encoding: chunked"):
        with socket.create_connection(("127.0.0.1", env.main.port), 10) as raw:
            raw.sendall(b"POST /api/pay/" + SECRET.encode() + b" HTTP/1.1\r\nHost: x\r\n" + head +
                        b"\r\n\r\n{}")
            expect(raw.recv(12), b"HTTP/1.1 400", head)
    expect(kept(env), [], "kept")


def test_the_peer_is_the_proxy_s_word_when_the_proxy_is_ours(env):
    asked(env)
    behind = env.ingress("behind", HTTP_TRUSTED_PROXY="127.0.0.1")
    for header, peer in [("203.0.113.9, 196.201.212.69", "196.201.212.69"), ("2001:db8::1", "2001:db8::1"),
                         ("x" * 60, "127.0.0.1"), ("", "127.0.0.1")]:
        told(env, "/api/pay/" + SECRET, "{}", port=behind.port, headers={"X-Forwarded-For": header})
        expect(kept(env)[0][1]["peer"], peer, header)
    told(env, "/api/pay/" + SECRET, "{}", headers={"X-Forwarded-For": "196.201.212.69"})
    expect(kept(env)[0][1]["peer"], "127.0.0.1", "nobody is believed")
    behind.stop()
