"""Plans bought through M-Pesa, as payers, M-Pesa and the network behave and misbehave."""

import json

from chain import check, expect, wait_for
from payments import C2B_TOKEN, TOKENS, Buyer

PAYMENTS = True
SETTINGS = {"MPESA_CREDIT_WITHOUT_RECEIPT": "3s"}  # a page that looks once a second sees the wait


def test_what_is_paid_is_there_with_a_receipt(chain):
    buyer = Buyer(chain)
    payment = buyer.buy("business")
    watch = payment.watch()
    row = payment.wait_for("paid")
    push = chain.mpesa.push_of(payment)
    expect((row["receipt"], row["final"], row["may_retry"], row["purchase_status"]),
           (push["receipt"], True, False, "paid"), "payment")
    balance = buyer.account.ask("GET", "/api/tokens/balance").body
    expect((balance["available"], balance["granted"]), (5000, 5000), "tokens")
    slip = payment.receipt()
    expect((slip["receipt"], slip["reference"], slip["amount"], slip["tokens"]),
           (push["receipt"], payment.reference, payment.amount, 5000), "receipt")
    events = watch.wait_end()
    expect(events[-1], ("final", "paid", None), "last event")
    check([event for event, _, _ in events[:-1]] == ["progress"] * (len(events) - 1), events)
    # The tokens are good for a campaign.
    campaign = buyer.account.send_inline(chain.text(), chain.phones(3))
    expect(campaign.wait_for("completed")["delivered"], 3, "delivered")


def test_each_payer_does_something_else(chain):
    ends = {"pays": ("paid", None), "cancels": ("failed", "cancelled"),
            "wrong_pin": ("failed", "wrong_pin"), "insufficient": ("failed", "insufficient_funds"),
            "no_answer": ("failed", "no_answer"), "expires": ("failed", "expired"),
            "pin_locked": ("failed", "pin_locked"),
            "pays_other": ("unresolved", "amount_differs"),
            "unknown_code": ("unresolved", None), "pays_late": ("paid", None)}
    buyers = {behaviour: Buyer(chain) for behaviour in ends}
    phones = {behaviour: buyer.phone() for behaviour, buyer in buyers.items()}
    # The firewall's page: nobody says whether the push was taken, so it is not made again.
    with chain.mpesa.misbehaving(push_unavailable_503={"count": 1}):
        doubtful = Buyer(chain).buy()
        doubtful.wait_for("push_unknown")
    check("checking" in doubtful.row()["message"], doubtful.row())
    chain.mpesa.force({phones[behaviour]: behaviour for behaviour in ends})
    tries = {behaviour: buyer.buy(phone=phones[behaviour]) for behaviour, buyer in buyers.items()}
    watches = {behaviour: tries[behaviour].watch() for behaviour in ("cancels", "pays_late")}
    for behaviour, (status, reason) in ends.items():
        row = tries[behaviour].wait_final()
        expect((behaviour, row["status"]), (behaviour, status), "end: %r" % row)
        check(reason is None or row["reason"] == reason, "%s: %r" % (behaviour, row))
        expect((row["may_retry"], buyers[behaviour].tokens()),
               (status != "paid", TOKENS["starter"] if status == "paid" else 0), behaviour)
        check("not paid" not in row["message"] or status == "failed", row)
    expect(watches["cancels"].wait_end()[-1], ("final", "failed", "cancelled"), "cancelled")
    expect(watches["pays_late"].wait_end()[-1], ("final", "paid", None), "paid late")
    # Each failure may be tried again under its purchase; each try has a row of its own.
    chain.mpesa.force({})
    expect(doubtful.wait_final()["status"], "unresolved", "nobody could say")
    failed = [one for behaviour, one in tries.items() if ends[behaviour][0] == "failed"]
    failed.append(doubtful)
    for one in failed:
        check(one.buyer.account.ask("POST", "/api/payments/%s/retry" % one.id).status == 429,
              "a phone is not asked twice in a minute")
        one.forget_the_minute()
    for one, again in [(one, one.retry()) for one in failed]:
        again.wait_for("paid")
        row = one.row()
        expect((again.reference, row["purchase_status"], one.buyer.tokens()),
               (one.reference, "paid", TOKENS["starter"]), "retry")
        check(again.id != one.id and row["status"] in ("failed", "unresolved"), row)
    differs = chain.mpesa.receipts("status = 'differs'")
    expect([(row["amount_minor"], row["payment_id"]) for row in differs],
           [(99900, tries["pays_other"].columns()["id"])], "kept for a person")


def test_a_success_after_a_failure_counts(chain):
    buyer = Buyer(chain)
    phone = buyer.phone()
    chain.mpesa.force({phone: "pays_after_failure"})
    payment = buyer.buy(phone=phone)
    payment.wait_for("failed", "no_answer")
    payment.wait_for("paid")
    expect(buyer.tokens(), TOKENS["starter"], "tokens")
    chain.mpesa.force({})


def test_a_lost_callback_is_asked_for(chain):
    with chain.mpesa.misbehaving(callback_lost=1):
        tries = [Buyer(chain).buy() for _ in range(3)]
        watch = tries[0].watch()
        for payment in tries:
            row = payment.wait_for("paid")
            expect((row["receipt"], payment.buyer.tokens()), (None, TOKENS["starter"]), "credited")
    check(("progress", "prompted", "paid_receipt_awaited") in watch.wait_end(), watch.events)
    # It comes late: the receipt is named, and nothing is credited again.
    for payment in tries:
        push = chain.mpesa.push_of(payment)
        chain.mpesa.ask("repeat-callback", {"checkout_request_id": push["checkout_request_id"]})
        wait_for("the receipt of %s" % payment.reference, 60, payment.row,
                 lambda row: row["receipt"] is not None)
        expect((payment.row()["receipt"], payment.buyer.tokens()),
               (push["receipt"], TOKENS["starter"]), "receipt, tokens")


def test_copies_of_callbacks_and_callbacks_before_the_answer(chain):
    with chain.mpesa.misbehaving(callback_tripled=1, callback_spread_ms=300, callback_early=0.5,
                                 early_ms=200, callback_reordered=0.5, callback_reorder_ms=300):
        tries = [Buyer(chain).buy() for _ in range(12)]
        for payment in tries:
            payment.wait_for("paid")
        wait_for("all copies were posted", 60, lambda: chain.mpesa.stats()["callbacks"]["pending"],
                 lambda pending: pending == 0)
    chain.settle()
    for payment in tries:
        expect((payment.buyer.tokens(), [row["verdict"] for row in payment.callbacks()]),
               (TOKENS["starter"], ["settled"]), "tokens, and one callback kept")


def test_m_pesa_answers_with_something_else(chain):
    """What was surely not taken is asked again; what may have been taken never is."""
    before = chain.mpesa.stats()["pushes"]["accepted"]
    with chain.mpesa.misbehaving(push_spike_arrest={"count": 2}, retry_after_s=1):
        throttled = [Buyer(chain).buy() for _ in range(3)]
        for payment in throttled:
            payment.wait_for("paid")
    # Taken, and the answer says nothing: the callback does.
    taken = []
    for fault in ("push_html", "push_empty", "push_truncated", "push_error_500_accepted",
                  "push_close_accepted", "push_unavailable_503_accepted"):
        with chain.mpesa.misbehaving(**{fault: {"count": 1}}):
            taken.append(Buyer(chain).buy())
            taken[-1].wait_for("paid")
    for payment in throttled + taken:
        expect(payment.buyer.tokens(), TOKENS["starter"], "tokens")
    expect(chain.mpesa.stats()["pushes"]["accepted"] - before, len(throttled + taken), "pushes")


def test_a_query_meets_the_same(chain):
    with chain.mpesa.misbehaving(callback_lost=1, query_html={"count": 1},
                                 query_spike_arrest={"count": 1},
                                 query_unavailable_503={"count": 1}, retry_after_s=1):
        tries = [Buyer(chain).buy() for _ in range(4)]
        for payment in tries:
            payment.wait_for("paid")
            expect(payment.buyer.tokens(), TOKENS["starter"], "tokens")


def test_a_token_ends_in_the_middle(chain):
    with chain.mpesa.misbehaving(token_single=1):
        tries = []
        for _ in range(6):
            tries.append(Buyer(chain).buy())
            chain.mpesa.ask("expire-tokens", {})
        for payment in tries:
            payment.wait_for("paid")
    expect(chain["settle-payment"].count_log("level=error"), 0, "errors")


def test_money_without_a_prompt_is_matched_by_what_the_payer_typed(chain):
    chain.mpesa.register_c2b()
    with chain.mpesa.misbehaving(c2b_of_push=1, c2b_doubled=0.5):
        tries = [Buyer(chain).buy() for _ in range(4)]
        for payment in tries:
            payment.wait_for("paid")
    phone = Buyer(chain).phone()
    with chain.mpesa.misbehaving(force=phone[-9:] + ":cancels"):
        payment = Buyer(chain).buy(phone=phone)
        payment.wait_for("failed", "cancelled")
    receipt = chain.mpesa.pay_by_hand(phone, payment.shillings, payment.reference.lower())
    wait_for("the purchase is paid", 60, payment.row,
             lambda row: row["purchase_status"] == "paid")
    expect((payment.receipt()["receipt"], payment.buyer.tokens()), (receipt, TOKENS["starter"]),
           "receipt, tokens")
    # Again, by mistake; and with a reference nobody has.
    open_work = {
        chain.mpesa.pay_by_hand(phone, payment.shillings, payment.reference): "was paid before",
        chain.mpesa.pay_by_hand(phone, payment.shillings, "SHOP"): "no purchase is called",
    }
    listed = wait_for("both are work", 60,
                      lambda: chain.tumactl("payments", "list", "--unmatched"),
                      lambda text: all(receipt in text for receipt in open_work))
    for receipt, why in open_work.items():
        [line] = [line for line in listed.splitlines() if receipt in line]
        check(why in line, line)
    with chain.mpesa.misbehaving(force=phone[-9:] + ":wrong_pin"):
        wanted = Buyer(chain).buy(phone=phone)
        wanted.wait_for("failed", "wrong_pin")
    words = ["payments", "match", receipt, wanted.reference, "--by", "ann", "--why", "he rang us"]
    check("pays %s" % wanted.reference in chain.tumactl(*words), "matched")
    chain.tumactl(*words, status=1)
    row = wanted.row()
    expect((row["purchase_status"], wanted.buyer.tokens()), ("paid", TOKENS["starter"]), "matched")
    chain.settle()
    for one in tries:
        expect(one.buyer.tokens(), TOKENS["starter"], "confirmed and called back")


# ---- what nobody should send ----

SUCCESS = {"MerchantRequestID": "1-2-3", "ResultCode": 0, "ResultDesc": "done"}


def callback(checkout, amount=1000, receipt="UFORGED001", **changes):
    items = [{"Name": "Amount", "Value": amount},
             {"Name": "MpesaReceiptNumber", "Value": receipt},
             {"Name": "TransactionDate", "Value": 20261120101500},
             {"Name": "PhoneNumber", "Value": 254712345678}]
    return {"Body": {"stkCallback": {**SUCCESS, "CheckoutRequestID": checkout,
                                     "CallbackMetadata": {"Item": items}, **changes}}}


def post(chain, path, body):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return chain.http("POST", path, raw, {"Content-Type": "application/json"})


def kept(chain, after):
    return [row["verdict"] for row in
            chain.sql("SELECT verdict FROM payment_callbacks WHERE id > %d ORDER BY id" % after)]


def last_kept(chain):
    return chain.sql("SELECT coalesce(max(id), 0) AS n FROM payment_callbacks")[0]["n"]


def test_forged_and_broken_callbacks_are_kept_and_credit_nothing(chain):
    buyer = Buyer(chain)
    phone = buyer.phone()
    chain.mpesa.force({phone: "pays_late"})
    with chain.mpesa.misbehaving(late_ms=4000):
        payment = buyer.buy(phone=phone)
        payment.wait_for("prompted")
        push = chain.mpesa.push_of(payment)
        secret = push["callback_url"].rsplit("/", 1)[1]
        checkout = push["checkout_request_id"]
        before, tokens = last_kept(chain), buyer.tokens()
        other = Buyer(chain).buy()  # whose secret is not that of the other's checkout
        other.wait_for("paid")
        others = chain.mpesa.push_of(other)["callback_url"].rsplit("/", 1)[1]
        settled = len(kept(chain, before))
        forged = [
            ("unknown_secret", "/api/payments/mpesa/callback/", callback(checkout)),
            ("unknown_secret", "/api/pay/" + "0" * 32, callback(checkout)),
            ("unknown_secret", "/api/pay/" + secret[:-1], callback(checkout)),
            ("unknown_secret", "/api/pay/" + secret + "0", callback(checkout)),
            ("unknown_secret", "/api/pay/../" + secret, callback("ws_CO_nobody")),
            ("mismatch", "/api/pay/" + others, callback(checkout)),
            ("mismatch", "/api/pay/" + secret, callback("ws_CO_other")),
            ("misread", "/api/pay/" + secret, b"<html>busy</html>"),
            ("misread", "/api/pay/" + secret, b""),
            ("misread", "/api/pay/" + secret, b"[" * 5000),
            ("misread", "/api/pay/" + secret, b"\xff\xfe\x00"),
            ("misread", "/api/pay/" + secret, {"Body": {"stkCallback": [checkout]}}),
            ("misread", "/api/pay/" + secret, callback(["x"])),
            ("unknown_secret", "/api/pay/c2b/confirmation/0123",
             {"TransID": "UFORGED002", "TransAmount": "1000.00", "BusinessShortCode": "174379",
              "BillRefNumber": payment.reference, "MSISDN": "254712345678",
              "TransTime": "20261120101500", "TransactionType": "Pay Bill"}),
            ("misread", "/api/pay/c2b/confirmation/" + C2B_TOKEN, {"TransID": "UFORGED003"}),
        ]
        # With the right secret and checkout, but of nothing that could be money.
        forged += [("odd", "/api/pay/" + secret, callback(checkout, amount=amount))
                   for amount in (0, -1000, "ten", None, "1e3", 0.001, "9" * 40)]
        forged += [("odd", "/api/pay/" + secret, callback(checkout, receipt=receipt))
                   for receipt in (None, "", "'; DROP TABLE payments", "A" * 200)]
        for verdict, path, body in forged:
            reply = post(chain, path, body)
            expect((reply.status, reply.body), (200, {"ResultCode": 0, "ResultDesc": "Accepted"}),
                   "%s %r" % (path, body))
        wait_for("all are kept", 60, lambda: len(kept(chain, before)) - settled,
                 lambda count: count == len(forged))
        expect(sorted(kept(chain, before)[settled:]), sorted(verdict for verdict, _, _ in forged),
               "what became of them")
        expect(post(chain, "/api/pay/" + secret, b"x" * 16385).status, 413, "oversize")
        expect((payment.row()["status"], buyer.tokens()), ("prompted", tokens), "not credited")
        payment.wait_for("paid")
    chain.mpesa.force({})
    expect(payment.row()["receipt"], chain.mpesa.push_of(payment)["receipt"], "the true receipt")
    expect(chain.mpesa.receipts("receipt LIKE 'UFORGED%'"), [], "receipts")


def test_amounts_and_phones_that_cannot_be(chain):
    chain.mpesa.register_c2b()
    before = last_kept(chain)
    # To the paybill: nothing of these is an amount, or one that is asked.
    payment = Buyer(chain).buy()
    payment.wait_for("paid")
    told = {"TransactionType": "Pay Bill", "TransTime": "20261120101500", "TransID": "UBAD000000",
            "BusinessShortCode": "174379", "BillRefNumber": payment.reference, "MSISDN": "2547"}
    settled = wait_for("its callback", 60, lambda: len(kept(chain, before)))
    amounts = ["0", "-1000.00", "1000.001", "1e6", "", "NaN", "1" * 30, None, [1], {"a": 1}]
    for number, amount in enumerate(amounts):
        reply = post(chain, "/api/pay/c2b/confirmation/" + C2B_TOKEN,
                     {**told, "TransID": "UBAD00000%d" % number, "TransAmount": amount})
        expect(reply.status, 200, "amount %r" % (amount,))
    wait_for("all are kept", 60, lambda: len(kept(chain, before)) - settled,
             lambda count: count == len(amounts))
    expect(set(kept(chain, before)[settled:]), {"misread"}, "what became of them")
    expect(chain.mpesa.receipts("receipt LIKE 'UBAD%'"), [], "no money")
    buyer = Buyer(chain)
    for phone, code in [("+255712345678", "phone_not_kenyan"), ("+14155550123", "unknown_country"),
                        ("0202345678", "not_mobile"), ("2547123", None), ("", "bad_field"),
                        ("254712345678" * 3, None), ("0712 34५678", None)]:
        reply = buyer.account.ask("POST", "/api/tokens/purchase/", {
            "package_type": "starter", "payment_method": "mpesa", "phone_number": phone})
        expect((reply.status, reply.body.get("field")), (422, "phone_number"), reply.body)
        check(code in (None, reply.body["code"]), reply.body)
    expect(chain.sql("SELECT count(*) AS n FROM purchases p JOIN accounts a ON a.id = p.account_id"
                     " WHERE a.slug = '%s'" % buyer.account.slug)[0]["n"], 0, "purchases")
