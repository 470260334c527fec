"""Keys, scopes, expiry."""

from ingress_tests import expect, wait_for

BALANCE = "/api/tokens/balance/"


def test_no_key_and_wrong_keys_are_401(env):
    env.refused(401, "key_missing", "Authorization", "GET", BALANCE, key=None)
    env.refused(401, "key_missing", "Authorization", "GET", BALANCE, key=None,
                headers={"Authorization": "Basic YWNtZTphY21l"})
    env.refused(401, "key_missing", "Authorization", "GET", BALANCE, key=None,
                headers={"Authorization": "Bearer two words"})
    reply = env.refused(401, "key_unknown", "Authorization", "GET", BALANCE, key="tk_nonsense")
    expect(reply.headers["WWW-Authenticate"], "Bearer", "WWW-Authenticate")
    env.refused(401, "key_unknown", "Authorization", "GET", BALANCE,
                key="revoked")
    env.refused(401, "key_expired", "Authorization", "GET", BALANCE, key="old")


def test_scopes(env):
    for key in ("read", "send", "admin"):
        expect(env.ask("GET", BALANCE, key=key).status, 200, "balance for " + key)
    env.refused(403, "scope_missing", None, "POST", "/api/communications/sms", {}, key="read")
    env.refused(403, "scope_missing", None, "GET", "/api/integration/at/balance/", key="send")


def test_a_revoked_key_stops_within_seconds(env):
    key = env.key("acme", "read")
    expect(env.ask("GET", BALANCE, key=key).status, 200, "before")
    env.sql("UPDATE api_keys SET revoked_at = now() WHERE prefix = left('%s', length(prefix))" % key)
    wait_for("the key is refused", 8, lambda: env.ask("GET", BALANCE, key=key).status == 401)


def test_another_account_sees_nothing(env):
    made = env.sms().body["id"]
    for what in ("", "/recipients", "/rejects", "/stats", "/events"):
        env.refused(404, "campaign_unknown", "id", "GET",
                    "/api/communications/campaigns/%s%s" % (made, what), key="beta")
    for verb in ("launch", "pause", "resume", "cancel"):
        env.refused(404, "campaign_unknown", "id", "POST",
                    "/api/communications/campaigns/%s/%s" % (made, verb), key="beta")
    expect(env.ask("GET", "/api/communications/campaigns", key="beta").body["campaigns"], [], "list")
