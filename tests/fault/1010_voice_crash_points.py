"""place-call dies once at each named instant of a message's life; see lib/stage/LIFECYCLE.md."""

from chain import check
from call_storm import SETTINGS, Storm  # noqa: F401 (SETTINGS is chain's)


def crash(chain, point):
    before = chain["place-call"].count_log("event=worker_died", "signal=9")
    chain["place-call"].stop()
    chain["place-call"].start(TUMA_CRASH_AT="%s:%d" % (point, chain.random.randint(1, 4)))
    chain.await_ready()
    Storm(chain).end()
    check(chain["place-call"].count_log("event=worker_died", "signal=9") > before,
          "place-call did not die " + point)
    chain["place-call"].stop()
    chain["place-call"].start()


def test_after_claim(chain):
    crash(chain, "after_claim")


def test_after_reply(chain):
    crash(chain, "after_reply")


def test_after_record(chain):
    crash(chain, "after_record")


def test_after_commit(chain):
    crash(chain, "after_commit")


def test_tick_after_confirm(chain):
    crash(chain, "tick_after_confirm")
