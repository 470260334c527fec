"""Pause, resume and cancel act within a second, on a campaign that is well under way."""

import time

from chain import check, expect, wait_for

# 20 batches of 100 a second and worker at most: a campaign of 6,000 takes some seconds.
SETTINGS = {"SMS_BATCH_SIZE": "100", "SMS_BATCH_WINDOW": "6"}
COUNT = 6000
LATENCY_MS = 150


def slow(chain, on=True):
    ms = LATENCY_MS if on else 0
    chain.simulator.faults(latency_min_ms=ms, latency_max_ms=ms)


def stops(chain, began):
    """The moment of the last acceptance, once there has been none for a while, after began."""
    def quiet():
        stats = chain.simulator.stats()
        return time.time() - stats["last_accept_ms"] / 1000 > 1.5, stats["last_accept_ms"] / 1000

    return wait_for("sending stops", 10, quiet, lambda state: state[0])[1] - began


def await_told(partner, status):
    """The account hears of the status; what it hears before is forgotten."""
    wait_for("%s is told" % status, 5,
             lambda: any(kind == "campaign.changed.v1" and body["status"] == status
                         for kind, body in partner.events()))


def test_pause_and_resume(chain):
    slow(chain)
    acme = chain.account(amqp=True)
    before = chain.simulator.accepted()
    campaign = acme.send_csv(chain.text(), chain.phones(COUNT))
    wait_for("half a thousand", 20, lambda: chain.simulator.accepted() - before > 500)
    began = time.time()
    acme.steer(campaign, "pause")
    took_s = stops(chain, began)
    check(took_s < 1, "went on for %.2f s after the pause" % took_s)
    partner = acme.partner()
    await_told(partner, "paused")
    row = campaign.row()
    expect((row["status"], row["sending"]), ("paused", 0), "status, sending")
    check(row["pending"] > 0, "nothing was left")
    paused = chain.simulator.accepted()
    began = time.monotonic()
    acme.steer(campaign, "resume")
    wait_for("sending goes on", 1, lambda: chain.simulator.accepted() > paused)
    await_told(partner, "sending")
    partner.close()
    slow(chain, on=False)
    row = campaign.wait_for("completed")
    expect(row["delivered"], COUNT, "delivered")


def test_cancel_gives_back_what_was_not_sent(chain):
    slow(chain)
    acme = chain.account(tokens=COUNT)
    before = chain.simulator.accepted()
    campaign = acme.send_csv(chain.text(), chain.phones(COUNT))
    wait_for("half a thousand", 20, lambda: chain.simulator.accepted() - before > 500)
    began = time.time()
    acme.steer(campaign, "cancel")
    took_s = stops(chain, began)
    slow(chain, on=False)
    check(took_s < 1, "went on for %.2f s after the cancelling" % took_s)
    campaign.wait_for("cancelled")
    row = campaign.wait_until("reports are in", lambda row: row["sent"] == 0)
    accepted = chain.simulator.accepted() - before
    expect((row["delivered"], row["cancelled"]), (accepted, COUNT - accepted),
           "delivered, cancelled")
    balance = acme.balance()
    expect((balance["spent"], balance["available"]), (accepted, COUNT - accepted),
           "spent, available")


def test_cancel_while_it_is_paused(chain):
    slow(chain)
    acme = chain.account(tokens=COUNT)
    before = chain.simulator.accepted()
    campaign = acme.send_csv(chain.text(), chain.phones(COUNT))
    wait_for("some", 20, lambda: chain.simulator.accepted() > before)
    acme.steer(campaign, "pause")
    campaign.wait_until("nothing is under way", lambda row: row["sending"] == 0)
    slow(chain, on=False)
    acme.steer(campaign, "cancel")
    campaign.wait_for("cancelled", seconds=10)
    row = campaign.wait_until("reports are in", lambda row: row["sent"] == 0)
    expect(row["delivered"] + row["cancelled"], COUNT, "delivered or cancelled")
    expect(acme.balance()["reserved"], 0, "reserved")
