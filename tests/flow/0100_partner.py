"""Another system publishes campaigns over AMQP, through its own exchange."""

import pika.exceptions

from chain import check, expect, wait_for


def wait_events(partner, wanted, seconds=15):
    """All events until one satisfies wanted()."""
    seen = []

    def probe():
        seen.extend(partner.events())
        return any(wanted(kind, body) for kind, body in seen) and seen

    return wait_for("an event", seconds, probe)


def test_a_campaign_with_its_recipients_inside(chain):
    acme = chain.account(amqp=True)
    partner = acme.partner()
    phones = chain.phones(100)
    partner.submit("rent-1", chain.text(), phones)
    row = partner.campaign("rent-1").wait_for("completed")
    expect(row["delivered"], 100, "delivered")
    events = wait_events(partner, lambda kind, _: kind == "campaign.completed.v1")
    statuses = [body["status"] for _, body in events]
    check("sending" in statuses and statuses[-1] == "completed", "statuses: %r" % statuses)
    last = events[-1][1]
    expect((last["reference"], last["delivered"], last["planned"]), ("rent-1", 100, 100), "event")
    partner.close()


def test_chunks_in_any_order_and_a_closing_message(chain):
    acme = chain.account(amqp=True)
    partner = acme.partner()
    phones = chain.phones(2500)
    template = chain.text("Hello {{name}}")
    chunks = [phones[at:at + 500] for at in range(0, 2500, 500)]
    for number in (3, 1):  # before the definition
        publish_chunk(partner, "rent-2", number, chunks)
    partner.submit("rent-2", template)
    for number in (5, 2, 4):
        publish_chunk(partner, "rent-2", number, chunks)
    partner.publish("campaign.closed", {"reference": "rent-2", "chunks": 5})
    row = partner.campaign("rent-2").wait_for("completed", seconds=60)
    expect((row["planned"], row["delivered"]), (2500, 2500), "planned, delivered")
    expect(chain.simulator.messages(phones[1234])[0]["text"],
           template.replace("{{name}}", "Row 1234"), "text")
    partner.close()


def publish_chunk(partner, reference, number, chunks):
    first = sum(len(chunk) for chunk in chunks[:number - 1])
    partner.publish("recipients.submitted", {
        "reference": reference, "chunk": number, "first_row": first + 1,
        "columns": ["name", "phone"],
        "rows": [["Row %d" % (first + i), phone] for i, phone in enumerate(chunks[number - 1])]})


def test_the_same_message_twice_is_one_campaign(chain):
    acme = chain.account(amqp=True)
    partner = acme.partner()
    phones = chain.phones(50)
    text = chain.text()
    for _ in range(3):
        partner.submit("rent-3", text, phones, message_id="one-and-only")
    body = {"title": "No reference", "message_template": chain.text(), "columns": ["phone"],
            "rows": [[phone] for phone in chain.phones(5)]}
    for _ in range(2):
        partner.publish("campaign.submitted", body, message_id="the-id-is-the-key")
    campaign = partner.campaign("rent-3")
    partner.campaign("the-id-is-the-key").wait_for("completed")
    row = campaign.wait_for("completed")
    expect((row["planned"], row["delivered"], row["duplicates"]), (50, 50, 0),
           "planned, delivered, duplicates")
    expect(chain.sql("SELECT count(*) AS n FROM campaigns c JOIN accounts a"
                     " ON a.id = c.account_id WHERE a.slug = '%s'" % acme.slug), [{"n": 2}],
           "campaigns")
    partner.close()


def test_a_bad_message_is_parked_with_its_reason_and_its_publisher_told(chain):
    acme = chain.account(amqp=True)
    partner = acme.partner()
    good = {"reference": "good", "title": "T", "message_template": chain.text(),
            "columns": ["phone"], "rows": [[chain.phones(1)[0]]]}
    bad = {
        "no json": b"{\"reference\": ",
        "no template": {"reference": "r", "title": "T"},
        "unknown sender": {**good, "reference": "s", "sender_id": "NOTMINE"},
        "broken template": {**good, "reference": "t", "message_template": "Hello {{name"},
        "in the past": {**good, "reference": "p", "scheduled_at": "2020-01-01T00:00:00Z"},
    }
    ids = {what: partner.publish("campaign.submitted", body) for what, body in bad.items()}
    partner.publish("campaign.submitted", good)
    partner.campaign("good").wait_for("completed")
    told = {}

    def collect():
        for kind, body in partner.events():
            if kind == "message.parked.v1":
                told[body["message_id"]] = body
        return len(told)

    wait_for("all refusals are told", 15, collect, lambda n: n >= len(bad))
    for what, message_id in ids.items():
        check(told[message_id]["why"] and told[message_id]["detail"], "%s: %r" % (
            what, told[message_id]))
    parked = chain.take_parked("render-template")
    expect({properties.message_id for properties, _ in parked}, set(ids.values()), "parked")
    check(all(properties.headers["why"] for properties, _ in parked), "a reason is missing")
    partner.close()


def test_a_partner_can_write_and_read_nowhere_else(chain):
    acme, other = chain.account(amqp=True), chain.account(amqp=True)
    body = {"reference": "stolen", "title": "T", "message_template": chain.text(),
            "columns": ["phone"], "rows": [[chain.phones(1)[0]]]}
    attempts = {
        "another's exchange": dict(exchange="tuma.in." + other.slug),
        "the chain's exchange": dict(exchange="tuma.campaigns"),
        "the default exchange": dict(exchange="", key="tuma.render-template.normal"),
        "the way home": dict(exchange="tuma.home", key="tuma.render-template.normal"),
        "another's name": dict(user_id=other.slug),
    }
    for what, how in attempts.items():
        partner = acme.partner()
        try:
            partner.publish("campaign.submitted", body, **how)
        except pika.exceptions.AMQPError:
            pass
        else:
            check(False, "could publish under %s" % what)
        partner.close()
    for queue in ("tuma.events." + other.slug, "tuma.render-template.normal"):
        partner = acme.partner()
        try:
            partner.channel.basic_get(queue)
        except pika.exceptions.AMQPError:
            pass
        else:
            check(False, "could read " + queue)
        partner.close()
    partner = acme.partner()
    partner.publish("campaign.submitted", body, headers={"account": other.slug, "attempt": 9})
    partner.campaign("stolen").wait_for("completed")
    expect(other.balance()["spent"], 0, "tokens of the other account")
    partner.close()


def test_a_partner_may_not_send_what_only_stages_send(chain):
    acme = chain.account(amqp=True)
    partner = acme.partner()
    try:
        partner.publish("campaign.reserved", {"campaign": "cmp_0000000000001"})
    except pika.exceptions.UnroutableError:
        pass
    else:
        check(False, "a stage's message was taken")
    partner.close()
