"""RabbitMQ goes away, or refuses for a while, in mid-campaign."""

import time

from chain import check, wait_for
from storm import BATCH, SETTINGS, Storm  # noqa: F401 (SETTINGS is chain's)

ALARM_S = 3
WORKERS = 2


def test_the_broker_is_restarted(chain):
    storm = Storm(chain)
    storm.await_accepted(0.3)
    chain.server("restart", "rabbitmq")
    storm.end()


def test_the_broker_is_killed(chain):
    storm = Storm(chain, personal=True)
    storm.await_accepted(0.3)
    chain.server("kill", "rabbitmq")
    storm.end()


def test_a_campaign_is_refused_while_the_broker_is_away_and_taken_later(chain):
    acme = chain.account()
    campaign = {"title": "Test", "messageTemplate": chain.text(), "recipients": chain.phones(10)}

    def submit():
        return acme.ask("POST", "/api/communications/sms", campaign,
                        headers={"Idempotency-Key": "one campaign"})

    chain.server("halt", "rabbitmq")
    began = time.monotonic()
    reply = submit()
    took_s = time.monotonic() - began
    chain.server("start", "rabbitmq")
    check(reply.status == 503 and "Retry-After" in reply.headers, "answered %r" % (reply,))
    check(took_s < 8, "answered after %.1f s" % took_s)
    taken = wait_for("the same request is taken", 30, submit, lambda answer: answer.status == 202,
                     every_s=0.5)
    acme.take(taken).wait_for("completed")
    rows = chain.sql("SELECT c.status FROM campaigns c JOIN accounts a ON a.id = c.account_id"
                     " WHERE a.slug = '%s' ORDER BY c.id" % acme.slug)
    check({row["status"] for row in rows} <= {"abandoned", "completed"}, "campaigns: %r" % rows)


def test_a_memory_alarm_blocks_publishers_for_some_seconds(chain):
    storm = Storm(chain)
    storm.await_accepted(0.3)
    chain.rabbitmqctl("set_vm_memory_high_watermark", "0.00001")
    began = time.monotonic()
    wait_for("the alarm has lasted", ALARM_S + 5, lambda: time.monotonic() - began > ALARM_S)
    chain.rabbitmqctl("set_vm_memory_high_watermark", "0.4")
    storm.end()
