"""All that can be done with tokens and money, at random, from many sides at once, while workers and
PostgreSQL are killed: nothing is below zero, every sum is exact, whatever was answered is there,
every payment is credited at most once, and exactly once when it was paid.

What a run does follows from the seed that is printed (chain.py --seed), but for the order in which
sides meet. `tumactl verify` runs in the middle of it, too: it must be true at every instant.
"""

import contextlib
import random
import subprocess
import threading
import time

from chain import check, expect, wait_for
from payments import Buyer, Payment

PAYMENTS = True
SIDES = 5
ACCOUNTS = 4
SECONDS = 30
PATIENCE_S = 180
PHONES = 3000

SETTINGS = {
    "SMS_BATCH_SIZE": "10",
    "MPESA_GIVE_UP": "20s",
    "MPESA_CREDIT_WITHOUT_RECEIPT": "2s",
    "PAYMENT_WORKER_CONCURRENCY": "3",
}
PAYERS = {"cancels": 0.1, "wrong_pin": 0.05, "insufficient": 0.05, "no_answer": 0.05,
          "pays_other": 0.05, "pays_late": 0.05, "pays_after_failure": 0.05, "unknown_code": 0.03}
NETWORK = {"callback_lost": 0.1, "callback_doubled": 0.2, "callback_early": 0.1, "early_ms": 100,
           "callback_reordered": 0.2, "callback_reorder_ms": 500, "push_close_accepted": 0.03,
           "push_html": 0.03, "token_expired": 0.03, "query_html": 0.1, "c2b_of_push": 0.3,
           "c2b_doubled": 0.2, "result_doubled": 0.3, "callback_retries": 3,
           "callback_retry_ms": 500}
PROVIDER = {"refuse_403": 0.05, "failed": 0.05, "close_accepted": 0.01, "error_500": 0.02}

# What a refusal may say; everything else is a fault. While PostgreSQL is away much is refused.
REFUSALS = ("are missing", "nothing has expired", "is paid already", "was paid back", "credited",
            "no money is known", "being paid back", "is paid back", "cannot", "was had before", "daily")
AWAY = ("pg_", "connect", "terminat", "recovery", "starting up", "shutting down", "server closed",
        "deadlock")


class Book:
    """What the sides share."""

    def __init__(self, chain):
        self.chain = chain
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.faults = []
        self.done = {}      # what was done, and how often
        self.said = []      # (kind, account, reference, tokens) that was answered to be done
        self.payments = []
        self.campaigns = []
        self.receipts = []
        self.buyers = [Buyer(chain, chain.account(tokens=1000)) for _ in range(ACCOUNTS)]

    def count(self, what):
        with self.lock:
            self.done[what] = self.done.get(what, 0) + 1

    def add(self, items, item):
        with self.lock:
            items.append(item)


class Side(threading.Thread):
    """One of many who do things."""

    def __init__(self, book, number):
        super().__init__(daemon=True)
        self.book = book
        self.chain = book.chain
        self.number = number
        self.random = random.Random("%d/%d" % (book.chain.seed, number))
        self.phones = ["254" + phone[1:] for phone in book.chain.phones(PHONES)]
        self.names = 0

    def run(self):
        acts = [getattr(self, name) for name in dir(self) if name.startswith("do_")]
        while not self.book.over.is_set():
            act = self.random.choice(acts)
            try:
                act()
                self.book.count(act.__name__[3:])
            except Exception as failure:  # told at the end, by the test itself
                self.book.add(self.book.faults, "%s: %r" % (act.__name__, failure))
                return

    # ---- what they have to hand ----

    def buyer(self):
        return self.random.choice(self.book.buyers)

    def some(self, items):
        with self.book.lock:
            return self.random.choice(items) if items else None

    def name(self, word):
        """Mostly new; sometimes one that was used before."""
        if self.random.random() > 0.2:
            self.names += 1
        return "%s-%d-%d" % (word, self.number, self.names)

    def ctl(self, *words):
        """Whether it was done; what it said."""
        done = subprocess.run(
            [self.chain.build / "deploy/tumactl", *map(str, words)], text=True, check=False,
            env={**self.chain.environment(), "USER": "clerk"}, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=120)
        said = done.stdout + done.stderr
        if done.returncode != 0:
            check(done.returncode > 0 and any(word in said for word in REFUSALS + AWAY),
                  "tumactl %s: %d %s" % (" ".join(map(str, words)), done.returncode, said))
            self.book.count("refused or away")
        return done.returncode == 0, said

    def ask(self, buyer, method, path, body=None, **headers):
        reply = buyer.account.ask(method, path, body, headers=headers)
        # 0: it was killed; pg_commit_unknown: the database was, after the last word it was told
        check(reply.status < 500 or reply.status == 503
              or reply.body.get("code") == "pg_commit_unknown", "%s %s: %r" % (method, path, reply))
        return reply

    # ---- tokens ----

    def do_add(self):
        slug, reference = self.buyer().account.slug, self.name("TKN")
        tokens = self.random.randrange(1, 300)
        expires = ["--expires", "+%ds" % self.random.randrange(1, 9)] if tokens % 3 == 0 else []
        good, said = self.ctl("tokens", "add", "--account", slug, "--tokens", tokens,
                              "--reference", reference, *expires)
        if good:
            self.book.add(self.book.said, ("grant", slug, reference))

    def do_adjust(self):
        slug, reference = self.buyer().account.slug, self.name("ADJ")
        self.names += 1  # a correction of another amount under a name is refused
        reference = self.name("ADJ")
        tokens = self.random.choice((-1, 1)) * self.random.randrange(1, 100)
        for _ in range(self.random.randrange(1, 3)):
            if self.ctl("tokens", "adjust", "--account", slug, "--tokens", tokens, "--reason",
                        "storm", "--reference", "%s-%s%d" % (reference, slug, tokens))[0]:
                self.book.add(self.book.said,
                              ("adjust", slug, "%s-%s%d" % (reference, slug, tokens)))

    def do_transfer(self):
        giver, taker = self.random.sample(self.book.buyers, 2)
        tokens = self.random.randrange(1, 200)
        reference = "%s-%s-%s-%d" % (self.name("TRF"), giver.account.slug, taker.account.slug, tokens)
        for _ in range(self.random.randrange(1, 3)):
            if self.ctl("tokens", "transfer", "--account", giver.account.slug, "--to",
                        taker.account.slug, "--tokens", tokens, "--reason", "storm",
                        "--reference", reference)[0]:
                for one in (giver, taker):
                    self.book.add(self.book.said, ("transfer", one.account.slug, reference))

    def do_expire(self):
        self.ctl("tokens", "expire")

    def do_verify(self):
        good, said = self.ctl("verify")
        check(good or "FALSE" not in said, said)

    # ---- campaigns ----

    def do_campaign(self):
        buyer = self.buyer()
        self.names += 1
        phones = self.random.sample(self.phones, self.random.randrange(1, 40))
        reply = self.ask(buyer, "POST", "/api/communications/sms", {
            "title": "Storm", "messageTemplate": "Storm %d of %d" % (self.names, self.number),
            "recipients": phones, "launch": self.random.random() > 0.3})
        if reply.status == 202:
            self.book.add(self.book.campaigns, (buyer, reply.body["id"]))

    def do_steer(self):
        campaign = self.some(self.book.campaigns)
        if campaign is not None:
            verb = self.random.choice(("launch", "cancel", "pause", "resume"))
            self.ask(campaign[0], "POST",
                     "/api/communications/campaigns/%s/%s" % (campaign[1], verb))

    # ---- money ----

    def do_buy(self):
        buyer = self.buyer()
        body = {"package_type": self.random.choice(("business", "enterprise")),
                "payment_method": "mpesa", "phone_number": self.phones.pop()}
        key = "buy-%d-%d" % (self.number, len(self.phones))
        for _ in range(self.random.randrange(1, 3)):  # and perhaps the same again
            reply = self.ask(buyer, "POST", "/api/tokens/purchase/", body, **{"Idempotency-Key": key})
        if reply.status == 202:
            self.book.add(self.book.payments, Payment(buyer, reply.body))

    do_buy_more = do_buy

    def do_retry(self):
        payment = self.some(self.book.payments)
        if payment is None:
            return
        with contextlib.suppress(subprocess.CalledProcessError):
            payment.forget_the_minute()
        reply = self.ask(payment.buyer, "POST", "/api/payments/%s/retry" % payment.id)
        if reply.status == 202:
            self.book.add(self.book.payments, Payment(payment.buyer, reply.body))

    def do_pay_by_hand(self):
        payment = self.some(self.book.payments)
        if payment is not None:
            self.book.add(self.book.receipts, self.chain.mpesa.pay_by_hand(
                self.phones[0], self.random.choice((payment.shillings, 7)),
                self.random.choice((payment.reference, "RENT"))))

    def do_match(self):
        receipt, payment = self.some(self.book.receipts), self.some(self.book.payments)
        if receipt is not None and payment is not None:
            self.ctl("payments", "match", receipt, payment.reference, "--by", "ann", "--why", "x")

    def do_reverse(self):
        receipt = self.some(self.book.receipts)
        if receipt is not None and self.random.random() < 0.3:
            self.ctl("payments", "reverse", receipt, "--by", "ann", "--why", "storm")


STAGES = ("settle-payment", "reserve-tokens", "split-batches", "rate-limit", "send-sms",
          "reconcile-dlr", "render-template")


def kill_for(book, seconds):
    """
    kill -9 of somebody every second or so, and of PostgreSQL twice. By the main thread: programs
    die with the thread that started them.
    """
    chain, chance = book.chain, random.Random("%d/killer" % book.chain.seed)
    fatal = {chance.randrange(1, 4), chance.randrange(4, 8)}
    end = time.monotonic() + seconds
    turn = 0
    while time.monotonic() < end and not book.over.wait(chance.uniform(0.5, 2.0)):
        turn += 1
        if turn in fatal:
            chain.server("kill", "postgres")
            book.count("kill of PostgreSQL")
            continue
        name = chance.choice((*STAGES, "settle-payment", "ingress"))
        if name == "ingress" or chance.random() < 0.3:
            chain[name].kill()
            chain[name].start()
        else:
            chain[name].kill_worker()
        book.count("kill")


def test_money_and_tokens_in_a_storm(chain):
    book = Book(chain)
    chain.mpesa.register_c2b()
    with chain.mpesa.misbehaving(**PAYERS, **NETWORK):
        chain.simulator.faults(**PROVIDER)
        threads = [Side(book, number) for number in range(SIDES)]
        for thread in threads:
            thread.start()
        try:
            kill_for(book, SECONDS)
        finally:
            book.over.set()
        for thread in threads:
            thread.join(PATIENCE_S)
            check(not thread.is_alive(), "somebody hangs")
        chain.simulator.clear(*PROVIDER)
        chain.await_ready()
        print("   " + ", ".join("%s %d" % item for item in sorted(book.done.items())), flush=True)
        expect(book.faults, [], "faults")
        calm(chain, book)
    everything_said_is_there(chain, book)
    expect(chain.sql("SELECT a.slug, b.* FROM token_balances b JOIN accounts a ON a.id = b.account_id"
                     " WHERE least(available, reserved, spent, expired, granted) < 0"), [],
           "balances below zero")
    check(book.done.get("kill of PostgreSQL", 0) > 0 and book.done.get("kill", 0) > 3, book.done)


def calm(chain, book):
    """What waits for a person is decided, and everything else comes to its end by itself."""
    for buyer, campaign in book.campaigns:
        for verb in ("resume", "cancel"):
            buyer.account.ask("POST", "/api/communications/campaigns/%s/%s" % (campaign, verb))
    wait_for("campaigns have ended", PATIENCE_S, lambda: chain.sql(
        "SELECT c.id, c.status, n.pending, n.sending FROM campaigns c JOIN campaign_counts n"
        "    ON n.campaign_id = c.id WHERE c.status NOT IN ('completed', 'cancelled', 'expired',"
        " 'refused', 'abandoned', 'sent')"), lambda rows: not rows, every_s=0.5)
    wait_for("callbacks are posted", PATIENCE_S,
             lambda: chain.mpesa.stats()["callbacks"]["pending"], lambda left: left == 0)
    wait_for("payments have ended", PATIENCE_S, lambda: chain.sql(
        "SELECT id, status, reason, next_query_at::text FROM payments WHERE status IN ('requested',"
        " 'pushing', 'push_unknown', 'prompted') OR next_query_at IS NOT NULL"), lambda rows: not rows, every_s=0.5)
    wait_for("money is back with who is to have it", PATIENCE_S, lambda: chain.sql(
        "SELECT receipt, status, reason FROM payment_reversals"
        " WHERE status IN ('requested', 'asking', 'asked')"), lambda rows: not rows, every_s=0.5)
    chain.settle(PATIENCE_S)
    on_the_statement(chain)
    chain.mpesa.await_settled(30)


def on_the_statement(chain):
    """
    Nobody told of it, neither callback nor answer, or it was paid after M-Pesa had called it failed and
    that callback is lost: that is found on the statement.
    """
    known = {row["receipt"] for row in chain.sql("SELECT receipt FROM payment_receipts")}
    doubtful = {row["reference"] for row in chain.sql(
        "SELECT p.reference FROM purchases p WHERE EXISTS (SELECT FROM payments y"
        " WHERE y.purchase_id = p.id AND (y.status = 'unresolved'"
        "    OR (y.status = 'failed' AND y.reason = 'no_answer')))")}
    untold = [row for row in chain.mpesa.payments()
              if row["receipt"] not in known and row["reference"] in doubtful]
    if untold:
        print("   %d payments on the statement only" % len(untold))
        subprocess.run([chain.build / "deploy/tumactl", "payments", "statement",
                        chain.mpesa.statement(untold), "--apply"], env=chain.environment(),
                       check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)


def everything_said_is_there(chain, book):
    rows = {(row["kind"], row["slug"], row["reference"]) for row in chain.sql(
        "SELECT e.kind, a.slug, e.reference FROM ledger_entries e JOIN accounts a"
        "    ON a.id = e.account_id")}
    expect([said for said in book.said if said not in rows][:5], [], "answered, and not there")
