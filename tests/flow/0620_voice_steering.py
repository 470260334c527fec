"""A campaign of calls is paused, resumed and cancelled: nobody is rung meanwhile, the books are even."""

import json
import time

from chain import check, expect
from voice import Caller

SETTINGS = {
    "SIM_FAULTS": json.dumps({"speed": 50, "ring_min_ms": 40000, "ring_max_ms": 50000}),
    "VOICE_RATE_LIMIT_PER_SECOND": "60",
    "VOICE_BATCH_WINDOW": "4",
}
COUNT = 300


def calls(chain):
    return chain.simulator.stats()["voice"]["calls"]


def begin(chain):
    caller = Caller(chain, tokens=COUNT)
    chain.simulator.restart()
    campaign = caller.call(chain.phones(COUNT), sayTemplate="Habari")
    campaign.wait_until("some are called", lambda row: row["sent"] + row["delivered"] > 20)
    return caller, campaign


def still(chain, campaign):
    """Calls placed once nothing moves any more."""
    campaign.wait_until("no call is under way", lambda row: row["sent"] + row["sending"] == 0)
    chain.settle()
    before = calls(chain)
    time.sleep(1.5)  # a second in which sixty more would be placed
    expect(calls(chain), before, "calls while nobody is to be called")
    return before


def test_paused_and_resumed(chain):
    caller, campaign = begin(chain)
    caller.account.steer(campaign, "pause")
    placed = still(chain, campaign)
    check(0 < placed < COUNT, "%d placed" % placed)
    caller.account.steer(campaign, "resume")
    row = campaign.wait_for("completed", seconds=60)
    expect((row["delivered"], calls(chain)), (COUNT, COUNT), "delivered, calls")


def test_cancelled(chain):
    caller, campaign = begin(chain)
    caller.account.steer(campaign, "cancel")
    row = campaign.wait_for("cancelled", seconds=60)
    placed = still(chain, campaign)
    check(0 < placed < COUNT, "%d placed" % placed)
    expect((row["delivered"], row["cancelled"]), (placed, COUNT - placed), "delivered, cancelled")
    balance = caller.account.balance()
    expect((balance["spent"], balance["reserved"], balance["available"]),
           (placed, 0, COUNT - placed), "spent, reserved, available")
