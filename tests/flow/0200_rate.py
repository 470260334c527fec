"""The rate holds in every second the provider sees."""

from chain import check, expect, wait_for

SECONDS = 8


def run(chain, rate, workers, disturb=None):
    chain.configure({"SMS_RATE_LIMIT_PER_SECOND": str(rate),
                     "SMS_WORKER_CONCURRENCY": str(workers)})
    chain.simulator.restart()
    acme = chain.account()
    count = rate * SECONDS
    campaign = acme.send_csv(chain.text(), chain.phones(count))
    if disturb:
        campaign.wait_until("a third is sent", lambda row: (
            row["delivered"] + row["sent"] > count / 3))
        disturb()
    campaign.wait_until("all are sent", lambda row: row["delivered"] + row["sent"] == count, 60)
    stats = chain.simulator.stats()
    tenths = stats["accepted_per_100ms"]
    busiest = max(sum(tenths[at:at + 10]) for at in range(len(tenths)))
    check(busiest <= rate * 1.1, "%d in one second: %r" % (busiest, tenths))
    # It is used, too: in some second nearly all of it, and on the whole as the machine lets us.
    took_s = (stats["last_accept_ms"] - stats["first_accept_ms"]) / 1000
    check(busiest > 0.7 * rate, "%d in the busiest second: %r" % (busiest, tenths))
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
    campaigns = [chain.account().send_csv(chain.text(), chain.phones(150)) for _ in range(2)]
    for campaign in campaigns:
        campaign.wait_for("completed")
    tenths = chain.simulator.stats()["accepted_per_100ms"]
    busiest = max(sum(tenths[at:at + 10]) for at in range(len(tenths)))
    check(busiest <= 55, "%d in one second: %r" % (busiest, tenths))
