"""Alerts: what an account may see of its own, page by page."""

from ingress_tests import expect

ALERTS = "/api/tokens/alerts"


def raise_alerts(env):
    """Three of acme's, one of another account and one for operators."""
    env.tumactl("account", "create", "--slug", "alerted", "--name", "Alerted", "--email",
                "alerted@customers.test")
    env.keys["alerted"] = env.key("alerted", "read")
    env.sql("INSERT INTO alerts (id, account_id, kind, day, value, threshold, expires_at, currency,"
            "                    created_at)"
            " SELECT x.id, a.id, kind, x.day::date, value, threshold, expires_at::timestamptz,"
            "        currency, now()"
            "   FROM (VALUES (101, 'alerted', 'low_balance', '2026-11-01', 37, 50, NULL, NULL),"
            "                (102, 'alerted', 'lot_expiring', '2026-11-02', 20, NULL,"
            "                 '2026-11-05T00:00:00Z', NULL),"
            "                (103, 'alerted', 'unusual_spend', '2026-11-02', 9000, 1000, NULL, NULL),"
            "                (104, 'acme', 'low_balance', '2026-11-02', 1, 50, NULL, NULL),"
            "                (105, NULL, 'provider_credit_low', '2026-11-02', 10000, 20000, NULL,"
            "                 'KES')) x(id, slug, kind, day, value, threshold, expires_at, currency)"
            "   LEFT JOIN accounts a ON a.slug = x.slug")


def test_an_account_sees_its_own_alerts_and_no_others(env):
    raise_alerts(env)
    body = env.ask("GET", ALERTS + "/", key="alerted").body
    expect([(one["kind"], one["detail"]) for one in body["alerts"]],
           [("unusual_spend", "9000 tokens were spent today, more than 1000"),
            ("lot_expiring", "20 tokens expire soon, the first at 2026-11-05T00:00:00.000Z"),
            ("low_balance", "37 tokens are left, fewer than 50")], "alerts")
    expect((body["alerts"][1]["expires_at"], body["alerts"][1]["threshold"], body["next"]),
           ("2026-11-05T00:00:00.000Z", 0, None), "expires_at, threshold, next")


def test_alerts_come_page_by_page_and_by_kind(env):
    page = env.ask("GET", ALERTS, key="alerted", limit=2).body
    expect(len(page["alerts"]), 2, "the first page")
    rest = env.ask("GET", ALERTS, key="alerted", limit=2, cursor=page["next"]).body
    expect(([one["kind"] for one in rest["alerts"]], rest["next"]), (["low_balance"], None), "rest")
    one = env.ask("GET", ALERTS, key="alerted", kind="lot_expiring").body["alerts"]
    expect([alert["value"] for alert in one], [20], "of one kind")
    expect(env.ask("GET", ALERTS, key="alerted", kind="provider_credit_low").body["alerts"], [],
           "those for operators")


def test_bad_questions_are_refused(env):
    for words, code, field in (({"kind": "low"}, "bad_filter", "kind"),
                               ({"limit": 0}, "bad_limit", "limit"),
                               ({"cursor": "x"}, "bad_cursor", "cursor"),
                               ({"days": 7}, "unknown_argument", "days")):
        reply = env.ask("GET", ALERTS, key="alerted", **words)
        expect((reply.status, reply.body["code"], reply.body.get("field")), (400, code, field),
               "refusal of %r" % words)


def test_an_account_says_when_its_balance_is_low(env):
    env.keys["alerted-admin"] = env.key("alerted", "admin")
    path = ALERTS + "/settings"
    reply = env.ask("POST", path + "/", {"low_balance": 700}, key="alerted-admin")
    expect((reply.status, reply.body), (200, {"low_balance": 700}), "set")
    expect(env.sql("SELECT low_balance FROM accounts WHERE slug = 'alerted'"), [["700"]], "kept")
    for body, field in (({"low_balance": -1}, "low_balance"), ({"low_balance": 1.5}, "low_balance"),
                        ({"low_balance": 10 ** 13}, "low_balance"), ({}, "low_balance"),
                        ({"low_balance": 1, "low": 2}, "low")):
        reply = env.ask("POST", path, body, key="alerted-admin")
        expect((reply.status, reply.body["field"]), (422, field), body)
    expect(env.ask("POST", path, {"low_balance": 1}, key="alerted").status, 403, "may only read")
