"""storm - a campaign of 20,000 on its way while something breaks

    storm = Storm(chain)
    storm.await_accepted(0.3)
    chain["send-sms"].kill()
    ...
    storm.end(doubts=200)

What end() wants is the promise of the whole platform: every recipient in a final state or in doubt,
in doubt only if the provider did not take the message, nobody accepted twice, tokens exact.
"""

from chain import check, expect, wait_for

RECIPIENTS = 20000
BATCH = 100
DEADLINE_S = 150  # for a machine that does other things too

SETTINGS = {
    "SMS_BATCH_SIZE": str(BATCH),
    "SMS_BATCH_WINDOW": "30",
}


def moments(chain, count):
    """Shares of a campaign, left to chance."""
    return sorted(chain.random.random() * 0.9 for _ in range(count))


def kill(chain, name, whole):
    """kill -9: the whole program, that is started again, or one of its workers."""
    if whole:
        chain[name].kill()
        chain[name].start()
    else:
        chain[name].kill_worker()


class Storm:
    def __init__(self, chain, personal=False, recipients=RECIPIENTS, headers=None):
        self.chain = chain
        self.recipients = recipients
        self.before = chain.simulator.stats()
        self.account = chain.account(tokens=recipients)
        self.phones = chain.phones(recipients)
        template = chain.text("Habari {{name}}" if personal else "Habari wateja")
        columns = {"name": "Mteja %d".__mod__} if personal else {}
        self.campaign = self.account.send_csv(template, self.phones, columns, headers)

    def accepted(self):
        return self.chain.simulator.accepted() - self.before["accepted"]

    def await_accepted(self, share):
        wait_for("%.0f %% accepted" % (100 * share), DEADLINE_S,
                 lambda: self.accepted() >= share * self.recipients)

    def await_delivered(self, share):
        self.campaign.wait_until("%.0f %% delivered" % (100 * share), lambda row:
                                 row["delivered"] >= share * self.recipients, DEADLINE_S)

    def await_rendered(self, share):
        self.campaign.wait_until("%.0f %% rendered" % (100 * share), lambda row:
                                 row["planned"] >= share * self.recipients, DEADLINE_S)

    def is_over(self, state):
        row, accepted = state
        return (row["status"] in ("sent", "completed") and row["pending"] + row["sending"] == 0
                and row["sent"] == 0 and row["delivered"] == accepted
                and row["in_doubt"] == row["planned"] - accepted)

    def end(self, doubts=0):
        """doubts: the most answers that may have been lost before the provider took the message."""
        row, accepted = wait_for("every recipient is where it belongs", DEADLINE_S,
                                 lambda: (self.campaign.row(), self.accepted()), self.is_over)
        expect(row["planned"], self.recipients, "planned")
        check(row["in_doubt"] <= doubts, "%d in doubt, at most %d lost their answers"
              % (row["in_doubt"], doubts))
        balance = self.account.balance()
        expect((balance["spent"], balance["reserved"], balance["available"]),
               (accepted, row["in_doubt"], 0), "tokens spent, reserved, available")
        if row["in_doubt"] == 0:
            self.campaign.wait_for("completed")
        return row
