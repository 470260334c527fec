"""What comes back from the provider: reports, replies, wishes to be left alone."""

from chain import check, e164, expect, wait_for


def test_each_last_word_has_its_state(chain):
    acme = chain.account()
    phones = chain.phones(5)
    chain.simulator.faults(force=",".join("%s:%s" % (phone[-8:], word) for phone, word in zip(
        phones, ("delivered", "failed", "rejected", "expired"))))
    campaign = acme.send_inline(chain.text(), phones)
    campaign.wait_for("completed")
    chain.simulator.faults(force="")
    expect([recipient["word"] for recipient in campaign.recipients()],
           ["delivered", "failed", "failed", "expired", "delivered"], "states")
    check(all(recipient["reason"] for recipient in campaign.recipients("state IN (5, 6)")),
          "a reason is missing")
    expect(acme.balance()["spent"], 5, "tokens spent: the provider took them all")


def test_an_absent_subscriber_who_comes_back_is_delivered(chain):
    chain.simulator.faults(absent=1, absent_ms=1000)
    campaign = chain.account().send_inline(chain.text(), chain.phones(5))
    campaign.wait_until("absent", lambda row: row["failed"] > 0)
    campaign.wait_until("back again", lambda row: row["delivered"] == 5 and row["failed"] == 0)
    chain.simulator.clear("absent")


def test_unknown_words_are_kept_and_change_nothing(chain):
    before = odd(chain)
    chain.simulator.faults(report_unknown=1)
    campaign = chain.account().send_inline(chain.text(), chain.phones(5))
    expect(campaign.wait_for("completed")["delivered"], 5, "delivered")
    chain.simulator.clear("report_unknown")
    wait_for("five are kept", 10, lambda: odd(chain) - before, lambda n: n == 5)


def odd(chain):
    return chain.sql("SELECT count(*) AS n FROM odd_callbacks WHERE why = 'unknown_status'")[0]["n"]


def test_a_report_nobody_waits_for_is_kept(chain):
    reply = chain.http("POST", "/api/messages/delivery-callback/hook-of-the-tests",
                       b"id=ATXid_none&phoneNumber=%2B254711999999&status=Success&networkCode=63902",
                       {"Content-Type": "application/x-www-form-urlencoded"})
    expect(reply.status, 200, "answer")
    wait_for("it is kept", 10, lambda: chain.sql(
        "SELECT 1 FROM unmatched_reports WHERE provider_id = 'ATXid_none'"))
    chain.execute("DELETE FROM unmatched_reports WHERE provider_id = 'ATXid_none'")


def test_an_incoming_message_is_stored_once(chain):
    def handled():
        return chain["reconcile-dlr"].count_log("event=message_done", "type=sms.received.v1")

    before = handled()
    [phone] = chain.phones(1)
    for _ in range(2):
        chain.simulator.ask("incoming", {"from": e164(phone), "to": "22000",
                                         "text": "Asante sana"})
    rows = wait_for("both are stored", 10, lambda: chain.sql(
        "SELECT sender, recipient, text FROM inbound_messages WHERE sender = '%s'" % e164(phone)),
        lambda found: len(found) == 2)
    expect(rows[0], {"sender": e164(phone), "recipient": "22000", "text": "Asante sana"}, "stored")
    body = (b"id=one-and-only&from=%2B254711000000&to=22000&text=Ndiyo&date=2026-11-20+10%3A00%3A00"
            b"&linkId=")
    for _ in range(3):
        reply = chain.http("POST", "/api/messages/incoming/hook-of-the-tests", body,
                           {"Content-Type": "application/x-www-form-urlencoded"})
        expect(reply.status, 200, "answer")
    wait_for("all five are handled", 10, handled, lambda count: count == before + 5)
    expect(len(chain.sql("SELECT 1 FROM inbound_messages WHERE provider_id = 'one-and-only'")), 1,
           "rows of one message told thrice")


def test_a_subscriber_who_opts_out_is_not_sent_to_again(chain):
    acme = chain.account()
    phones = chain.phones(2)
    acme.send_inline(chain.text(), phones).wait_for("completed")
    chain.simulator.faults(force=phones[0][-8:] + ":406")
    acme.send_inline(chain.text(), phones).wait_for("completed")
    chain.simulator.faults(force="")
    row = acme.send_inline(chain.text(), phones).wait_for("completed")
    expect((row["delivered"], row["suppressed"]), (1, 1), "delivered, suppressed")
