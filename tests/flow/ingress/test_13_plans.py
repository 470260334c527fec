"""What is sold, and what an account may do with what it has."""

from ingress_tests import check, expect, wait_for

SEND = "/api/messages/send/"
LATER = "2031-01-01T08:00:00Z"


def school(env, *plans):
    """A key of a new account that has these plans."""
    school.count = getattr(school, "count", 0) + 1
    slug = "school-%d" % school.count
    env.tumactl("account", "create", "--slug", slug, "--name", slug, "--email",
                slug + "@customers.test")
    for plan in plans:
        env.tumactl("plan", "subscribe", plan, "--account", slug)
    env.keys[slug] = env.key(slug, "send")
    return slug


def send(env, key, **options):
    return env.ask("POST", SEND, {"recipients": ["0712345678"], "message": "Term opens on Monday",
                                  "options": options}, key=key)


def refused(reply, field, says):
    expect((reply.status, reply.body["code"], reply.body.get("field")),
           (403, "feature_not_in_plan", field), "status, code, field")
    expect(reply.body["detail"], says, "detail")


def test_plans_are_listed_with_what_the_account_has(env):
    body = env.ask("GET", "/api/plans", key="read").body
    expect([(plan["code"], plan["price"], plan["tokens"], plan["valid_days"], plan["once"])
            for plan in body["plans"]],
           [("demo", "0.00", 100, 7, True), ("starter", "1000.00", 1000, 30, False),
            ("business", "4500.00", 5000, 30, False), ("enterprise", "16000.00", 20000, 30, False)],
           "plans")
    expect((body["subscriptions"], len(body["features"])), ([], 7), "of a customer by agreement")
    key = school(env, "demo", "business")
    body = env.ask("GET", "/api/plans/", key=key).body
    expect([one["plan"] for one in body["subscriptions"]], ["business", "demo"], "subscriptions")
    expect(body["features"], ["basic_sending", "delivery_reports", "analytics", "api_access",
                              "scheduled_sending"], "features")
    expect(env.ask("GET", "/api/tokens/balance", key=key).body["available"], 5100, "tokens")


def test_a_plan_without_the_api_may_look_but_not_send(env):
    key = school(env, "starter")
    api = "api_access is not in your plan; it is in business and enterprise"
    refused(send(env, key), None, api)
    for path in ("/api/communications/campaigns", "/api/integration/at/performance/"):
        refused(env.ask("GET", path, key=key), None, api)
    rows = env.ask("POST", "/api/communications/sms", "phone\n0712345678\n", key=key,
                   content_type="text/csv", title="T", messageTemplate="Hi")
    expect((rows.status, rows.body["code"]), (403, "feature_not_in_plan"), "an upload")
    expect(env.sql("SELECT count(*) FROM campaigns c JOIN accounts a ON a.id = c.account_id"
                   " WHERE a.slug = '%s'" % key), [["0"]], "campaigns")
    expect(env.ask("GET", "/api/tokens/balance/", key=key).status, 200, "the balance")


def test_times_and_lanes_are_features(env):
    key = school(env, "business")
    expect(send(env, key).status, 202, "a message")
    expect(send(env, key, scheduled_time=LATER).status, 202, "a scheduled one")
    refused(send(env, key, priority="high"), "options.priority",
            "priority_sending is not in your plan; it is in enterprise")


def test_a_plan_that_is_bought_counts_within_seconds(env):
    key = school(env, "demo")
    expect(send(env, key).status, 403, "by demo")
    env.tumactl("plan", "subscribe", "enterprise", "--account", key)
    wait_for("the new plan", 15, lambda: send(env, key, priority="high").status == 202)


def test_what_an_operator_changes_holds_at_once(env):
    key = school(env, "business")
    said = env.tumactl("plan", "set", "business", "--features", "basic_sending", "--price", "1.50")
    try:
        check("KES 1.50" in said and "scheduled_sending" not in said, said)
        wait_for("the change", 15, lambda: send(env, key).status == 403)
        refused(send(env, key), None, "api_access is not in your plan; it is in enterprise")
    finally:
        env.tumactl("plan", "set", "business", "--price", "4500", "--features",
                    "basic_sending,delivery_reports,analytics,api_access,scheduled_sending")
