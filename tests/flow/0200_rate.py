"""The rate holds in every second the provider sees.

What a stall of the machine holds back arrives with what comes after it, so the longest stall that this
program meets itself is granted; it is a few milliseconds unless the machine has too much to do.
"""

import contextlib
import threading
import time

from chain import check, expect, wait_for

SECONDS = 8
LOOK_S = 0.01


class Stalls(contextlib.AbstractContextManager):
    """longest_s: how late a sleep ended at most."""

    def __init__(self):
        self.longest_s = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.look)

    def look(self):
        while not self.over.is_set():
            began = time.monotonic()
            time.sleep(LOOK_S)
            self.longest_s = max(self.longest_s, time.monotonic() - began - LOOK_S)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def check_rate(chain, rate, stalls):
    """In no second more than the rate; returns the busiest second."""
    tenths = chain.simulator.stats()["accepted_per_100ms"]
    busiest = max(sum(tenths[at:at + 10]) for at in range(len(tenths)))
    check(busiest <= rate * (1.1 + stalls.longest_s), "%d in one second, longest stall %.3f s: %r"
          % (busiest, stalls.longest_s, tenths))
    return busiest


def run(chain, rate, workers, disturb=None):
    chain.configure({"SMS_RATE_LIMIT_PER_SECOND": str(rate),
                     "SMS_WORKER_CONCURRENCY": str(workers)})
    chain.simulator.restart()
    acme = chain.account()
    count = rate * SECONDS
    with Stalls() as stalls:
        campaign = acme.send_csv(chain.text(), chain.phones(count))
        if disturb:
            campaign.wait_until("a third is sent", lambda row: (
                row["delivered"] + row["sent"] > count / 3))
            disturb()
        campaign.wait_until("all are sent", lambda row: row["delivered"] + row["sent"] == count, 60)
    stats = chain.simulator.stats()
    busiest = check_rate(chain, rate, stalls)
    # It is used, too: in some second nearly all of it, and on the whole as the machine lets us.
    took_s = (stats["last_accept_ms"] - stats["first_accept_ms"]) / 1000
    check(busiest > 0.7 * rate, "%d in the busiest second: %r" % (busiest, stats))
    check(count / took_s > 0.3 * rate, "only %.1f a second" % (count / took_s))
    expect(stats["rate_limited"], 0, "refused for being too fast")
    campaign.wait_for("completed")


def kill_rate_limit(chain):
    def kill():
        chain["rate-limit"].kill()
        chain["rate-limit"].start()
    return kill


def test_fifty_a_second_with_one_worker(chain):
    run(chain, 50, 1)


def test_fifty_a_second_with_five_workers_while_rate_limit_is_killed(chain):
    run(chain, 50, 5, kill_rate_limit(chain))


def test_ten_a_second_with_five_workers(chain):
    run(chain, 10, 5)


def test_ten_a_second_with_one_worker_while_rate_limit_is_killed(chain):
    run(chain, 10, 1, kill_rate_limit(chain))


def test_leave_that_piled_up_is_not_used_all_at_once(chain):
    def away():
        chain["send-sms"].kill()
        wait_for("a pile", 10, lambda: chain.queue("tuma.send-sms.sms.normal")[0] >= 5)
        chain["send-sms"].start()

    run(chain, 50, 5, away)


def test_two_campaigns_share_one_rate(chain):
    chain.configure({"SMS_RATE_LIMIT_PER_SECOND": "50", "SMS_WORKER_CONCURRENCY": "5"})
    chain.simulator.restart()
    with Stalls() as stalls:
        campaigns = [chain.account().send_csv(chain.text(), chain.phones(150)) for _ in range(2)]
        for campaign in campaigns:
            campaign.wait_for("completed")
    check_rate(chain, 50, stalls)
