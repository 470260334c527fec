"""Every stage dies once at each named instant of a message's life; see lib/stage/LIFECYCLE.md."""

from chain import check
from storm import BATCH, SETTINGS, Storm  # noqa: F401 (SETTINGS is chain's)

WORKERS = 2  # of send-sms in the lane "normal"

# How many messages a worker has surely seen when the campaign is over: the crash comes before.
# One worker of render-template emits, and only once a campaign.
SEEN = {"render-template": 4, "reserve-tokens": 1, "split-batches": 50, "rate-limit": 50,
        "send-sms": 30, "reconcile-dlr": 10}
STAGES = tuple(SEEN)


def deaths(chain, name):
    return chain[name].count_log("event=worker_died", "signal=9")


def crash(chain, names, point, personal=False, doubts=0):
    before = {name: deaths(chain, name) for name in names}
    for name in names:
        times = 1 if name == "render-template" and point in ("after_publish", "after_confirm") else (
            chain.random.randint(1, SEEN[name]))
        chain[name].stop()
        chain[name].start(TUMA_CRASH_AT="%s:%d" % (point, times))
    chain.await_ready()
    storm = Storm(chain, personal)
    storm.end(doubts)
    for name in names:
        check(deaths(chain, name) > before[name], "%s did not die %s" % (name, point))
    for name in names:
        chain[name].stop()
        chain[name].start()


def test_after_receive(chain):
    crash(chain, STAGES, "after_receive")


def test_after_handle(chain):
    # What send-sms claimed and sent is committed on the way; only its end is lost.
    crash(chain, STAGES, "after_handle")


def test_after_commit(chain):
    crash(chain, STAGES, "after_commit")


def test_after_publish(chain):
    crash(chain, [name for name in STAGES if name != "reconcile-dlr"], "after_publish")


def test_after_confirm(chain):
    crash(chain, [name for name in STAGES if name != "reconcile-dlr"], "after_confirm")


def test_after_ack(chain):
    crash(chain, STAGES, "after_ack")


def test_send_sms_after_claim(chain):
    crash(chain, ["send-sms"], "after_claim", doubts=WORKERS * BATCH)


def test_send_sms_after_claim_of_texts_of_their_own(chain):
    crash(chain, ["send-sms"], "after_claim", personal=True, doubts=WORKERS * BATCH)


def test_send_sms_after_reply(chain):
    crash(chain, ["send-sms"], "after_reply")


def test_send_sms_after_record(chain):
    crash(chain, ["send-sms"], "after_record")
