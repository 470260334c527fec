"""A large campaign does not stand before a small one, and the urgent overtakes both."""

import time

from chain import check, expect, wait_for

SETTINGS = {"SMS_BATCH_SIZE": "100", "SMS_BATCH_WINDOW": "6"}
LARGE = 20000
LATENCY_MS = 100


def test_a_small_campaign_and_an_urgent_message_are_not_starved(chain):
    chain.simulator.faults(latency_min_ms=LATENCY_MS, latency_max_ms=LATENCY_MS)
    large, small = chain.account(), chain.account()
    before = chain.simulator.accepted()
    big = large.send_csv(chain.text(), chain.phones(LARGE))
    wait_for("the large one is under way", 30, lambda: chain.simulator.accepted() - before > 1000)

    [urgent_phone] = chain.phones(1)
    began = time.time()
    small.send_message(chain.text("Nambari yako ya siri"), [urgent_phone], priority="high")
    [urgent] = wait_for("the urgent one", 10, lambda: chain.simulator.messages(urgent_phone))
    took_s = urgent["accepted_ms"] / 1000 - began
    check(took_s < 1, "urgent: %.2f s" % took_s)

    little = small.send_csv(chain.text(), chain.phones(300))
    little.wait_until("the small one is sent", lambda row: row["delivered"] + row["sent"] == 300,
                      seconds=20)
    left = LARGE - (chain.simulator.accepted() - before)
    check(left > LARGE / 2, "only %d of the large one were left" % left)
    chain.simulator.faults(latency_min_ms=0, latency_max_ms=0)
    expect(little.wait_for("completed")["delivered"], 300, "delivered")
    expect(big.wait_for("completed", seconds=90)["delivered"], LARGE, "delivered")
