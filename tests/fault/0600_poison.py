"""Messages nobody can read, and messages that kill who reads them."""

import contextlib
import json

from chain import STAGES, check, expect, wait_for
from storm import SETTINGS, Storm  # noqa: F401 (SETTINGS is chain's)

GARBAGE = {
    "render-template": ("tuma.campaigns", "recipients.submitted.normal", "recipients.submitted.v1"),
    "reserve-tokens": ("tuma.campaigns", "campaign.rendered.normal", "campaign.rendered.v1"),
    "split-batches": ("tuma.campaigns", "batch.done.normal", "batch.done.v1"),
    "rate-limit": ("tuma.campaigns", "batch.ready.sms.normal", "batch.ready.v1"),
    "send-sms": ("tuma.campaigns", "batch.paced.sms.normal", "batch.paced.v1"),
    "place-call": ("tuma.campaigns", "batch.paced.voice.normal", "batch.paced.v1"),
    "reconcile-dlr": ("tuma.reports", "delivery.reported.normal", "delivery.reported.v1"),
}
BODIES = {
    "no json": b"\x00\xff{[",
    "another form": b"[1, 2, 3]",
    "wrong types": b'{"campaign": 7, "batch": "x", "size": {}, "reports": 1, "chunk": []}',
}


def test_unreadable_messages_are_parked_and_others_go_on(chain):
    storm = Storm(chain, recipients=5000)
    storm.await_rendered(0.1)
    for exchange, key, kind in GARBAGE.values():
        for what, body in BODIES.items():
            chain.publish(exchange, key, body, type=kind, message_id="%s %s" % (kind, what),
                          content_type="application/json")
        chain.publish(exchange, key, b"{}", type="unheard.of.v9", message_id=kind + " type",
                      content_type="application/json")
    storm.end()
    wait_for("all are parked", 20, chain.count_parked, lambda n: n == len(GARBAGE) * 4)
    for stage in STAGES:
        parked = chain.take_parked(stage)
        expect(len(parked), 4, "parked of " + stage)
        for properties, _ in parked:
            check(properties.headers["why"] and properties.headers["detail"] is not None,
                  "no reason: %r" % properties.headers)


@contextlib.contextmanager
def delivery_limit(chain, stage, limit):
    """The usual twenty take most of a minute, since a stage that dies young waits ever longer."""
    [usual] = [policy for policy in json.loads(chain.rabbitmqctl("list_policies", "--formatter",
                                                                 "json"))
               if policy["name"].endswith(stage)]
    definition = usual["definition"]
    if isinstance(definition, str):
        definition = json.loads(definition)
    chain.rabbitmqctl("set_policy", "--priority", usual["priority"] + 1, "--apply-to", "queues",
                      "test", usual["pattern"], json.dumps({**definition, "delivery-limit": limit}))
    yield
    chain.rabbitmqctl("clear_policy", "test")


def test_a_message_that_kills_is_parked_alone(chain):
    acme = chain.account(amqp=True)
    partner = acme.partner()
    render = chain["render-template"]
    render.stop()
    # A neighbour is handled before the killer every other time: twelve deaths with it are one in 4,096.
    with delivery_limit(chain, "render-template", 12):
        partner.submit("bad", chain.text("Hi {{name}}"), chunks=1)
        killer = partner.publish("recipients.submitted", {
            "reference": "bad", "chunk": 1, "first_row": 1, "columns": ["phone", "name"],
            "rows": [[chain.phones(1)[0], "POISON"]]})
        for i in range(10):
            partner.submit("good-%d" % i, chain.text(), chain.phones(10))
        render.start(LD_PRELOAD=chain.build / "tests/fault/libpoison.so")
        for i in range(10):
            partner.campaign("good-%d" % i, 30).wait_for("completed")
        wait_for("the killer is parked", 60, chain.count_parked)
        render.stop()
        render.start()
    check(render.count_log("event=worker_died", "signal=6") >= 3, "it did not kill")
    expect([properties.message_id for properties, _ in chain.take_parked("render-template")],
           [killer], "parked")
    partner.close()
