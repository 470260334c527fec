"""What is read back: states, exports, figures, events."""

import csv
import http.client
import io
import json

from ingress_tests import check, expect, row_id, wait_for

STATES = ["pending", "sending", "in_doubt", "sent", "delivered", "failed", "expired", "suppressed",
          "cancelled"]


def sent_campaign(env, recipients=40):
    """A campaign in the middle of things: rows as the stages would have left them."""
    made = env.sms()
    name = made.body["id"]
    number = row_id(name)
    env.sql("""
        UPDATE campaigns SET status = 'sending', planned = %(n)d, rows_received = %(n)d + 2, invalid = 1,
               duplicates = 1, segments = %(n)d, text = 'Hello', last_seq = %(n)d + 2, next_batch = 2,
               started_at = now() - interval '10 s' WHERE id = %(id)d;
        INSERT INTO recipients (campaign_id, msisdn, seq, segments, state, network, cost_e4, currency,
                                sent_at, final_at, provider_id, reason)
        SELECT %(id)d, 254700000000 + i, i, 1, CASE i %% 4 WHEN 0 THEN 3 WHEN 1 THEN 4 WHEN 2 THEN 4 ELSE 5 END,
               CASE WHEN i %% 2 = 0 THEN 63902 ELSE 63903 END, 8000, 'KES', now() - interval '5 s',
               CASE WHEN i %% 4 > 0 THEN now() - interval '3 s' END, 'ATXid_' || i,
               CASE WHEN i %% 4 = 3 THEN '=HYPERLINK("x"),y' END
          FROM generate_series(1, %(n)d) AS i;
        INSERT INTO batches (campaign_id, batch, first_seq, last_seq, origin, claimed_seq, recorded_seq,
                             sent, delivered, failed, captured, cost_e4)
        VALUES (%(id)d, 1, 1, %(n)d, 'x', %(n)d, %(n)d, %(n)d / 4, %(n)d / 2, %(n)d / 4, %(n)d, 8000 * %(n)d);
        INSERT INTO campaign_rejects (campaign_id, seq, phone, reason)
        VALUES (%(id)d, %(n)d + 1, '12', 'too_short'), (%(id)d, %(n)d + 2, '', 'empty');
        """ % {"n": recipients, "id": number})
    return name


def pages(env, path, what, **arguments):
    found, cursor, count = [], None, 0
    while True:
        if cursor:
            arguments["cursor"] = cursor
        body = env.ask("GET", path, key="read", **arguments).body
        found += body[what]
        count += 1
        cursor = body["next"]
        if cursor is None:
            return found, count


def test_lists_go_on_where_they_ended(env):
    name = sent_campaign(env)
    path = "/api/communications/campaigns/%s/" % name
    rows, count = pages(env, path + "recipients", "recipients", limit=7)
    expect(([row["row"] for row in rows], count), (list(range(1, 41)), 6), "recipients")
    expect((rows[1]["network"], rows[1]["cost"], rows[1]["state"]),
           ("Safaricom Kenya", "0.8000", "delivered"), "one of them")
    failed, _ = pages(env, path + "recipients", "recipients", state="failed")
    expect((len(failed), failed[0]["reason"]), (10, '=HYPERLINK("x"),y'), "failed ones")
    rejects, count = pages(env, path + "rejects", "rejects", limit=1)
    expect([(row["phone"], row["reason"]) for row in rejects], [("12", "too_short"), (None, "empty")],
           "rejects")
    status = env.ask("GET", "/api/messages/%s/status/" % name, key="read", limit=3).body
    expect((len(status["recipients"]), status["counts"]["delivered"]), (3, 20), "status")


def test_campaigns_are_listed_filtered_and_sorted(env):
    path = "/api/communications/campaigns"
    sent_campaign(env)
    env.ask("POST", "/api/messages/send", {"message": "x", "recipients": ["0712345678"]})
    everything, _ = pages(env, path, "campaigns", limit=5)
    ids = [row["id"].split("_")[1] for row in everything]
    expect(ids, sorted(ids, reverse=True), "newest first")
    oldest, _ = pages(env, path, "campaigns", limit=1000, sort="created")
    expect([row["id"].split("_")[1] for row in oldest], sorted(ids), "oldest first")
    sending, _ = pages(env, path, "campaigns", status="sending", type="sms", kind="campaign")
    check(sending and all(row["status"] == "sending" for row in sending), "by status")
    expect(pages(env, path, "campaigns", type="voice")[0], [], "by type")
    messages, _ = pages(env, path, "campaigns", kind="message")
    check(messages and all(row["id"].startswith("msg_") for row in messages), "by kind")


def test_the_export_is_csv_and_no_formula(env):
    name = sent_campaign(env, 8000)
    path = "/api/communications/campaigns/%s/recipients" % name
    reply = env.ask("GET", path, key="read", headers={"Accept": "text/csv"})
    check(name in reply.headers["Content-Disposition"], "file name")
    rows = list(csv.DictReader(io.StringIO(reply.body.decode())))
    expect([int(row["row"]) for row in rows], list(range(1, 8001)), "all rows")
    expect(rows[2]["reason"], '\'=HYPERLINK("x"),y', "an escaped formula")
    expect(rows[0]["phone"], "254700000001", "phone")
    reply = env.ask("GET", path, key="read", format="csv", state="failed")
    expect(len(reply.body.decode().splitlines()), 2001, "with a filter")
    empty = env.sms().body["id"]
    reply = env.ask("GET", "/api/communications/campaigns/%s/recipients" % empty, format="csv")
    expect(len(reply.body.decode().splitlines()), 1, "of nothing: the heading")


def test_stats(env):
    name = sent_campaign(env)
    for path in ("/api/campaigns/%s/stats/", "/api/communications/campaigns/%s/stats"):
        body = env.ask("GET", path % name, key="read").body
        expect((body["deliveryRate"], body["failureRate"], body["progress"]), (0.6666, 0.3333, 1.0),
               "rates")
        expect((body["cost"], body["currency"], body["averageLatencyMs"]), ("32.0000",
               "KES", 2000), "cost and latency")
        expect(sum(row["delivered"] for row in body["networks"]), 20, "by network")
        expect(body["counts"]["planned"], sum(body["counts"][camel(state)] for state in STATES),
               "counts add up")


def camel(word):
    return "inDoubt" if word == "in_doubt" else word


def test_balances_and_performance(env):
    env.tumactl("tokens", "add", "--account", "acme", "--tokens", "1000", "--reference", "TKN-1")
    body = env.ask("GET", "/api/tokens/balance/", key="read").body
    expect((body["granted"], body["available"], body["account"]), (1000, 1000, "acme"), "tokens")
    body = env.ask("GET", "/api/integration/at/balance/").body
    expect((body["balance"], body["currency"]), ("1785.5000", "KES"), "the provider's")
    body = env.ask("GET", "/api/integration/at/performance/").body
    check(body["delivered"] > 0 and 0.66 < body["delivery_rate"] < 0.67, "delivery rate %r" % body)
    check(1900 < body["average_latency_ms"] < 2100, "latency")
    expect(body["credit_balance"]["balance"], "1785.5000", "credit")
    expect(env.ask("GET", "/api/integration/at/performance/", key="read", hours=1).body["credit_balance"],
           None, "credit without admin")


def read_event(answer):
    event = {}
    while True:
        line = answer.readline().decode().rstrip("\n")
        if not line and event:
            return event
        if line.startswith(":") or not line:
            continue
        name, value = line.split(": ", 1)
        event[name] = value


def test_events_tell_changes_and_end(env):
    name = sent_campaign(env)
    number = row_id(name)
    for path in ("/api/campaigns/%s/events", "/api/communications/campaigns/%s/events"):
        env.sql("UPDATE campaigns SET status = 'sending' WHERE id = %d" % number)
        connection = http.client.HTTPConnection("127.0.0.1", env.main.port, timeout=10)
        connection.request("GET", path % name, headers={"Authorization": "Bearer " + env.keys["read"]})
        answer = connection.getresponse()
        expect((answer.status, answer.headers["Content-Type"]), (200, "text/event-stream"), "answer")
        event = read_event(answer)
        data = json.loads(event["data"])
        env.contract.validate({"$ref": "#/components/schemas/Progress"}, data)
        expect((event["event"], data["counts"]["delivered"]), ("progress", 20), "the first")
        env.sql("UPDATE batches SET delivered = delivered + 1, sent = sent - 1 WHERE campaign_id = %d"
                % number)
        event = read_event(answer)
        expect(json.loads(event["data"])["counts"]["delivered"], 21, "the change")
        env.sql("UPDATE batches SET delivered = delivered - 1, sent = sent + 1 WHERE campaign_id = %d"
                % number)
        env.sql("UPDATE campaigns SET status = 'completed' WHERE id = %d" % number)
        event = read_event(answer)
        while event["event"] == "progress":
            event = read_event(answer)
        expect((event["event"], json.loads(event["data"])["status"]), ("final", "completed"), "the last")
        expect(answer.read(), b"", "the end")
        env.contract.seen.add(("GET", path.replace("%s", "{id}")))


def test_health(env):
    expect(env.ask("GET", "/healthz", key=None).body, {"status": "ok"}, "healthz")
    expect(env.ask("GET", "/readyz", key=None).body, {"status": "ok"}, "readyz")
    text = env.ask("GET", "/metrics", key=None).body.decode()
    check("tuma_ingress_requests_total{" in text, "metrics")
    check('tuma_ingress_callbacks_total{made="report",kept="yes"}' in text, "callbacks")
    connection = http.client.HTTPConnection("127.0.0.1", env.main.port, timeout=10)
    connection.request("HEAD", "/healthz")
    expect(connection.getresponse().status, 200, "HEAD")


def test_a_stream_that_is_left_is_forgotten(env):
    name = sent_campaign(env)

    for _ in range(5):
        connection = http.client.HTTPConnection("127.0.0.1", env.main.port, timeout=10)
        connection.request("GET", "/api/campaigns/%s/events" % name,
                           headers={"Authorization": "Bearer " + env.keys["read"]})
        connection.getresponse().readline()
        connection.close()
        env.sql("UPDATE batches SET cost_e4 = cost_e4 + 1 WHERE campaign_id = %d" % row_id(name))
    wait_for("the ingress answers", 5, lambda: env.ask("GET", "/readyz", key=None).status == 200)
