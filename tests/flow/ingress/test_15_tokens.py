"""Tokens: balance, transfers, history, receipts, usage and insights."""

import csv
import io
import re

from ingress_tests import check, expect, row_id

TRANSFER = "/api/tokens/transfer/"
HISTORY = "/api/tokens/history"
USAGE = "/api/tokens/usage"
INSIGHTS = "/api/tokens/insights"


def shop(env, tokens=0, name=None):
    """An account of its own with a key for everything; returns its slug, which names the key."""
    shop.count = getattr(shop, "count", 0) + 1
    slug = "shop-%d" % shop.count
    env.tumactl("account", "create", "--slug", slug, "--name", name or slug, "--email",
                slug + "@customers.test")
    if tokens:
        env.tumactl("tokens", "add", "--account", slug, "--tokens", str(tokens), "--reference",
                    "TKN-" + slug)
    env.keys[slug] = env.key(slug, "admin")
    return slug


def give(env, key, to, tokens, reason=None, again=None, **named):
    body = {"to": to, "tokens": tokens}
    if reason is not None:
        body["reason"] = reason
    return env.ask("POST", TRANSFER, body, key=key,
                   headers={"Idempotency-Key": again} if again else None, **named)


def refused(env, field, code, says, key, body, status=422, **named):
    reply = env.refused(status, code, field, "POST", TRANSFER, body, key=key, **named)
    check(says in reply.body["detail"], reply.body["detail"])


def account_id(env, slug):
    return int(env.sql("SELECT id FROM accounts WHERE slug = '%s'" % slug)[0][0])


def entries(env, key, **arguments):
    return env.ask("GET", HISTORY, key=key, **arguments).body["entries"]


def test_the_balance_has_lots_and_subscriptions(env):
    key = shop(env)
    env.tumactl("tokens", "add", "--account", key, "--tokens", "50", "--reference", "TKN-late")
    env.tumactl("tokens", "add", "--account", key, "--tokens", "70", "--reference", "TKN-soon",
                "--expires", "2031-01-01T00:00:00Z")
    env.tumactl("plan", "subscribe", "demo", "--account", key, "--reference", "TRY")
    body = env.ask("GET", "/api/tokens/balance/", key=key).body
    expect([(lot["reference"], lot["granted"], lot["available"], lot["expires_at"] is None)
            for lot in body["lots"]],
           [("TRY", 100, 100, False), ("TKN-soon", 70, 70, False), ("TKN-late", 50, 50, True)],
           "lots in the order of spending")
    expect(body["lots"][1]["expires_at"], "2031-01-01T00:00:00.000Z", "expiry")
    expect([(one["plan"], one["reference"], one["tokens"]) for one in body["subscriptions"]],
           [("demo", "TRY", 100)], "subscriptions")
    expect(body["available"], 220, "available")


def test_a_transfer_moves_tokens_and_both_see_it(env):
    giver, taker = shop(env, 1000), shop(env)
    done = give(env, giver, taker + "@customers.test", 300, "for the fair").body
    check(re.fullmatch(r"TRF-\d{12}", done["reference"]), done["reference"])
    expect((done["available"], done["entry"]["tokens"], done["entry"]["change"]), (700, 300, -300),
           "what the giver sees")
    [sent] = entries(env, giver, kind="transfer")
    [got] = entries(env, taker)
    expect(sent, done["entry"], "the giver's history")
    expect((sent["peer"], got["peer"], got["change"]), (taker, giver, 300), "the other side")
    expect({(one["reference"], one["reason"], one["actor"]) for one in (sent, got)},
           {(done["reference"], "for the fair",
             "API key %s…" % env.keys[giver][:len(sent["actor"]) - 9])}, "what both see")
    expect(env.ask("GET", "/api/tokens/balance", key=taker).body["available"], 300, "received")
    expect(env.sql("SELECT tokens, reason FROM untold_transfers WHERE reference = '%s'"
                   % done["reference"]), [["300", "for the fair"]], "to be told")
    expect(give(env, taker, giver, 1).body["available"], 299, "by its name, and back")


def test_a_transfer_that_is_repeated_moves_nothing_more(env):
    giver, taker = shop(env, 1000), shop(env)
    first = give(env, giver, taker, 300, again="one")
    again = give(env, giver, taker, 300, again="one")
    expect((again.status, again.body), (200, first.body), "the answer")
    env.refused(422, "idempotency_key_reused", "Idempotency-Key", "POST", TRANSFER,
                {"to": taker, "tokens": 301}, key=giver, headers={"Idempotency-Key": "one"})
    # The answer was lost before it was stored: the note of what was made is found.
    env.sql("UPDATE idempotency_keys SET status = NULL, body = '%s', created_at = now() - interval '1 hour'"
            " WHERE key = 'one' AND account_id = %d"
            % (first.body["reference"], account_id(env, giver)))
    expect(give(env, giver, taker, 300, again="one").body, first.body, "run again")
    expect(env.ask("GET", "/api/tokens/balance", key=giver).body["available"], 700, "left")


def test_bad_transfers_are_refused_with_the_reason(env):
    giver, taker = shop(env, 1000), shop(env)

    def bad(field, code, says, tokens=10, to=taker, **more):
        refused(env, field, code, says, giver, {"to": to, "tokens": tokens, **more})

    bad("tokens", "bad_field", "1", tokens=0)
    bad("tokens", "bad_field", "1", tokens=-5)
    bad("tokens", "bad_field", "integer", tokens=1.5)
    bad("tokens", "bad_field", "integer", tokens="10")
    bad("tokens", "bad_field", "1000000000000", tokens=1000000000001)
    bad("tokens", "tokens_missing", "1000 tokens are available, 1 are missing; transfer fewer",
        tokens=1001)
    bad("to", "transfer_to_self", "itself; name another", to=giver + "@customers.test")
    bad("to", "account_unknown", "no account has this", to="nobody@customers.test")
    bad("to", "bad_field", "", to="")
    bad("reason", "bad_field", "200", reason="x" * 201)
    bad("note", "unknown_field", "no such field", note="x")
    refused(env, "tokens", "bad_field", "", giver, {"to": taker})
    huge = '{"to": "%s", "tokens": 1%s}' % (taker, "0" * 40)
    reply = env.ask("POST", TRANSFER, huge, key=giver)
    check(reply.status in (400, 422), "a number with 41 digits: %r" % (reply,))
    expect(env.ask("POST", TRANSFER, "{", key=giver).status, 400, "half a document")
    for status in ("suspended", "closed"):
        env.sql("UPDATE accounts SET status = '%s' WHERE slug = '%s'" % (status, taker))
        bad("to", "account_inactive", "the receiving account is " + status)
    env.keys["shop-reader"] = env.key(giver, "send")
    env.refused(403, "scope_missing", None, "POST", TRANSFER, {"to": taker, "tokens": 1},
                key="shop-reader")
    expect(env.ask("GET", "/api/tokens/balance", key=giver).body["available"], 1000, "still there")


def test_transfers_have_limits(env):
    giver, taker = shop(env, 1000), shop(env)
    port = env.ingress("limits", TOKENS_TRANSFER_MAX="100", TOKENS_TRANSFER_DAILY_MAX="150").port
    body = {"to": taker, "tokens": 101}
    refused(env, "tokens", "transfer_limit", "a transfer may have 100; make it several", giver, body,
            port=port)
    expect(give(env, giver, taker, 100, port=port).status, 200, "as many as may be")
    body["tokens"] = 51
    refused(env, "tokens", "daily_limit", "they may be 150", giver, body, port=port)
    expect(give(env, giver, taker, 50, port=port).body["available"], 850, "the rest of the day")


def test_history_has_pages_and_filters(env):
    key, other = shop(env, 100), shop(env)
    for _ in range(4):
        give(env, key, other, 1)
    everything = entries(env, key)
    expect([one["position"] for one in everything], [5, 4, 3, 2, 1], "newest first")
    first = env.ask("GET", HISTORY, key=key, limit=2).body
    second = env.ask("GET", HISTORY, key=key, limit=2, cursor=first["next"]).body
    third = env.ask("GET", HISTORY, key=key, limit=2, cursor=second["next"]).body
    expect(first["entries"] + second["entries"] + third["entries"], everything, "pages")
    expect(third["next"], None, "the end")
    expect([one["kind"] for one in entries(env, key, kind="grant")], ["grant"], "by kind")
    expect(entries(env, key, to=everything[1]["at"], **{"from": everything[3]["at"]})[-1]["position"],
           2, "by time")
    expect(entries(env, key, to="2026-01-01"), [], "before all")
    expect(len(entries(env, key, **{"from": "2026-01-01"})), 5, "since long ago")
    for field, code, value in (("kind", "bad_filter", "gift"), ("from", "bad_time", "yesterday"),
                               ("to", "bad_time", "2026-13-01"), ("limit", "bad_limit", "0"),
                               ("cursor", "bad_cursor", "x"), ("format", "bad_format", "xml"),
                               ("page", "unknown_argument", "2")):
        env.refused(400, code, field, "GET", HISTORY, key=key, **{field: value})
    env.refused(400, "bad_time", "to", "GET", HISTORY, key=key, to="2026-01-01",
                **{"from": "2026-01-02"})


def test_history_as_csv_is_whole_and_no_formula(env):
    key, other = shop(env, 100), shop(env)
    for reason in ('=HYPERLINK("http://x")', "+1", "-1", "@x", "\tx", 'a "b", c', "plain"):
        give(env, key, other, 1, reason)
    env.sql("INSERT INTO ledger_entries (account_id, kind, debit, credit, amount, reference)"
            " SELECT %d, 'hold', 'available', 'reserved', 1, 'many ' || n"
            " FROM generate_series(1, 2500) n" % account_id(env, key))
    reply = env.ask("GET", HISTORY, key=key, headers={"Accept": "text/csv"})
    check("tokens.csv" in reply.headers["Content-Disposition"], "its name")
    rows = list(csv.DictReader(io.StringIO(reply.body.decode(), newline="")))
    expect([int(row["position"]) for row in rows], list(range(2508, 0, -1)), "every entry once")
    expect([row["reason"] for row in rows[-8:]],
           ["plain", 'a "b", c', "'\tx", "'@x", "'-1", "'+1", "'=HYPERLINK(\"http://x\")", ""],
           "reasons")
    expect((rows[-2]["tokens"], rows[-2]["available_change"], rows[-2]["peer"]), ("1", "-1", other),
           "numbers are numbers")
    only = env.ask("GET", HISTORY, key=key, format="csv", kind="grant").body.decode().splitlines()
    expect(len(only), 2, "a filter and its heading")
    same = env.tumactl("tokens", "history", "--account", key, "--csv", "--kind", "transfer")
    expect(same.splitlines(),
           env.ask("GET", HISTORY, key=key, format="csv", kind="transfer").body.decode().splitlines(),
           "as tumactl says it")


def test_every_operation_has_a_receipt(env):
    key, other = shop(env, 100, name="Shop <b>& Sons"), shop(env)
    reference = give(env, key, other, 7, "<i>rent</i>").body["reference"]
    body = env.ask("GET", "/api/tokens/receipts/" + reference, key=key).body
    expect((body["customer"], body["entries"]), ("Shop <b>& Sons", entries(env, key, kind="transfer")),
           "as JSON")
    page = env.ask("GET", "/api/tokens/receipts/" + reference, key=key,
                   headers={"Accept": "text/html,application/json;q=0.9"})
    expect(page.headers["Content-Type"], "text/html; charset=utf-8", "type")
    text = page.body.decode()
    for words in ("Shop &lt;b&gt;&amp; Sons", "&lt;i&gt;rent", "Tokens given", reference, other):
        check(words in text, "no %s in %s" % (words, text))
    check("<i>" not in text and "<script" not in text, text)
    grant = env.ask("GET", "/api/tokens/receipts/TKN-%s/" % key, key=key).body
    expect([one["kind"] for one in grant["entries"]], ["grant"], "of tokens added")
    expect(env.ask("GET", "/api/tokens/receipts/" + reference, key=other).body["entries"][0]["change"],
           7, "the other side's")
    env.refused(404, "reference_unknown", "reference", "GET", "/api/tokens/receipts/TKN-" + key,
                key=other)


def campaign(env, slug, number, days_ago, tokens, refunded=0, text=None, just_over=0, invalid=0):
    """A campaign that is over: one batch, everything captured that many days ago."""
    account = account_id(env, slug)
    at = "now() - interval '%d days'" % days_ago
    [[name]] = env.sql("SELECT id_floor(%s) + %d" % (at, 1000 * account % 1000003 + number))
    body = "NULL" if text is None else "'%s'" % text
    env.sql(
        "INSERT INTO campaigns (id, account_id, reference, status, title, message_template, text,"
        "  country, created_at, started_at, planned, rows_received, last_seq, segments, just_over,"
        "  invalid) VALUES (%(id)s, %(account)d, 'c%(number)d', 'completed', 'No %(number)d', 'x',"
        "  %(text)s, 'KE', %(at)s, %(at)s, %(n)d, %(n)d + %(invalid)d, %(n)d, %(n)d, %(over)d,"
        "  %(invalid)d);"
        "INSERT INTO batches (campaign_id, batch, first_seq, last_seq, origin, claimed_seq,"
        "  recorded_seq, done_at, settled_at, delivered, captured, started_at)"
        " VALUES (%(id)s, 1, 1, %(n)d, 'x', %(n)d, %(n)d, %(at)s, %(at)s, %(n)d, %(n)d, %(at)s);"
        "INSERT INTO token_holds (id, account_id, amount, captured, refunded)"
        " VALUES (%(id)s, %(account)d, %(n)d, %(n)d, %(back)d);"
        "INSERT INTO ledger_entries (account_id, kind, debit, credit, amount, reference, hold_id,"
        "  created_at) SELECT %(account)d, kind, debit, credit, amount, '%(id)s', %(id)s, %(at)s"
        "  FROM (VALUES ('hold', 'available', 'reserved', %(n)d),"
        "  ('capture', 'reserved', 'spent', %(n)d), ('refund', 'spent', 'available', %(back)d))"
        "  v (kind, debit, credit, amount) WHERE amount > 0;"
        "UPDATE token_balances SET available = available - %(n)d + %(back)d,"
        "  spent = spent + %(n)d - %(back)d WHERE account_id = %(account)d;"
        "UPDATE token_lots SET available = available - %(n)d + %(back)d WHERE account_id = %(account)d"
        % {"id": name, "account": account, "number": number, "at": at, "text": body, "n": tokens,
           "over": just_over, "invalid": invalid, "back": refunded})
    return int(name)


def test_usage_is_by_day_campaign_channel_and_network(env):
    key = shop(env, 10000)
    first = campaign(env, key, 1, 2, 40)
    second = campaign(env, key, 2, 0, 100, refunded=10)
    campaign(env, key, 3, 5, 7)
    account = account_id(env, key)
    env.sql("INSERT INTO network_usage VALUES (%d, current_date, %d, 63902, 90, 95, 80, 10, 12),"
            " (%d, current_date, %d, 0, 5, 5, 0, 0, 0)" % (account, second, account, second))
    body = env.ask("GET", USAGE, key=key, days=3).body
    sums = lambda one: (one["tokens"], one["refunded"], one["segments"], one["recipients"])
    expect([sums(day) for day in body["days"]], [(40, 0, 40, 40), (0, 0, 0, 0), (100, 10, 100, 100)],
           "days")
    expect(sums(body["total"]), (140, 10, 140, 140), "total")
    expect([(row_id(one["id"]), one["title"], sums(one)) for one in body["campaigns"]],
           [(second, "No 2", (100, 10, 100, 100)), (first, "No 1", (40, 0, 40, 40))], "campaigns")
    expect([(one["channel"], one["campaigns"], sums(one)) for one in body["channels"]],
           [("sms", 2, (140, 10, 140, 140))], "channels")
    expect([(one["code"], one["network"] is not None, one["tokens"], one["failed_tokens"])
            for one in body["networks"]], [("63902", True, 95, 12), (None, False, 5, 0)], "networks")
    expect(body["tokens_not_counted_yet"], 40, "of the campaign that nobody counted")
    more = env.ask("GET", USAGE, key=key, top=1).body
    expect((len(more["days"]), len(more["campaigns"]), more["campaigns_used"],
            more["total"]["tokens"]), (30, 1, 3, 147), "the default, and a limit")
    expect(len(env.ask("GET", USAGE, key=key, days=366).body["days"]), 366, "a leap year")
    expect(env.ask("GET", USAGE, key=shop(env)).body["total"]["tokens"], 0, "another's are none")
    for name, code, values in (("days", "bad_days", ("0", "367", "-1", "1.5", "x", "")),
                               ("top", "bad_top", ("0", "101"))):
        for value in values:
            env.refused(400, code, name, "GET", USAGE, key=key, **{name: value})


def test_insights_have_the_numbers_they_come_from(env):
    key = shop(env)
    env.tumactl("plan", "subscribe", "starter", "--account", key, "--reference", "BUY-1")
    env.tumactl("tokens", "add", "--account", key, "--tokens", "8000", "--reference", "TKN-more")
    env.sql("UPDATE token_lots SET expires_at = now() + interval '10 days' WHERE reference = 'BUY-1'"
            " AND account_id = %d" % account_id(env, key))
    none = env.ask("GET", INSIGHTS, key=key).body
    expect((none["last_7_days"]["tokens"], none["last_7_days"]["days_left"], none["plan"]["better"]),
           (0, None, None), "without use")
    expect(none["plan"]["why"], "no tokens were used within 30 days", "why")
    env.refused(400, "unknown_argument", "days", "GET", INSIGHTS, key=key, days=7)
    user = shop(env)
    env.tumactl("plan", "subscribe", "starter", "--account", user, "--reference", "BUY-2")
    env.tumactl("tokens", "add", "--account", user, "--tokens", "9000", "--reference", "TKN-u")
    text = "x" * 165
    used = campaign(env, user, 1, 0, 600, text=text, just_over=300, invalid=4)
    env.sql("INSERT INTO network_usage VALUES (%d, current_date, %d, 63902, 300, 600, 290, 10, 20)"
            % (account_id(env, user), used))
    body = env.ask("GET", INSIGHTS, key=user).body
    expect(body["last_30_days"], {"window_days": 30, "days": 1, "tokens": 600,
                                  "tokens_per_day": 600.0, "days_left": 15.6}, "the rate")
    expect((body["plan"]["current"]["code"], body["plan"]["current"]["purchases_in_30_days"],
            body["plan"]["better"]["code"], body["plan"]["better"]["cost_of_30_days"]),
           ("starter", 18, "enterprise", "16000.00"), "the plan")
    check("1 of enterprise, KES 16000.00" in body["plan"]["why"], body["plan"]["why"])
    waste = body["waste"]
    expect((waste["invalid_numbers"]["rows"], waste["failed_numbers"]), (
        4, {"recipients": 10, "tokens": 20}), "waste")
    [worst] = waste["just_over_a_segment"]["worst"]
    expect((row_id(worst["id"]), worst["tokens_saved"], worst["encoding"], worst["units"],
            worst["units_over"], worst["segments"]), (used, 300, "gsm7", 165, 5, 2), "a text")
    expect(waste["just_over_a_segment"]["tokens"], 300, "saved")
