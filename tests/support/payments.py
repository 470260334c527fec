"""payments - M-Pesa beside the chain, buyers of plans, and what must hold of their money

    PAYMENTS = True                       # in a test's file: chain.mpesa is there

    def test_a_plan_is_bought(chain):
        buyer = Buyer(chain)
        payment = buyer.buy("starter")    # by REST; its phone is asked
        payment.wait_for("paid")

chain.mpesa is the simulator's control side; its programs are "daraja-simulator" and
"settle-payment". Times are short: see DEFAULTS, which a file's SETTINGS may change.
"""

import base64
import contextlib
import http.client
import json
import threading
import time
import urllib.request

import pika

from chain import ALPHABET, Simulator, check, expect, free_port, id_text, wait_for

SHORTCODE = "174379"
PASSKEY = "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919"  # the public sandbox's
C2B_TOKEN = "c2b0c2b0c2b0c2b0"
TOKENS = {"starter": 1000, "business": 5000, "enterprise": 20000}

DEFAULTS = {
    "MPESA_CONSUMER_KEY": "simulator-key",
    "MPESA_CONSUMER_SECRET": "simulator-secret",
    "MPESA_SHORTCODE": SHORTCODE,
    "MPESA_PASSKEY": PASSKEY,
    "MPESA_C2B_TOKEN": C2B_TOKEN,
    "MPESA_INITIATOR": "apiop",
    "MPESA_SECURITY_CREDENTIAL": "as-encrypted-on-the-portal",
    "MPESA_TIMEOUT": "3s",
    "MPESA_QUERY_AFTER": "1s",
    "MPESA_QUERY_PER_MINUTE": "600",
    "MPESA_CREDIT_WITHOUT_RECEIPT": "1s",
    "MPESA_GIVE_UP": "10s",
    "PAYMENT_WORKER_CONCURRENCY": "4",
}

# What the simulator's payers need, unless a test says otherwise.
PACE = {"pay_min_ms": 20, "pay_max_ms": 200, "callback_min_ms": 1, "callback_max_ms": 50,
        "prompt_ms": 300, "late_ms": 3000}


def number_of(shown):
    """The id of "pay_06ETQ5S0K3P1V" as the database has it."""
    number = 0
    for letter in shown.split("_", 1)[1]:
        number = number * 32 + ALPHABET.index(letter)
    return number


class Mpesa(Simulator):
    stage = "settle-payment"

    def __init__(self, chain):
        super().__init__("http://127.0.0.1:%d" % free_port())
        self.chain = chain
        chain.add("daraja-simulator", chain.build / "tests/simulators/daraja-simulator",
                  SIM_LISTEN=self.root[7:], SIM_FORCE="", SIM_FAULTS=json.dumps(PACE),
                  SIM_CALLBACK_CONNECTIONS="32")
        chain.add(self.stage, chain.build / "stages" / self.stage)

    def leave(self):
        for name in ("daraja-simulator", self.stage):
            del self.chain.programs[name]

    def environment(self):
        return {**DEFAULTS, "MPESA_BASE_URL": self.root,
                "PUBLIC_URL": "http://" + self.chain.http_listen}

    # ---- what payers do ----

    @contextlib.contextmanager
    def misbehaving(self, **faults):
        """These faults for a while; shares go back to 0, numbers to those of PACE."""
        self.faults(**faults)
        try:
            yield self
        finally:
            self.faults(**{name: "" if name == "force" else PACE.get(name, 0) for name in faults})

    def force(self, behaviours):
        """{payment or phone: behaviour}: what these payers do."""
        self.faults(force=",".join("%s:%s" % (getattr(payer, "phone", payer)[-9:], behaviour)
                                   for payer, behaviour in behaviours.items()))

    def push_of(self, payment):
        """The one push of a payment, as M-Pesa sees it."""
        found = [push for push in self.ask("pushes?phone=" + payment.phone)
                 if push["reference"] == payment.reference]
        return found[0] if found else None

    def payments(self):
        return self.ask("payments?limit=1000000")

    def pay_by_hand(self, phone, shillings, reference):
        """To the paybill, without a prompt; the receipt."""
        return self.ask("pay", {"phone": phone, "amount": shillings,
                                "reference": reference})["receipt"]

    def register_c2b(self):
        """Has payments to the paybill confirmed to us, as an operator does once."""
        basic = base64.b64encode(b"simulator-key:simulator-secret").decode()
        token = self.api("GET", "/oauth/v1/generate?grant_type=client_credentials", None,
                         "Basic " + basic)["access_token"]
        at = "http://%s/api/pay/c2b/%%s/%s" % (self.chain.http_listen, C2B_TOKEN)
        told = self.api("POST", "/mpesa/c2b/v2/registerurl", {
            "ShortCode": SHORTCODE, "ResponseType": "Completed",
            "ConfirmationURL": at % "confirmation", "ValidationURL": at % "validation"},
            "Bearer " + token)
        expect(told["ResponseCode"], "0", "registration: %r" % told)

    def api(self, method, path, body, authorization):
        request = urllib.request.Request(
            self.root + path, None if body is None else json.dumps(body).encode(),
            {"Authorization": authorization, "Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=20) as reply:
            return json.load(reply)

    # ---- the books ----

    def statement(self, receipts):
        """A file as M-Pesa's portal gives it, of these payments (rows of payments())."""
        path = self.chain.dir / "statement.csv"
        with open(path, "w", encoding="utf-8") as file:
            file.write("Organization:,Tuma Ltd\nShort Code:,%s\n\nReceipt No.,Completion Time,"
                       "Initiation Time,Details,Transaction Status,Paid In,Withdrawn,Balance,"
                       "A/C No.,Linked Transaction ID\n" % SHORTCODE)
            for row in receipts:
                at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(row["paid_ms"] / 1000 + 10800))
                file.write("%s,%s,%s,Pay Bill,Completed,%d.00,,0.00,%s,\n"
                           % (row["receipt"], at, at, row["amount"], row["reference"]))
        return path

    def receipts(self, where="true"):
        return self.chain.sql("SELECT * FROM payment_receipts WHERE " + where)

    def audit(self):
        """Nobody was asked twice, and nothing was credited that M-Pesa did not get."""
        expect(self.stats()["pushes"]["repeated_urls"], 0, "pushes made twice")
        paid = {row["receipt"]: row for row in self.payments()}
        checkouts = {row.get("checkout_request_id") for row in paid.values()}
        for row in self.receipts("status = 'credited'"):
            receipt = row["receipt"]
            if receipt.startswith("QUERY-"):
                check(receipt[6:] in checkouts, "%s: M-Pesa has no such money" % receipt)
            else:
                expect(row["amount_minor"], 100 * paid[receipt]["amount"] if receipt in paid
                       else None, "amount of %s" % receipt)

    def unsettled(self):
        """Purchases that are not what M-Pesa's money says: how many, and a few of them."""
        money = {}
        for row in self.payments():
            if not row["reversed"]:
                money.setdefault(row["reference"], set()).add(100 * row["amount"])
        wrong = []
        for row in self.chain.sql(
                "SELECT p.reference, amount_minor, status, EXISTS (SELECT FROM payment_receipts r"
                "        WHERE r.purchase_id = p.id AND r.why LIKE 'matched by%') AS by_hand,"
                "       EXISTS (SELECT FROM payment_receipts r WHERE r.purchase_id = p.id"
                "           AND r.status = 'credited' AND r.receipt LIKE 'QUERY-%') AS by_query"
                "  FROM purchases p WHERE amount_minor > 0"):
            came = row["amount_minor"] in money.get(row["reference"], ())
            # A query does not tell the amount: another one is found on the statement.
            excused = row["by_hand"] or (row["by_query"] and row["reference"] in money)
            if row["status"] == "open" if came else row["status"] == "paid" and not excused:
                wrong.append((row["reference"], row["status"], came))
        return len(wrong), wrong[:5]

    def await_settled(self, seconds):
        """Every purchase for which its money came is paid, and no other; each once (verify)."""
        wait_for("purchases are paid as M-Pesa says", seconds, self.unsettled,
                 lambda wrong: wrong[0] == 0, every_s=0.5)

    def explain(self):
        for query in ("SELECT status, reason, count(*) FROM payments GROUP BY 1, 2 ORDER BY 3 DESC",
                      "SELECT verdict, count(*) FROM payment_callbacks GROUP BY 1",
                      "SELECT status, count(*) FROM payment_receipts GROUP BY 1"):
            with contextlib.suppress(Exception):
                print("--- payments: %r" % self.chain.sql(query))
        with contextlib.suppress(Exception):
            stats = self.stats()
            print("--- M-Pesa: %s" % json.dumps({name: stats[name] for name in
                                                 ("pushes", "results", "queries", "callbacks")
                                                 if name in stats}))


class Payment:
    """A try to pay a purchase."""

    def __init__(self, buyer, told):
        self.buyer = buyer
        self.id = told["id"]
        self.reference = told["reference"]
        self.phone = told["phone_number"]
        self.amount = told["amount"]

    @property
    def shillings(self):
        return int(self.amount.split(".")[0])

    def row(self):
        """As the payer sees it."""
        reply = self.buyer.account.ask("GET", "/api/payments/" + self.id)
        return reply.body if reply.status == 200 else {"status": reply.status, "reason": None}

    def wait_for(self, status, reason=None, seconds=60):
        return wait_for("%s is %s %s" % (self.reference, status, reason or ""), seconds, self.row,
                        lambda row: row["status"] == status and reason in (None, row["reason"]))

    def wait_final(self, seconds=60):
        return wait_for("%s has ended" % self.reference, seconds, self.row,
                        lambda row: row.get("final"))

    def columns(self):
        [row] = self.buyer.chain.sql("SELECT * FROM payments WHERE id = %d" % number_of(self.id))
        return row

    def callbacks(self):
        return self.buyer.chain.sql("SELECT * FROM payment_callbacks WHERE payment_id = %d"
                                    " ORDER BY id" % number_of(self.id))

    def forget_the_minute(self):
        """As if the phone had been asked a minute ago: then it may be asked again."""
        self.buyer.chain.execute("UPDATE payments SET pushed_at = pushed_at - interval '61 s',"
                                 " created_at = created_at - interval '61 s' WHERE id = %d"
                                 % number_of(self.id))

    def retry(self):
        reply = self.buyer.account.ask("POST", "/api/payments/%s/retry" % self.id)
        expect(reply.status, 202, "retry of %s: %r" % (self.reference, reply.body))
        return Payment(self.buyer, reply.body)

    def receipt(self):
        reply = self.buyer.account.ask("GET", "/api/payments/%s/receipt" % self.id)
        expect(reply.status, 200, "receipt of %s: %r" % (self.reference, reply.body))
        return reply.body

    def watch(self):
        return Watch(self)


class Purchases:
    """Many purchases at once, each with a payment as the ingress leaves it before it tells."""

    FIRST_PHONE = 254720000000

    def __init__(self, chain, count, accounts=100):
        self.chain = chain
        self.count = count
        self.first = chain.random.randrange(1 << 40, 1 << 50) << 8
        first_account = chain.random.randrange(1 << 40, 1 << 50) << 8
        reference = chain.random.randrange(10 ** 9, 9 * 10 ** 9)
        word = chain.unique("bulk")
        chain.execute(
            "INSERT INTO accounts (id, slug, name, email) SELECT %d + i, '%s-' || i, 'Bulk',"
            "  '%s-' || i || '@customers.test' FROM generate_series(0, %d) i"
            % (first_account, word, word, accounts - 1))
        chain.execute(
            "INSERT INTO purchases (id, account_id, reference, plan, tokens, valid_days,"
            "  amount_minor, currency, status) SELECT %d + i, %d + i %% %d, 'TK' || %d + i, code,"
            "  tokens, valid_days, price_minor, currency, 'open'"
            "  FROM generate_series(0, %d) i, plans WHERE code = 'starter'"
            % (self.first, first_account, accounts, reference, count - 1))
        chain.execute(
            "INSERT INTO payments (id, purchase_id, account_id, provider, msisdn, amount_minor,"
            "  currency, status, next_query_at) SELECT id, id, account_id, 'mpesa',"
            "  %d + id - %d, amount_minor, currency, 'requested', now() + interval '10 minutes'"
            "  FROM purchases WHERE id >= %d AND id < %d"
            % (self.FIRST_PHONE, self.first, self.first, self.first + count))
        chain.execute("ANALYZE purchases, payments")

    def rows(self, columns="*", where="true"):
        return self.chain.sql("SELECT %s FROM payments WHERE id >= %d AND id < %d AND %s"
                              % (columns, self.first, self.first + self.count, where))

    def request(self):
        """Tells settle-payment of all that it has not heard of; again is no harm."""
        rows = self.rows("id", "status = 'requested'")
        parameters = pika.URLParameters(self.chain.servers["AMQP_URL"])
        with contextlib.closing(pika.BlockingConnection(parameters)) as connection:
            channel = connection.channel()  # without confirms: 10,000 of them would take a while
            for row in rows:
                shown = id_text(row["id"]).replace("cmp_", "pay_")
                channel.basic_publish(
                    "tuma.payments", "payment.requested.normal",
                    json.dumps({"payment": shown}),
                    pika.BasicProperties(message_id="%032x" % row["id"],
                                         type="payment.requested.v1", timestamp=int(time.time()),
                                         content_type="application/json", delivery_mode=2))
        return len(rows)

    def paid(self):
        return self.rows("count(*) AS n", "status = 'paid'")[0]["n"]


class Watch(threading.Thread):
    """The payer's page: the events of a payment, as they come."""

    def __init__(self, payment):
        super().__init__(daemon=True)
        self.payment = payment
        self.events = []  # (event, status, reason)
        self.failure = None
        self.start()

    def run(self):
        account = self.payment.buyer.account
        host, port = account.chain.http_listen.split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=90)
        try:
            connection.request("GET", "/api/payments/%s/events" % self.payment.id,
                               headers={"Authorization": "Bearer " + account.key})
            event = None
            for line in connection.getresponse():
                if line.startswith(b"event: "):
                    event = line[7:].strip().decode()
                elif line.startswith(b"data: "):
                    told = json.loads(line[6:])
                    self.events.append((event, told["status"], told["reason"]))
        except (OSError, http.client.HTTPException) as failure:
            self.failure = failure
        finally:
            connection.close()

    def wait_end(self, seconds=60):
        self.join(seconds)
        check(not self.is_alive() and self.failure is None,
              "the events of %s end: %r, %r" % (self.payment.id, self.events, self.failure))
        return self.events


class Buyer:
    """An account that buys plans. Each purchase is asked of another phone unless one is named."""

    def __init__(self, chain, account=None):
        self.chain = chain
        self.account = account or chain.account(tokens=0)

    def phone(self):
        return "254" + self.chain.phones(1)[0][1:]

    def ask(self, plan="starter", phone=None, **headers):
        """The bare answer."""
        return self.account.ask("POST", "/api/tokens/purchase/", {
            "package_type": plan, "payment_method": "mpesa",
            "phone_number": phone or self.phone()}, headers=headers)

    def buy(self, plan="starter", phone=None):
        reply = self.ask(plan, phone)
        expect(reply.status, 202, "purchase: %r" % (reply.body,))
        return Payment(self, reply.body)

    def tokens(self):
        rows = self.chain.sql("SELECT b.granted FROM token_balances b JOIN accounts a"
                              " ON a.id = b.account_id WHERE a.slug = '%s'" % self.account.slug)
        return rows[0]["granted"] if rows else 0
