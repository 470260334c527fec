"""Calls while programs die and callbacks are lost: nobody who was reached is called again."""

from chain import check
from call_storm import BATCH, RECIPIENTS, SETTINGS, WORKERS, Storm  # noqa: F401 (SETTINGS is chain's)
from storm import kill, moments


def test_place_call_dies_while_it_calls(chain):
    storm = Storm(chain)
    for i, share in enumerate(moments(chain, 5)):
        storm.await_called(share)
        kill(chain, "place-call", whole=i % 2 == 0)
    row = storm.end()
    check(row["failed"] <= RECIPIENTS * 0.1 + 5 * WORKERS * BATCH, "failed: %r" % row)


def test_the_ingress_dies_while_callees_listen(chain):
    storm = Storm(chain)
    for share in moments(chain, 3):
        storm.await_called(share)
        chain["ingress"].kill()
        chain["ingress"].start()
    storm.end()


def test_reconcile_dlr_dies_while_calls_end(chain):
    storm = Storm(chain)
    for i, share in enumerate(moments(chain, 4)):
        storm.await_called(share)
        kill(chain, "reconcile-dlr", whole=i % 2 == 0)
    storm.end()


def test_ends_are_lost_late_and_out_of_order(chain):
    storm = Storm(chain, call_lost=0.05, call_late=0.05, call_late_ms=100000, call_reordered=0.1,
                  call_action_lost=0.03)
    row = storm.end()
    check(0 < row["expired"] < RECIPIENTS * 0.15, "expired: %r" % row)


def test_answers_to_requests_are_lost(chain):
    storm = Storm(chain, close_accepted={"share": 0.1, "count": 4},
                  error_500_accepted={"share": 0.1, "count": 4})
    row = storm.end()
    check(row["delivered"] > RECIPIENTS * 0.7, "delivered: %r" % row)


def test_the_servers_die(chain):
    storm = Storm(chain)
    storm.await_called(0.3)
    chain.server("kill", "postgres")
    storm.await_called(0.6)
    chain.server("kill", "rabbitmq")
    storm.end()
