"""Campaigns and the clock: later, and not after."""

import datetime

from chain import check, expect

SETTINGS = {"SMS_BATCH_SIZE": "50", "SMS_BATCH_WINDOW": "4"}


def at(seconds):
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return moment, moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def test_a_scheduled_campaign_starts_at_its_time(chain):
    acme = chain.account()
    phones = chain.phones(20)
    moment, text = at(3)
    campaign = acme.send_inline(chain.text(), phones, scheduledTime=text)
    campaign.wait_for("scheduled")
    expect(acme.balance()["reserved"], 20, "reserved while it waits")
    campaign.wait_for("completed")
    first_ms = min(chain.simulator.messages(phone)[0]["accepted_ms"] for phone in phones)
    late_s = first_ms / 1000 - moment.timestamp()
    check(0 <= late_s < 3, "first message %.3f s after the time" % late_s)


def test_a_scheduled_campaign_can_be_paused_resumed_and_cancelled(chain):
    acme = chain.account()
    before = chain.simulator.accepted()
    _, text = at(3600)
    campaign = acme.send_inline(chain.text(), chain.phones(20), scheduledTime=text)
    campaign.wait_for("scheduled")
    acme.steer(campaign, "pause")
    campaign.wait_for("paused")
    acme.steer(campaign, "resume")
    campaign.wait_for("scheduled")
    acme.steer(campaign, "cancel")
    row = campaign.wait_for("cancelled", seconds=3)
    expect((row["cancelled"], chain.simulator.accepted()), (20, before), "cancelled, accepted")
    expect(acme.balance()["reserved"], 0, "reserved")


def test_what_is_not_sent_by_its_expiry_is_not_sent(chain):
    acme = chain.account()
    phones = chain.phones(2000)
    chain.simulator.faults(latency_min_ms=300, latency_max_ms=300)
    before = chain.simulator.accepted()
    moment, text = at(4)
    campaign = acme.send_csv(chain.text(), phones, expiresAt=text)
    row = campaign.wait_for("expired")
    chain.simulator.faults(latency_min_ms=0, latency_max_ms=0)
    row = campaign.wait_until("reports are in", lambda row: row["sent"] == 0)
    accepted = chain.simulator.accepted() - before
    expect((row["delivered"], row["expired"]), (accepted, 2000 - accepted), "delivered, expired")
    check(0 < accepted < 2000, "%d accepted" % accepted)
    balance = acme.balance()
    expect((balance["spent"], balance["reserved"]), (accepted, 0), "spent, reserved")
    last_ms = chain.simulator.stats()["last_accept_ms"]
    check(last_ms / 1000 < moment.timestamp() + 1, "sent until %.1f s after the expiry"
          % (last_ms / 1000 - moment.timestamp()))
