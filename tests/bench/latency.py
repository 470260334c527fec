"""A single urgent message while a large campaign runs: from request to provider."""

import math
import threading
import time

import campaigns
from stack import Failed

GAP_S = 0.1
FIRST = 254110000000  # numbers of no campaign, see campaigns.msisdn()


class Background(threading.Thread):
    """Campaign after campaign, so that one always runs while messages are sent."""

    def __init__(self, stack, kind, count):
        super().__init__(daemon=True)
        self.stack, self.kind, self.count = stack, kind, count
        self.wanted, self.rows, self.fault = True, [], None
        self.path = stack.dir / f"{kind}-{count}.csv"
        campaigns.write_csv(self.path, kind, count)

    def run(self):
        try:
            while self.wanted:
                row, _, _ = campaigns.upload(self.stack, self.kind, f"bg {len(self.rows)}",
                                             self.path)
                self.rows.append(row)
                while self.wanted and not self._is_sent(row):
                    time.sleep(0.2)
        except Exception as fault:  # told by the main thread
            self.fault = fault

    def _is_sent(self, row):
        return self.stack.psql(f"SELECT sent_at IS NOT NULL FROM campaigns WHERE id = {row}") == [["t"]]


def _taken_ms(stack, number, begun):
    accepted_ms = stack.simulator.accepted_ms(number)
    if accepted_ms is None:
        raise Failed(f"the provider never got the message to {number}")
    return accepted_ms - begun * 1000


def _share(ordered, share):
    """The smallest of the values that this share of them does not exceed."""
    return ordered[math.ceil(len(ordered) * share) - 1]


def latency(stack, kind, count, samples):
    """Milliseconds from the begin of the request to the provider's acceptance."""
    stack.simulator.reset()
    background = Background(stack, kind, count)
    background.start()
    deadline = time.monotonic() + 60
    while stack.simulator.stats()["accepted"] == 0 and time.monotonic() < deadline:
        if background.fault:
            raise background.fault
        time.sleep(0.05)
    connection = campaigns.connect(stack)
    sent = []
    for i in range(samples):
        begun, answered = campaigns.send_one(stack, connection, FIRST + i, f"Your code is {i:06d}")
        sent.append((FIRST + i, begun, answered))
        time.sleep(max(0.0, begun + GAP_S - time.time()))
    background.wanted = False
    background.join()
    if background.fault:
        raise background.fault
    for row in background.rows:
        campaigns.await_delivered(stack, row, count)
        campaigns.await_completed(stack, row)
    took = sorted(_taken_ms(stack, number, begun) for number, begun, _ in sent)
    stack.verify()
    answered = sorted(answer * 1000 for _, _, answer in sent)
    return {"kind": kind, "recipients": count, "campaigns": len(background.rows),
            "samples": len(took), "p50_ms": round(_share(took, 0.5), 1),
            "p99_ms": round(_share(took, 0.99), 1), "max_ms": round(took[-1], 1),
            "answered_p50_ms": round(_share(answered, 0.5), 1),
            "answered_p99_ms": round(_share(answered, 0.99), 1)}
