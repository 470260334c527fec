"""The ingress dies in the middle of an upload: nothing of it is sent, and it can be sent again."""

import socket
import urllib.parse

from chain import check, expect, wait_for
from storm import BATCH, DEADLINE_S

RECIPIENTS = 20000
LEASE_S = 3  # HTTP_IDLE and HTTP_UPLOAD_LEASE

SETTINGS = {
    "SMS_BATCH_SIZE": str(BATCH),
    "HTTP_IDLE": "2s",
    "HTTP_UPLOAD_LEASE": "1s",
}


class Upload:
    """A file on its way, as far as it is told to go."""

    def __init__(self, chain, key=None, recipients=RECIPIENTS):
        self.chain = chain
        self.recipients = recipients
        self.accepted_before = chain.simulator.accepted()
        self.account = chain.account(tokens=recipients)
        self.query = {"messageTemplate": chain.text(), "title": "Test"}
        self.headers = {} if key is None else {"Idempotency-Key": key}
        self.body = "".join(
            "%s\n" % line for line in ["phone", *chain.phones(recipients)]).encode()
        self.sent = 0
        self.connection = socket.create_connection(chain.http_listen.split(":"), timeout=20)
        lines = ["POST /api/communications/sms?%s HTTP/1.1" % urllib.parse.urlencode(self.query),
                 "Host: tuma", "Authorization: Bearer " + self.account.key,
                 "Content-Type: text/csv", "Content-Length: %d" % len(self.body),
                 *("%s: %s" % header for header in self.headers.items())]
        self.connection.sendall(
            "".join(line + "\r\n" for line in [*lines, ""]).encode())

    def feed(self, size):
        self.connection.sendall(self.body[self.sent:self.sent + size])
        self.sent += size

    def feed_share(self, share):
        """As much of the file, and waits until a part of it is rendered."""
        self.feed(int(len(self.body) * share))
        wait_for("rows of half a file are there", DEADLINE_S,
                 lambda: self.rows() and self.rows()[0]["planned"] > 0)

    def rows(self):
        """Its campaigns, the oldest first."""
        return self.chain.sql(
            "SELECT c.id, c.status, c.planned, c.receiving_until::text FROM campaigns c"
            "  JOIN accounts a ON a.id = c.account_id WHERE a.slug = '%s' ORDER BY c.id"
            % self.account.slug)

    def statuses(self):
        return [row["status"] for row in self.rows()]

    def again(self):
        """The whole of it in one request."""
        return self.account.ask("POST", "/api/communications/sms", self.body, "text/csv",
                                self.headers, **self.query)

    def accepted(self):
        return self.chain.simulator.accepted() - self.accepted_before

    def tokens(self):
        balance = self.account.balance()
        return balance["spent"], balance["reserved"], balance["available"]


def kill_ingress(chain):
    chain["ingress"].kill()
    chain["ingress"].start()
    chain.await_ready()


def test_the_ingress_dies_in_the_middle_of_an_upload(chain):
    upload = Upload(chain)
    upload.feed_share(0.6)
    kill_ingress(chain)
    wait_for("it is given up", DEADLINE_S, upload.statuses, lambda found: found == ["abandoned"])
    chain.settle()
    expect(upload.tokens(), (0, 0, RECIPIENTS), "tokens spent, reserved, available")
    expect(upload.accepted(), 0, "accepted")


def test_its_client_sends_it_again_under_the_same_key(chain):
    upload = Upload(chain, key="monday")
    upload.feed_share(0.6)
    kill_ingress(chain)
    answers = []

    def again():
        answers.append(upload.again())
        return answers[-1].status

    wait_for("the second try is taken", DEADLINE_S, again, lambda status: status == 202, 0.2)
    for answer in answers[:-1]:
        expect((answer.status, answer.body["code"]), (409, "request_under_way"), "answer meanwhile")
    campaign = upload.account.take(answers[-1])
    campaign.wait_for("completed", seconds=DEADLINE_S)
    expect(upload.statuses(), ["abandoned", "completed"], "campaigns")
    expect(upload.accepted(), RECIPIENTS, "accepted")
    expect(upload.tokens(), (RECIPIENTS, 0, 0), "tokens spent, reserved, available")
    expect(upload.again().body, answers[-1].body, "the answer to a third try")
    expect(len(upload.rows()), 2, "campaigns after the third try")


def test_its_client_sends_it_again_after_it_was_given_up(chain):
    upload = Upload(chain, key="tuesday")
    upload.feed_share(0.3)
    kill_ingress(chain)
    wait_for("it is given up", DEADLINE_S, upload.statuses, lambda found: found == ["abandoned"])
    campaign = upload.account.take(upload.again())
    campaign.wait_for("completed", seconds=DEADLINE_S)
    expect(upload.statuses(), ["abandoned", "completed"], "campaigns")
    expect(upload.accepted(), RECIPIENTS, "accepted")


def test_a_slow_upload_is_not_given_up(chain):
    upload = Upload(chain, key="slow", recipients=200)
    upload.feed(len("phone\n"))
    began = wait_for("its row", DEADLINE_S, upload.rows)[0]

    def drip():
        upload.feed(1)
        return chain.sql("SELECT clock_timestamp() > timestamptz '%s' + interval '%d s' AS late"
                         % (began["receiving_until"], 2 * LEASE_S))[0]["late"]

    wait_for("three leases are over", DEADLINE_S, drip, every_s=0.2)
    expect(upload.statuses(), ["receiving"], "while it drips")
    expect(upload.again().status, 409, "status of another try meanwhile")
    upload.feed(len(upload.body))
    answer = upload.connection.recv(4096).decode()
    check(answer.startswith("HTTP/1.1 202 "), "the answer: " + answer)
    wait_for("it is completed", DEADLINE_S, upload.statuses, lambda found: found == ["completed"])
    expect(upload.accepted(), 200, "accepted")
