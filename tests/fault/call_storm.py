"""call_storm - a campaign of calls on its way while something breaks

    storm = Storm(chain)
    storm.await_called(0.3)
    chain["place-call"].kill()
    ...
    storm.end()

What end() wants: every recipient in a final state, nobody called more often than planned, nobody
called again who was reached, tokens exact.
"""

import collections
import json

from chain import check, expect, wait_for
from voice import Caller

RECIPIENTS = 1000
BATCH = 25
WORKERS = 3
ATTEMPTS = 3
DEADLINE_S = 120
SETTINGS = {
    "VOICE_BATCH_SIZE": str(BATCH),
    "VOICE_BATCH_WINDOW": "12",
    "VOICE_RATE_LIMIT_PER_SECOND": "300",
    "VOICE_JOB_ATTEMPTS": str(ATTEMPTS),
    # No day goes by in a test: whoever is in doubt, or whose end is lost, is given up soon.
    "VOICE_DOUBT_WAIT": "2s",
    "RECONCILE_DOUBT_DEADLINE": "5s",
    "CALL_REPORT_DEADLINE": "5s",
    "SIM_FAULTS": json.dumps({
        "speed": 20, "ring_min_ms": 2000, "ring_max_ms": 8000, "no_answer_ms": 10000,
        "call_fate_times": 1, "call_no_answer": 0.1, "call_busy": 0.05, "call_unreachable": 0.03,
        "call_rejected": 0.02, "call_hangs_up_early": 0.05, "call_doubled": 0.1,
        "call_early": 0.02, "early_ms": 200, "press_9": 0.02, "press_2": 0.3}),
}


class Storm:
    def __init__(self, chain, **faults):
        self.chain = chain
        chain.simulator.restart()
        chain.simulator.faults(**faults)
        self.caller = Caller(chain, tokens=10 * RECIPIENTS)
        self.phones = chain.phones(RECIPIENTS)
        self.campaign = self.caller.call(
            [{"phone": phone, "name": "Mteja %d" % i} for i, phone in enumerate(self.phones)],
            keys={"repeat": "1", "stop": "9", "answers": {"2": "Ndiyo"}, "waitSeconds": 5},
            sayTemplate="Habari {{name}}, je, utakuja kesho?")

    def await_called(self, share):
        wait_for("%.0f %% called" % (100 * share), DEADLINE_S,
                 lambda: self.chain.simulator.stats()["voice"]["calls"] >= share * RECIPIENTS)

    def calls(self):
        """Calls of each number in the order in which they were placed."""
        found, after = collections.defaultdict(list), 0
        while True:
            page = self.chain.simulator.ask("calls?after=%d&limit=1000" % after)
            for call in page:
                found[call["number"]].append(call)
            after += len(page)
            if len(page) < 1000:
                return found

    def end(self):
        row = self.campaign.wait_for("completed", seconds=DEADLINE_S)
        expect(row["delivered"] + row["failed"] + row["expired"], RECIPIENTS, "final: %r" % row)
        for number, calls in self.calls().items():
            check(len(calls) <= ATTEMPTS, "%s was called %d times" % (number, len(calls)))
            answered = [bool(call["answered_ms"]) for call in calls]
            check(not any(answered[:-1]), "%s was called again: %r" % (number, calls))
        balance = self.caller.account.balance()
        expect((balance["reserved"], balance["spent"]), (0, row["captured"]), "reserved, spent")
        return row
