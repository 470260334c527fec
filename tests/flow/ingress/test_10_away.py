"""Broker or database away: a clear no within seconds, and nothing half-done."""

import subprocess
import threading
import time

from ingress_tests import CALLBACK, check, expect, wait_for


def timed(call):
    start = time.monotonic()
    reply = call()
    return reply, time.monotonic() - start


def refused_in_time(reply, took, what):
    expect(reply.status, 503, what)
    check(took < 5, "%s took %.1f s" % (what, took))
    check(int(reply.headers["Retry-After"]) >= 1, "Retry-After")


def test_the_broker_away(env):
    env.amqp.close()
    made = env.sms(launch=False).body["id"]
    env.server("halt", "rabbitmq")
    results = []
    threads = [threading.Thread(target=lambda: results.append(timed(env.callback))) for _ in range(8)]
    for thread in threads:
        thread.start()
    refused_in_time(*timed(env.sms), "a campaign")
    refused_in_time(*timed(lambda: env.upload("phone\n" + "0712345678\n" * 5000)), "an upload")
    for thread in threads:
        thread.join()
    for reply, took in results:
        refused_in_time(reply, took, "a callback")
    wait_for("not ready", 5, lambda: env.ask("GET", "/readyz", key=None).status == 503)
    expect(env.ask("GET", "/healthz", key=None).status, 200, "healthz")
    expect(env.ask("GET", "/api/communications/campaigns/" + made).status, 200, "reading goes on")
    wait_for("what was refused is abandoned", 5, lambda: env.sql(
        "SELECT count(*) FROM campaigns WHERE status = 'abandoned'"
        " AND detail <> '' AND created_at > now() - interval '1 minute'")[0][0] >= "2")
    env.server("start", "rabbitmq")
    wait_for("ready again", 20, lambda: env.ask("GET", "/readyz", key=None).status == 200)
    env.connect_amqp()
    env.drain("reconcile-dlr.normal")
    expect(env.callback(CALLBACK).status, 200, "a callback")
    expect(len(env.drain("reconcile-dlr.normal")), 1, "kept")
    check(len(env.published(env.sms().body["id"])) == 1, "a campaign")


def test_a_full_queue(env):
    """Backpressure walks back to the caller."""
    rabbitmqctl = env.servers["RABBITMQCTL"].split()
    policy = ["set_policy", "--priority", "99", "--apply-to", "queues", "full",
              "^tuma\\.reconcile-dlr\\.normal$",
              '{"max-length":1,"overflow":"reject-publish"}']
    subprocess.run([*rabbitmqctl, "-q", *policy], check=True)
    replies = [env.callback() for _ in range(6)]
    expect(sorted({reply.status for reply in replies}), [200, 503], "statuses")
    subprocess.run([*rabbitmqctl, "-q", "clear_policy", "full"], check=True)
    env.drain("reconcile-dlr.normal")
    wait_for("taken again", 10, lambda: env.callback().status == 200)


def test_the_database_away(env):
    env.server("halt", "postgres")
    refused_in_time(*timed(env.sms), "a campaign")
    refused_in_time(*timed(lambda: env.ask("GET", "/readyz", key=None)), "readyz")
    expect(env.callback(CALLBACK).status, 200, "callbacks go on")
    env.server("start", "postgres")
    wait_for("ready again", 20, lambda: env.ask("GET", "/readyz", key=None).status == 200)
    expect(env.sms().status, 202, "a campaign")
