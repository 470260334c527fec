"""The smallest thing: one message to one person."""

from chain import expect, msisdn


def test_a_message_is_delivered_and_its_status_says_so(chain):
    acme = chain.account(senders=["ACME"])
    [phone] = chain.phones(1)
    text = chain.text("Karibu")
    message = acme.send_message(text, [phone], sender_id="ACME")
    row = message.wait_for("completed")
    expect((row["planned"], row["delivered"]), (1, 1), "planned and delivered")
    told = acme.ask("GET", "/api/messages/%s/status/" % message.shown)
    expect(told.status, 200, "answer")
    expect((told.body["status"], told.body["counts"]["delivered"]), ("completed", 1), "status")
    [recipient] = told.body["recipients"]
    expect(recipient["phone"].lstrip("+"), str(msisdn(phone)), "phone")
    [sent] = chain.simulator.messages(phone)
    expect((sent["text"], sent["parts"]), (text, 1), "what arrived")


def test_a_high_priority_message_takes_the_other_lane(chain):
    acme = chain.account()
    message = acme.send_message(chain.text(), chain.phones(3), priority="high")
    message.wait_for("completed")
    expect(chain.sql("SELECT lane FROM campaigns WHERE id = %d" % message.id), [{"lane": "high"}],
           "lane")
