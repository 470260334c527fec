"""Follow-ups: SMS to whoever did not answer, a call to whoever the SMS did not reach; one quote, one hold."""

import json

from chain import Campaign, check, expect, id_text, msisdn, wait_for
from voice import Caller, recording

SETTINGS = {
    "SIM_FAULTS": json.dumps({"speed": 50, "ring_min_ms": 20000, "ring_max_ms": 50000,
                              "no_answer_ms": 500}),
    "VOICE_JOB_ATTEMPTS": "2",
}
TOKENS = 100000


def follow_up_of(campaign):
    rows = wait_for("a follow-up", 10, lambda: campaign.chain.sql(
        "SELECT id FROM campaigns WHERE parent_id = %d" % campaign.id))
    return Campaign(campaign.chain, id_text(rows[0]["id"]))


def held(chain, campaign):
    rows = chain.sql("SELECT amount, captured, released FROM token_holds WHERE id = %d" % campaign.id)
    return rows[0] if rows else None


def submit(chain, reference, phones, **fields):
    acme = chain.account(tokens=TOKENS, amqp=True)
    partner = acme.partner()
    partner.publish("campaign.submitted", {
        "reference": reference, "title": "Test", "columns": ["phone", "name"],
        "rows": [[phone, "Mteja %d" % i] for i, phone in enumerate(phones)], **fields})
    campaign = partner.campaign(reference)
    partner.close()
    return acme, campaign


def test_whoever_does_not_answer_gets_a_message(chain):
    phones = chain.phones(40)
    missed = phones[:7]
    chain.simulator.faults(force=",".join("%s:call_no_answer" % phone[-5:] for phone in missed))
    template = chain.text("Tulikupigia {{name}}")
    acme, campaign = submit(chain, chain.unique("ref"), phones, channel="voice",
                            message_template="Habari {{name}}",
                            follow_up={"message_template": template})
    follow = follow_up_of(campaign)
    row = campaign.wait_for("completed", seconds=60)
    expect((row["delivered"], row["failed"]), (33, 7), "calls")
    after = follow.wait_for("completed", seconds=60)
    chain.simulator.faults(force="")
    expect((after["planned"], after["delivered"], after["captured"]), (7, 7, 7), "messages")
    for i, phone in enumerate(missed):
        expect([sent["text"] for sent in chain.simulator.messages(phone)],
               [template.replace("{{name}}", "Mteja %d" % i)], "texts to " + phone)
    expect(held(chain, campaign), {"amount": 80, "captured": 33, "released": 47}, "the first's hold")
    expect(held(chain, follow), {"amount": 7, "captured": 7, "released": 0}, "the follow-up's hold")
    balance = acme.balance()
    expect((balance["spent"], balance["reserved"]), (40, 0), "tokens")


def test_whoever_the_message_did_not_reach_is_called(chain):
    caller = Caller(chain, tokens=TOKENS)
    asset = caller.upload(recording(3, seed=7))
    phones = chain.phones(30)
    missed = phones[3:8]
    chain.simulator.faults(force=",".join("%s:failed" % phone[-5:] for phone in missed))
    reply = caller.account.ask("POST", "/api/communications/sms", {
        "title": "Test", "messageTemplate": chain.text(), "recipients": phones,
        "followUp": {"when": ["failed"], "audioAssetId": asset}})
    campaign = caller.account.take(reply)
    follow = follow_up_of(campaign)
    campaign.wait_for("completed", seconds=60)
    after = follow.wait_for("completed", seconds=60)
    chain.simulator.faults(force="")
    # Of those whom the message did not reach some had opted out at their network.
    left_out = {entry["msisdn"] for entry in chain.sql(
        "SELECT s.msisdn FROM suppressions s JOIN campaigns c ON c.account_id = s.account_id"
        " WHERE c.id = %d" % campaign.id)}
    called = {msisdn(phone) for phone in missed} - left_out
    check(called, "all have opted out")
    expect({recipient["msisdn"] for recipient in follow.recipients()}, called, "called")
    expect((after["planned"], after["delivered"]), (len(called), len(called)), "calls")
    view = caller.account.ask("GET", "/api/communications/campaigns/" + campaign.name).body
    expect((view["followUp"]["status"], view["followUp"]["tokens"], view["tokens"]["quoted"]),
           ("completed", 30, 60), "what is shown")


def test_a_follow_up_that_nobody_needs_gives_its_tokens_back(chain):
    phones = chain.phones(10)
    acme, campaign = submit(chain, chain.unique("ref"), phones, channel="voice",
                            message_template="Habari",
                            follow_up={"message_template": chain.text()})
    follow = follow_up_of(campaign)
    campaign.wait_for("completed", seconds=60)
    after = follow.wait_for("completed", seconds=30)
    expect((after["planned"], after["detail"]), (0, "nobody was left for it"), "the follow-up")
    expect(held(chain, follow), None, "a hold of its own")
    balance = acme.balance()
    expect((balance["spent"], balance["reserved"]), (10, 0), "tokens")


def test_it_is_cancelled_with_the_first_and_reserved_with_it(chain):
    phones = chain.phones(12)
    acme, campaign = submit(chain, chain.unique("ref"), phones, channel="voice", hold=True,
                            message_template="Habari",
                            follow_up={"message_template": chain.text()})
    follow = follow_up_of(campaign)
    row = campaign.wait_for("quoted")
    expect(follow.row()["status"], "waiting", "status of the follow-up")
    [quote] = chain.sql("SELECT segments + follow_segments AS tokens FROM campaigns WHERE id = %d"
                        % campaign.id)
    expect(quote["tokens"], 24, "one quote")
    acme.steer(campaign, "cancel")
    campaign.wait_for("cancelled")
    after = follow.wait_for("cancelled")
    check("cancelled" in after["detail"], "detail: %r" % after)
    expect(acme.balance()["reserved"], 0, "reserved")


def test_without_tokens_for_both_neither_begins(chain):
    caller = Caller(chain, tokens=15)
    phones = chain.phones(10)
    partner_fields = {"title": "Test", "sayTemplate": "Habari", "recipients": phones,
                      "followUp": {"messageTemplate": chain.text()}}
    campaign = caller.account.take(caller.account.ask("POST", "/api/communications/voice",
                                                      partner_fields))
    campaign.wait_for("insufficient_tokens")
    caller.account.grant(5)
    campaign.wait_for("completed", seconds=60)
    expect(follow_up_of(campaign).wait_for("completed")["planned"], 0, "followed up")
