"""The smallest thing: one message to one person."""

from chain import expect


def test_a_message_is_delivered_and_its_status_says_so(chain):
    acme = chain.account()
    phone = chain.phones(1)[0]
    text = chain.text("Karibu")
    message = acme.send_message(text, [phone])
    row = message.wait_for("completed")
    expect((row["planned"], row["delivered"]), (1, 1), "counts")
    told = acme.ask("GET", "/api/messages/%s/status/" % message.shown)
    expect(told.status, 200, "status")
    print(told.body)
    [sent] = chain.simulator.messages(phone)
    expect(sent["text"], text, "text")
