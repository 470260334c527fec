"""A campaign from a file, the way the customer's office writes it."""

from chain import expect, msisdn

COUNT = 2000


def test_a_personalised_csv_reaches_everybody_once(chain):
    acme = chain.account(tokens=10000)
    phones = chain.phones(COUNT)
    written = list(phones)
    written[10] = "+254" + phones[10][1:]
    written[11] = "00254" + phones[11][1:]
    written[12] = "254 " + phones[12][1:4] + " " + phones[12][4:]
    written += [phones[0], "not a number", "12"]  # a duplicate and two that are none
    template = chain.text("Habari {{first_name}}, deni lako ni KES {{amount}}")
    names = ["Achieng", "Wanjiru", "Ng'ang'a", "Zoë"]
    campaign = acme.send_csv(template, written, {
        "first_name": lambda i: names[i % 4], "amount": lambda i: i})
    row = campaign.wait_for("completed", seconds=60)
    expect((row["planned"], row["delivered"], row["invalid"], row["duplicates"]),
           (COUNT, COUNT, 2, 1), "planned, delivered, invalid, duplicate")
    for i in (0, 10, 11, 12, 13, COUNT - 1):
        [sent] = chain.simulator.messages(phones[i])
        expect(sent["text"], template.replace("{{first_name}}", names[i % 4]).replace(
            "{{amount}}", str(i)), "text of row %d" % i)
    rejects = acme.ask("GET", "/api/communications/campaigns/%s/rejects" % campaign.name)
    reasons = [reject["reason"] for reject in rejects.body["rejects"]]
    expect((len(reasons), reasons.count("duplicate")), (3, 1), "rejects: %r" % reasons)
    expect({recipient["segments"] for recipient in campaign.recipients("seq % 4 <> 0")}, {1},
           "segments of GSM-7 texts")
    balance = acme.balance()
    expect((balance["spent"], balance["reserved"]), (row["segments"], 0), "tokens")


def test_a_broadcast_shares_requests_and_texts(chain):
    acme = chain.account(tokens=10000)
    phones = chain.phones(COUNT)
    before = chain.simulator.stats()
    campaign = acme.send_csv(chain.text(), phones)
    row = campaign.wait_for("completed", seconds=60)
    after = chain.simulator.stats()
    expect(row["delivered"], COUNT, "delivered")
    expect(after["accepted"] - before["accepted"], COUNT, "accepted")
    expect(after["requests"] - before["requests"], COUNT // 500, "requests")
    expect(campaign.recipients("text IS NOT NULL"), [], "texts stored per recipient")


def test_inline_recipients_with_fields(chain):
    acme = chain.account()
    phones = chain.phones(2)
    template = chain.text("Hi {{name}}")
    campaign = acme.send_inline(template, [{"phone": phones[0], "name": "Ann"},
                                           {"phone": phones[1], "name": "Ben"}])
    campaign.wait_for("completed")
    expect([chain.simulator.messages(phone)[0]["text"] for phone in phones],
           [template.replace("{{name}}", name) for name in ("Ann", "Ben")], "texts")


def test_a_repeated_upload_is_the_same_campaign(chain):
    acme = chain.account()
    phones = chain.phones(1500)
    text = chain.text()
    first, again = (acme.send_csv(text, phones, headers={"Idempotency-Key": "k-1"})
                    for _ in range(2))
    expect(again.id, first.id, "campaign")
    row = first.wait_for("completed", seconds=60)
    expect(row["delivered"], 1500, "delivered")


def test_a_message_of_three_parts_costs_three_tokens(chain):
    acme = chain.account(tokens=3)
    [phone] = chain.phones(1)
    campaign = acme.send_inline("ujumbe mrefu " * 30, [phone])
    row = campaign.wait_for("completed")
    expect((row["segments"], row["delivered"], acme.balance()["spent"]), (3, 1, 3), "tokens")
    expect(chain.simulator.messages(phone)[0]["parts"], 3, "parts")


def test_those_who_opted_out_are_not_sent_to(chain):
    acme = chain.account()
    phones = chain.phones(3)
    chain.execute("INSERT INTO suppressions (account_id, msisdn, reason) VALUES (NULL, %d, 'asked')"
                  % msisdn(phones[1]))
    campaign = acme.send_inline(chain.text(), phones)
    row = campaign.wait_for("completed")
    expect((row["planned"], row["delivered"], row["suppressed"]), (3, 2, 1),
           "planned, delivered, suppressed")
    expect(chain.simulator.messages(phones[1]), [], "messages to who opted out")
