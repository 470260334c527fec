"""The provider misbehaves: answers late, never, wrongly, or refuses for a while."""

from chain import check, expect
from storm import BATCH, SETTINGS, Storm  # noqa: F401 (SETTINGS is chain's)


def storm_under(chain, personal=False, doubts=0, clear_at=None, **faults):
    chain.simulator.faults(**faults)
    storm = Storm(chain, personal)
    if clear_at is not None:
        storm.await_accepted(clear_at)
        chain.simulator.clear(*faults)
    row = storm.end(doubts)
    stats = chain.simulator.stats()
    for name in faults:
        if not name.endswith(("_ms", "_s")):
            check(stats["faults"][name] > 0, "%s never happened" % name)
            chain.simulator.clear(name)
    return row


def test_answers_never_come_though_the_message_was_taken(chain):
    storm_under(chain, withhold={"share": 0.05, "count": 3})


def test_connections_close_after_the_message_was_taken(chain):
    # Few, because each rests the route for a moment.
    storm_under(chain, close_accepted={"share": 0.05, "count": 2},
                error_500_accepted={"share": 0.05, "count": 2}, truncated={"share": 0.05, "count": 1},
                garbage={"share": 0.05, "count": 1}, partial={"share": 0.05, "count": 3})


def test_connections_close_after_texts_of_their_own_were_taken(chain):
    storm_under(chain, personal=True, close_accepted=0.003, error_500_accepted=0.003,
                withhold={"share": 0.01, "count": 20})


def test_used_connections_are_dead_and_nothing_is_sent_again(chain):
    # A request on a dead connection was read and not carried out; nobody can know.
    storm_under(chain, personal=True, doubts=2000, close_reused=0.05)


def test_the_provider_is_slow_to_take_more(chain):
    storm_under(chain, throttled={"count": 4}, retry_after_s=1)


def test_the_provider_fails_without_taking(chain):
    # Neither says whether the message was taken.
    storm_under(chain, doubts=4 * BATCH, error_500={"share": 0.05, "count": 2},
                unavailable_503={"share": 0.05, "count": 2})


def test_the_key_is_refused_for_a_while(chain):
    storm = Storm(chain)
    storm.await_accepted(0.2)
    chain.simulator.faults(unauthorized=1)
    hold = storm.campaign.wait_until("held", lambda _: chain.sql(
        "SELECT why FROM routes WHERE status = 'held'"))
    check(hold["in_doubt"] == 0, "in doubt: %r" % hold)
    before = storm.accepted()
    chain.simulator.clear("unauthorized")
    row = storm.end()
    check(storm.accepted() > before, "nothing was sent after the hold")
    expect(max(recipient["attempts"] for recipient in storm.campaign.recipients("seq % 97 = 0")),
           1, "attempts")
    expect(row["failed"], 0, "failed")
