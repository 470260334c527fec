"""Many payments: their callbacks come three times, in any order, a third of them never, and everything
dies meanwhile. Each that was paid is credited once, and what was posted is kept.

STORM_PAYMENTS=10000 makes it as many; it is fewer where every test has to end within minutes."""

import os
import time

from chain import check, expect, wait_for
from payments import Purchases

PAYMENTS = True
COUNT = int(os.environ.get("STORM_PAYMENTS", "1500"))
WORKERS = 8
DEATHS = 5
PATIENCE_S = 240 + COUNT // 25  # for a machine that does other things too; see the times that are printed

SETTINGS = {
    "PAYMENT_WORKER_CONCURRENCY": str(WORKERS),
    "MPESA_QUERY_AFTER": "8s",
    "MPESA_GIVE_UP": "60s",
    "MPESA_PUSH_WITHIN": "9m",
}
CALLBACKS = {"callback_tripled": 1, "callback_copy_lost": 0.333, "callback_spread_ms": 6000,
             "callback_retries": 5, "callback_retry_ms": 700}


def test_what_was_paid_is_credited_once_whatever_dies(chain):
    purchases = Purchases(chain, COUNT)
    deaths = iter(kill for _, kill in sorted(
        (chain.random.random(), kill) for kill in (
            lambda: chain["settle-payment"].kill_worker(),
            lambda: (chain["settle-payment"].kill(), chain["settle-payment"].start()),
            lambda: (chain["ingress"].kill(), chain["ingress"].start()),
            lambda: chain.server("kill", "postgres"),
            lambda: chain.server("kill", "rabbitmq"))))
    shares = sorted(0.02 + 0.9 * chain.random.random() for _ in range(DEATHS))
    with chain.mpesa.misbehaving(pays_other=0.01, cancels=0.05, wrong_pin=0.02, no_answer=0.02,
                                 insufficient=0.02, pays_after_failure=0.01, **CALLBACKS):
        began = time.monotonic()
        purchases.request()
        for share in shares:
            wait_for("%.0f %% paid" % (100 * share), PATIENCE_S,
                     lambda least=share * COUNT * 0.88: purchases.paid() >= least, every_s=0.2)
            next(deaths)()
        wait_for("every payer was asked", PATIENCE_S, lambda: unasked(chain, purchases),
                 lambda left: left == 0, every_s=0.5)
        asked = time.monotonic() - began
        wait_for("every callback was posted", PATIENCE_S,
                 lambda: chain.mpesa.stats()["callbacks"]["pending"], lambda left: left == 0)
        chain.settle(PATIENCE_S)
        told = time.monotonic() - began
        wait_for("nothing is open", PATIENCE_S, lambda: purchases.rows(
            "status, reason, count(*)", "(status NOT IN ('paid', 'failed', 'unresolved')"
            " OR next_query_at IS NOT NULL) GROUP BY 1, 2"), lambda rows: not rows, every_s=0.5)
        print("   asked %.1f s, told %.1f s, ended %.1f s; %r" % (
            asked, told, time.monotonic() - began, chain.mpesa.stats()["callbacks"]), flush=True)
    everything_posted_is_kept(chain, purchases)
    what_nobody_could_say_is_on_the_statement(chain, purchases)
    chain.mpesa.await_settled(30)


def unasked(chain, purchases):
    """How many; told again of those that the broker lost, since nothing had confirmed them."""
    left = purchases.rows("count(*) AS n", "status = 'requested'")[0]["n"]
    if left > 0 and not chain.depths():
        purchases.request()
    return left


def everything_posted_is_kept(chain, purchases):
    pushes = {push["checkout_request_id"]: push
              for push in chain.mpesa.ask("pushes?limit=1000000")}
    kept = {row["payment_id"] for row in chain.sql(
        "SELECT DISTINCT payment_id FROM payment_callbacks WHERE kind = 'stk'")}
    rows = {row["checkout_request"]: row for row in purchases.rows()}
    lost = [push for checkout, push in pushes.items()
            if push["told"] and rows.get(checkout, {"id": None})["id"] not in kept]
    expect(lost[:3], [], "callbacks that were answered and are not kept")
    check(COUNT - DEATHS * WORKERS <= len(pushes) <= COUNT, "%d pushes" % len(pushes))


def what_nobody_could_say_is_on_the_statement(chain, purchases):
    """
    A worker died with the answer to its push, or M-Pesa called it failed and it was paid after all,
    and no copy of the callback came: few are so.
    """
    doubtful = {row["reference"]: row["status"] for row in chain.sql(
        "SELECT p.reference, y.status FROM payments y JOIN purchases p ON p.id = y.purchase_id"
        " WHERE (y.status = 'unresolved' AND y.checkout_request IS NULL)"
        "    OR (y.status = 'failed' AND y.reason = 'no_answer')")}
    missing = [row for row in chain.mpesa.payments() if row["reference"] in doubtful]
    unsaid = sum(doubtful[row["reference"]] == "unresolved" for row in missing)
    check(unsaid <= DEATHS * WORKERS, "%d pushes without a word" % unsaid)
    chain.tumactl("payments", "statement", chain.mpesa.statement(chain.mpesa.payments()),
                  "--apply", status=1)  # what differs waits for a person
