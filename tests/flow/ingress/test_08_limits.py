"""Requests a second."""

from ingress_tests import CALLBACK, check, expect


def statuses(env, count, **named):
    return [env.ask("GET", "/api/tokens/balance/", **named) for _ in range(count)]


def test_per_key(env):
    ingress = env.ingress("per-key", HTTP_RATE_PER_KEY="5")
    replies = statuses(env, 30, key="read", port=ingress.port)
    refused = [reply for reply in replies if reply.status == 429]
    check(refused and replies[0].status == 200, "%r" % [reply.status for reply in replies])
    expect(refused[0].body["code"], "rate_per_key", "code")
    check(int(refused[0].headers["Retry-After"]) >= 1, "Retry-After")
    expect(env.ask("GET", "/api/tokens/balance/", key="send", port=ingress.port).status, 200,
           "another key")
    ingress.stop()


def test_per_address_and_not_for_callbacks(env):
    ingress = env.ingress("per-address", HTTP_RATE_PER_ADDRESS="5", HTTP_TRUSTED_PROXY="127.0.0.1")
    replies = statuses(env, 30, key="wrong", port=ingress.port)
    refused = [reply for reply in replies if reply.status == 429]
    check(refused, "%r" % [reply.status for reply in replies])
    expect(refused[0].body["code"], "rate_per_address", "code")
    for _ in range(30):
        expect(env.callback(CALLBACK, port=ingress.port).status, 200, "callback")
        expect(env.ask("GET", "/healthz", key=None, port=ingress.port).status, 200, "healthz")
    expect(env.ask("GET", "/api/tokens/balance/", port=ingress.port,
                   headers={"X-Forwarded-For": "10.0.0.9, 192.0.2.7"}).status, 200, "another client")
    ingress.stop()


def test_forwarded_for_is_believed_of_the_proxy_only(env):
    ingress = env.ingress("no-proxy", HTTP_RATE_PER_ADDRESS="5")
    replies = [env.ask("GET", "/api/tokens/balance/", port=ingress.port,
                       headers={"X-Forwarded-For": "192.0.2.%d" % i}) for i in range(30)]
    check(any(reply.status == 429 for reply in replies), "made-up addresses are one")
    ingress.stop()
