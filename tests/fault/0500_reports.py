"""Delivery reports come early, twice, late, out of order, or not at all."""

from chain import expect, wait_for
import storm
from storm import Storm

SETTINGS = {**storm.SETTINGS, "RECONCILE_NO_REPORT_AFTER": "12s"}


def test_early_reports_wait_for_the_answer(chain):
    chain.simulator.faults(report_early=1, early_ms=60)
    Storm(chain).end()
    chain.simulator.clear("report_early")


def test_doubled_and_reordered_reports_change_nothing(chain):
    chain.simulator.faults(report_doubled=0.5, report_reordered=0.3, report_progress=0.3)
    Storm(chain).end()
    chain.simulator.clear("report_doubled", "report_reordered", "report_progress")


def test_late_reports_and_absent_subscribers(chain):
    chain.simulator.faults(report_late=0.1, report_late_ms=3000, absent=0.1, absent_ms=1500)
    Storm(chain).end()
    chain.simulator.clear("report_late", "absent")


def test_unknown_words_are_kept_and_the_known_ones_count(chain):
    chain.simulator.faults(report_unknown=0.01)
    Storm(chain).end()
    chain.simulator.clear("report_unknown")
    kept = chain.sql("SELECT count(*) AS n FROM odd_callbacks WHERE why = 'unknown_status'")
    wait_for("unknown words are kept", 10, lambda: 100 < kept[0]["n"] < 400)


def test_lost_reports_do_not_keep_a_campaign_for_ever(chain):
    chain.simulator.faults(report_lost=0.05)
    storm_of = Storm(chain)
    row = storm_of.campaign.wait_for("completed", seconds=storm.DEADLINE_S)
    chain.simulator.clear("report_lost")
    lost = row["sent"]
    expect(row["delivered"] + lost, storm_of.recipients, "delivered and not reported")
    expect(0 < lost < storm_of.recipients / 10, True, "not reported: %d" % lost)
    expect(storm_of.accepted(), storm_of.recipients, "accepted")


def test_reports_that_come_while_the_ingress_is_away_come_again(chain):
    storm_of = Storm(chain)
    storm_of.await_delivered(0.2)
    chain["ingress"].stop()
    storm_of.await_accepted(1)
    chain["ingress"].start()
    storm_of.end()
