#!/usr/bin/python3
"""chain - the whole platform as private processes, and the tests that run against it

    chain.py [--build DIR] [--keep] FILE.py[:test_name]…

Starts PostgreSQL and RabbitMQ (see servers), the provider's simulator, the ingress and every stage,
all below one folder in /tmp, and calls each test_*() of the files in turn:

    def test_a_broadcast_reaches_everybody(chain):
        acme = chain.account()
        campaign = acme.send_csv("Sale today", chain.phones(100))
        campaign.wait_for("completed")

A file may say SETTINGS = {...}: what its stages, ingress and simulator run with, and PAYMENTS = True:
then M-Pesa's simulator and settle-payment run as well (see payments.py). After each test the books
are checked: `tumactl verify`, nothing accepted twice, no program dead, nothing parked that was
not expected. Campaigns of one run need different texts, because the simulator takes a second
acceptance of the same number and text for a duplicate; chain.text() makes them so.

There are no sleeps but the one in wait_for(). Only processes started here are ended, by pid.
"""

import argparse
import collections
import contextlib
import ctypes
import importlib.util
import inspect
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request

import pika

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVERS = ROOT / "tests/support/servers"
PORTS = ROOT / "tests/support/ports"
STAGES = ("render-template", "reserve-tokens", "split-batches", "rate-limit", "send-sms", "place-call",
          "reconcile-dlr")
WEBHOOK_TOKEN = "hook-of-the-tests"
POLL_S = 0.03
END_S = 40  # how long a program may take to end when told to
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # of ids, see lib/base/id.c
ROUTES = {"rate-limit": [".sms", ".voice"], "send-sms": [".sms"], "place-call": [".voice"]}
FINAL = ("completed", "cancelled", "expired", "refused", "abandoned")

DEFAULTS = {
    "AT_USERNAME": "sandbox",
    "AT_API_KEY": "simulator-key",
    "COMMUNICATIONS_WEBHOOK_TOKEN": WEBHOOK_TOKEN,
    "HTTP_RATE_PER_KEY": "0",
    "HTTP_RATE_PER_ADDRESS": "0",
    "SMS_RATE_LIMIT_PER_SECOND": "0",
    # The first worker of a stage keeps to the lane "high".
    "RENDER_WORKER_CONCURRENCY": "3",
    "RECONCILE_WORKER_CONCURRENCY": "3",
    "SMS_WORKER_CONCURRENCY": "3",
    "SMS_TIMEOUT": "2s",
    "SMS_JOB_BACKOFF_MS": "300",
    "SMS_ROUTE_HOLD": "1s",
    "VOICE_RATE_LIMIT_PER_SECOND": "0",
    "VOICE_WORKER_CONCURRENCY": "3",
    "VOICE_CALLS_MAX": "0",
    "VOICE_TIMEOUT": "2s",
    "VOICE_JOB_BACKOFF_MS": "300",
    "VOICE_ROUTE_HOLD": "1s",
    "VOICE_DOUBT_WAIT": "3s",
    "AT_VOICE_CALLER_ID": "+254711000000",
    "MEDIA_SECRET": "a secret of the chain's tests alone",
    "RECONCILE_DOUBT_AFTER": "1s",
    "SIM_REPORT_DELAY": "20-200",
    "SIM_REPORT_CONNECTIONS": "200",
    "SIM_REPORT_RETRY": "300ms",
    "SIM_REPORT_RETRIES": "20",
    "SIM_BALANCE": "KES 9000000.00",
    "SIM_TEXTS": "100000",
}

Reply = collections.namedtuple("Reply", "status headers body")


class Failure(AssertionError):
    """What was expected did not come true."""


def check(condition, what):
    if not condition:
        raise Failure(what)


def expect(got, wanted, what):
    if got != wanted:
        raise Failure("%s: got %r, expected %r" % (what, got, wanted))


def wait_for(what, seconds, probe, done=bool, every_s=POLL_S):
    """The first value of probe() that is done. The last one is in the failure's words."""
    end = time.monotonic() + seconds
    while True:
        value = probe()
        if done(value):
            return value
        if time.monotonic() > end:
            raise Failure("not within %g s: %s; last seen: %r" % (seconds, what, value))
        time.sleep(every_s)


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def free_port():
    """For a program that comes back on the same port after a restart."""
    return int(subprocess.run([PORTS, "1"], check=True, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True).stdout)


def children_of(pid):
    try:
        return [int(child) for child in
                pathlib.Path("/proc/%d/task/%d/children" % (pid, pid)).read_text().split()]
    except (FileNotFoundError, ProcessLookupError):  # gone before or after the file was opened
        return []


def is_running(pid):
    try:
        return pathlib.Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Program:
    """One of our processes with its log."""

    def __init__(self, chain, name, command, own):
        self.chain = chain
        self.name = name
        self.command = [str(word) for word in command]
        self.own = own  # environment that only it has
        self.log = chain.dir / (name + ".log")
        self.process = None

    def start(self, **environment):
        check(self.process is None, self.name + " runs already")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command, env={**self.chain.environment(), **self.own, **environment},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent)

    def workers(self):
        return children_of(self.process.pid)

    def stop(self):
        """SIGTERM; it has to end by itself, with status 0."""
        process, self.process = self.process, None
        process.terminate()
        try:
            status = process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.process = process
            raise Failure("%s did not end within %d s" % (self.name, END_S)) from None
        expect(status, 0, "exit status of " + self.name)

    def kill(self):
        """kill -9 of it and its workers, all at once; it stays down."""
        workers = self.workers()
        process, self.process = self.process, None
        process.kill()
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        wait_for(self.name + "'s workers gone", 10,
                 lambda: not any(is_running(pid) for pid in workers))

    def kill_worker(self):
        """kill -9 of one worker; its supervisor starts another."""
        workers = self.workers()
        if workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.chain.random.choice(workers), signal.SIGKILL)

    def discard(self):
        if self.process is not None:
            self.kill()

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def count_log(self, *words):
        """Log lines that have all the words."""
        return sum(all(word in line for word in words) for line in self.text().splitlines())


class Psql:
    """One psql for many questions: tests ask often, and a process each would cost more than them."""

    END = "that is all"

    def __init__(self, url):
        self.process = subprocess.Popen(["psql", "-qXAtd", url], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True, preexec_fn=die_with_parent)

    def rows(self, query):
        """Raises OSError when the connection is lost."""
        print("SELECT row_to_json(t) FROM (%s) AS t;\n\\echo %s" % (query, self.END),
              file=self.process.stdin, flush=True)
        rows, words = [], []
        for line in self.process.stdout:
            if line.rstrip() == self.END:
                break
            if line.startswith("{"):
                rows.append(json.loads(line))
            else:
                words.append(line)
        else:
            raise OSError("psql ended")
        text = "".join(words)
        if "server closed the connection" in text or "terminating connection" in text:
            raise OSError(text)
        check(not text, "%s\n%s" % (query, text))
        return rows

    def close(self):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        self.process.kill()
        self.process.wait()


class Simulator:
    """A provider's control side."""

    def __init__(self, root):
        self.root = root

    def ask(self, path, value=None, method=None):
        request = urllib.request.Request(
            "%s/_sim/%s" % (self.root, path),
            data=None if value is None else json.dumps(value).encode(),
            method=method or ("GET" if value is None else "POST"))
        with urllib.request.urlopen(request, timeout=20) as reply:
            return json.load(reply)

    def stats(self):
        return self.ask("stats")

    def accepted(self):
        return self.stats()["accepted"]

    def faults(self, **faults):
        return self.ask("faults", faults)

    def clear(self, *names):
        return self.ask("faults", {name: 0 for name in names})

    def messages(self, phone):
        """What was accepted for a number, newest first."""
        return self.ask("messages?number=" + urllib.parse.quote(e164(phone)))

    def restart(self):
        """Forgets what it has counted; nothing may be under way."""
        return self.ask("reset", {})


def e164(phone):
    return "+254" + phone[1:] if phone.startswith("0") else phone


def msisdn(phone):
    return int(e164(phone)[1:])


class Campaign:
    def __init__(self, chain, name):
        self.chain = chain
        number = 0
        for letter in name.split("_", 1)[1]:
            number = number * 32 + ALPHABET.index(letter)
        self.id = number
        self.name = "cmp_" + name.split("_", 1)[1]
        self.shown = name

    def row(self):
        """The campaign's row and its counts, as the platform shows them."""
        rows = self.chain.sql(
            "SELECT c.status, c.detail, c.segments, c.invalid, c.duplicates, n.*"
            "  FROM campaigns c JOIN campaign_counts n ON n.campaign_id = c.id"
            " WHERE c.id = %d" % self.id)
        return rows[0] if rows else {"status": "none"}

    def states(self):
        """Counted from the recipients themselves."""
        return {row["word"]: row["n"] for row in self.chain.sql(
            "SELECT word, count(*) AS n FROM recipient_states WHERE campaign_id = %d GROUP BY 1"
            % self.id)}

    def recipients(self, where="true"):
        return self.chain.sql("SELECT * FROM recipient_states WHERE campaign_id = %d AND %s"
                              " ORDER BY seq" % (self.id, where))

    def wait_for(self, *statuses, seconds=30):
        return wait_for("%s is %s" % (self.name, " or ".join(statuses)), seconds, self.row,
                        lambda row: row["status"] in statuses)

    def wait_settled(self, seconds=60):
        """Everything said: no recipient is pending, sending or sent; some may be in doubt."""
        return wait_for("%s is settled" % self.name, seconds, self.row, lambda row: (
            row["status"] in ("sent", *FINAL)
            and row["pending"] + row["sending"] + row["sent"] == 0))

    def wait_until(self, what, done, seconds=30):
        return wait_for("%s: %s" % (self.name, what), seconds, self.row, done)


class Account:
    """A customer with a key, tokens and, if wished, a way in over AMQP."""

    def __init__(self, chain, slug, tokens, senders, amqp):
        self.chain = chain
        self.slug = slug
        words = ["account", "create", "--slug", slug, "--name", slug.title(),
                 "--email", slug + "@customers.test"]
        for sender in senders:
            words += ["--sender", sender]
        told = chain.tumactl(*words, *(["--amqp"] if amqp else []))
        self.password = None
        for line in told.splitlines():
            if line.startswith("amqp user"):
                self.password = line.split("password ")[1].split()[0]
        self.key = chain.tumactl("key", "create", "--account", slug, "--scopes",
                                 "read,send,admin").split()[0]
        if tokens:
            self.grant(tokens)

    def grant(self, tokens):
        self.chain.tumactl("tokens", "add", "--account", self.slug, "--tokens", str(tokens),
                           "--reference", self.chain.unique("TKN"))

    def balance(self):
        return self.chain.sql(
            "SELECT b.* FROM token_balances b JOIN accounts a ON a.id = b.account_id"
            " WHERE a.slug = '%s'" % self.slug)[0]

    # ---- REST ----

    def ask(self, method, path, body=None, content_type="application/json", headers=None,
            **arguments):
        if arguments:
            path += "?" + urllib.parse.urlencode(arguments)
        if body is not None and not isinstance(body, bytes):
            body = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        return self.chain.http(method, path, body, {
            "Authorization": "Bearer " + self.key, "Content-Type": content_type,
            **(headers or {})})

    def take(self, reply):
        expect(reply.status, 202, "status of %s" % (reply.body,))
        return Campaign(self.chain, reply.body["id"])

    def send_csv(self, template, phones, columns=None, headers=None, **arguments):
        """columns: further columns by name, each a list or a function of the row's number."""
        columns = columns or {}
        lines = [",".join(["phone", *columns])]
        for i, phone in enumerate(phones):
            cells = [phone]
            for column in columns.values():
                cells.append(str(column(i) if callable(column) else column[i]))
            lines.append(",".join(cells))
        return self.take(self.ask(
            "POST", "/api/communications/sms", "\n".join(lines) + "\n", "text/csv", headers,
            messageTemplate=template, title="Test", **arguments))

    def send_inline(self, template, recipients, **fields):
        return self.take(self.ask("POST", "/api/communications/sms", {
            "title": "Test", "messageTemplate": template, "recipients": recipients, **fields}))

    def send_message(self, message, recipients, sender_id=None, **options):
        body = {"message": message, "recipients": recipients}
        if sender_id:
            body["sender_id"] = sender_id
        if options:
            body["options"] = options
        return self.take(self.ask("POST", "/api/messages/send/", body))

    def steer(self, campaign, verb):
        reply = self.ask("POST", "/api/communications/campaigns/%s/%s" % (campaign.name, verb))
        expect(reply.status, 202, "%s: %s" % (verb, reply.body))

    def partner(self):
        return Partner(self)


class Partner:
    """An account's own AMQP connection, with its own login and rights."""

    def __init__(self, account):
        self.account = account
        self.exchange = "tuma.in." + account.slug
        self.connection = None
        self.open()

    def open(self):
        chain = self.account.chain
        at = urllib.parse.urlsplit(chain.servers["AMQP_URL"])
        self.connection = pika.BlockingConnection(pika.ConnectionParameters(
            at.hostname, at.port, "/", pika.PlainCredentials(self.account.slug,
                                                             self.account.password)))
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()

    def close(self):
        with contextlib.suppress(pika.exceptions.AMQPError):
            self.connection.close()

    def publish(self, kind, body, message_id=None, lane="normal", exchange=None, key=None,
                **properties):
        """Returns once the broker has confirmed it."""
        message_id = message_id or self.account.chain.unique("m")
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.channel.basic_publish(
            self.exchange if exchange is None else exchange, key or "%s.%s" % (kind, lane), body,
            pika.BasicProperties(**{
                "message_id": message_id, "type": kind + ".v1",
                "content_type": "application/json", "delivery_mode": 2,
                "timestamp": int(time.time()), **properties}),
            mandatory=True)
        return message_id

    def submit(self, reference, template, phones=None, chunks=None, message_id=None,
               lane="normal", **fields):
        body = {"reference": reference, "title": "Test", "message_template": template, **fields}
        if phones is not None:
            body.update(columns=["phone"], rows=[[phone] for phone in phones])
        if chunks is not None:
            body["chunks"] = chunks
        self.publish("campaign.submitted", body, message_id, lane)

    def submit_in_chunks(self, reference, template, phones, columns=None, size=1000, **fields):
        """columns as for send_csv()."""
        columns = columns or {}
        count = (len(phones) + size - 1) // size
        self.submit(reference, template, chunks=count, **fields)
        for chunk in range(count):
            rows = [[phones[i], *(str(make(i)) for make in columns.values())]
                    for i in range(chunk * size, min(len(phones), (chunk + 1) * size))]
            self.publish("recipients.submitted", {
                "reference": reference, "chunk": chunk + 1, "first_row": chunk * size + 1,
                "columns": ["phone", *columns], "rows": rows}, "%s-%d" % (reference, chunk + 1))

    def campaign(self, reference, seconds=10):
        rows = wait_for("campaign " + reference, seconds, lambda: self.account.chain.sql(
            "SELECT c.id FROM campaigns c JOIN accounts a ON a.id = c.account_id"
            " WHERE a.slug = '%s' AND c.reference = '%s'" % (self.account.slug, reference)))
        return Campaign(self.account.chain, id_text(rows[0]["id"]))

    def events(self):
        """All events that wait in the account's queue, taken from it."""
        found = []
        while True:
            method, properties, body = self.channel.basic_get(
                "tuma.events." + self.account.slug, auto_ack=True)
            if method is None:
                return found
            found.append((properties.type, json.loads(body)))


def id_text(number):
    letters = ""
    for _ in range(13):
        letters = ALPHABET[number % 32] + letters
        number //= 32
    return "cmp_" + letters


class Chain:
    def __init__(self, build, seed=None):
        self.build = pathlib.Path(build).resolve()
        self.seed = seed if seed is not None else random.SystemRandom().randrange(1 << 30)
        self.random = random.Random(self.seed)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tuma-chain.", dir="/tmp"))
        self.dir.chmod(0o755)
        self.servers = {}
        self.settings = dict(DEFAULTS)
        self.programs = {}
        self.counter = 0
        self.next_phone = 710000000
        self.admin = None
        self.psql = None
        self.provider = "http://127.0.0.1:%d" % free_port()
        self.http_listen = "127.0.0.1:%d" % free_port()
        self.simulator = Simulator(self.provider)
        self.mpesa = None  # payments.Mpesa, while a file wants payments

    # ---- setting up ----

    def environment(self):
        callback = "http://%s/api/messages/%%s/%s" % (self.http_listen, WEBHOOK_TOKEN)
        return {
            "PATH": os.environ["PATH"], "LANG": "C.UTF-8",
            **{key: os.environ[key] for key in os.environ if key.endswith("SAN_OPTIONS")},
            **self.servers,
            "TUMA_MIGRATIONS": str(ROOT / "migrations"),
            "HTTP_LISTEN": self.http_listen,
            "AT_SMS_URL": self.provider + "/version1",
            "AT_VOICE_URL": self.provider,
            "PUBLIC_URL": "http://" + self.http_listen,
            "AUDIO_FOLDER": str(self.dir / "audio"),
            "SIM_LISTEN": self.provider[7:],
            "SIM_VOICE_URL": "http://%s/api/communications/webhooks/voice/%s"
                             % (self.http_listen, WEBHOOK_TOKEN),
            "SIM_REPORT_URL": callback % "delivery-callback",
            "SIM_INCOMING_URL": callback % "incoming",
            "SIM_OPT_OUT_URL": "http://%s/api/communications/webhooks/sms/%s"
                               % (self.http_listen, WEBHOOK_TOKEN),
            **(self.mpesa.environment() if self.mpesa else {}),
            **self.settings,
        }

    def server(self, *words):
        """A command of tests/support/servers: kill, restart, halt, start."""
        subprocess.run([SERVERS, words[0], self.dir / "servers", *words[1:]], check=True,
                       stdin=subprocess.DEVNULL,
                       env={**os.environ, "SERVERS_OWNER": str(os.getpid())})
        self.servers = dict(line.split("=", 1) for line in
                            (self.dir / "servers/env").read_text().splitlines())

    def open(self):
        self.server("start")
        self.tumactl("migrate")
        definitions = self.dir / "definitions.json"
        definitions.write_text(self.tumactl("topology"))
        definitions.chmod(0o644)
        self.rabbitmqctl("import_definitions", definitions)
        self.add("simulator", self.build / "tests/simulators/africastalking-simulator")
        self.add("ingress", self.build / "ingress/ingress")
        for stage in STAGES:
            self.add(stage, self.build / "stages" / stage)
        self.start_all()

    def add(self, name, *command, **own):
        self.programs[name] = Program(self, name, command, own)

    def __getitem__(self, name):
        return self.programs[name]

    def start_all(self, **environment):
        for program in self.programs.values():
            if program.process is None:
                program.start(**environment)
        self.await_ready()

    def await_ready(self):
        wait_for("the ingress is ready", 30,
                 lambda: self.http("GET", "/readyz").status == 200, every_s=0.2)
        wait_for("every stage consumes", 30, lambda: min(
            self.queue(name)[1] for name in self.queues()))

    def configure(self, settings, payments=False):
        """Goes on with these settings instead of the usual; restarts everything if they differ."""
        settings = {**DEFAULTS, **settings}
        if settings == self.settings and payments == (self.mpesa is not None):
            return
        self.stop_all()
        self.settings = settings
        if payments and self.mpesa is None:
            self.mpesa = importlib.import_module("payments").Mpesa(self)
        elif not payments and self.mpesa is not None:
            self.mpesa.leave()
            self.mpesa = None
        self.start_all()

    def stages(self):
        return STAGES if self.mpesa is None else (*STAGES, self.mpesa.stage)

    def stop_all(self):
        for name in reversed(self.programs):
            if self.programs[name].process is not None:
                self.programs[name].stop()

    def close(self, keep):
        if self.admin is not None:
            with contextlib.suppress(pika.exceptions.AMQPError, OSError):
                self.admin.close()
        if self.psql is not None:
            self.psql.close()
        for program in self.programs.values():
            program.discard()
        if keep:
            print("kept: %s" % self.dir)
            return
        subprocess.run([SERVERS, "discard", self.dir / "servers"], check=False,
                       stdin=subprocess.DEVNULL)
        shutil.rmtree(self.dir, ignore_errors=True)

    # ---- asking ----

    def tumactl(self, *words, status=0):
        done = subprocess.run([self.build / "deploy/tumactl", *words], env=self.environment(),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False, timeout=60)
        expect(done.returncode, status, "tumactl %s: %s%s" % (" ".join(map(str, words)),
                                                              done.stdout, done.stderr))
        return done.stdout

    def rabbitmqctl(self, *words):
        return subprocess.run([self.servers["RABBITMQCTL"], *map(str, words)], check=True,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout

    def sql(self, query):
        """Rows as dicts. Outlives a restart of the database."""
        for attempt in (1, 2):
            if self.psql is None:
                self.psql = Psql(self.servers["DATABASE_URL"])
            try:
                return self.psql.rows(query)
            except OSError:
                self.psql.close()
                self.psql = None
                if attempt == 2:
                    raise Failure("the database is away: " + query) from None
        return None

    def execute(self, statement):
        subprocess.run(["psql", "-qXd", self.servers["DATABASE_URL"], "-v", "ON_ERROR_STOP=1",
                        "-c", statement], check=True, stdin=subprocess.DEVNULL)

    def http(self, method, path, body=None, headers=None):
        request = urllib.request.Request("http://%s%s" % (self.http_listen, path), body,
                                         headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return self.reply(reply.status, reply.headers, reply.read())
        except urllib.error.HTTPError as error:
            return self.reply(error.code, error.headers, error.read())
        except OSError as error:  # nobody listens, or it was killed in mid-answer
            return Reply(0, {}, str(error))

    @staticmethod
    def reply(status, headers, body):
        text = body.decode()
        is_json = "json" in (headers.get("Content-Type") or "")
        return Reply(status, headers, json.loads(text) if is_json else text)

    def channel(self):
        """A channel of the broker's administrator, opened anew when the broker was away."""
        if self.admin is None or not self.admin.is_open or not self.admin_channel.is_open:
            self.admin = pika.BlockingConnection(pika.URLParameters(self.servers["AMQP_URL"]))
            self.admin_channel = self.admin.channel()
            self.admin_channel.confirm_delivery()
        return self.admin_channel

    def queues(self):
        names = []
        for stage in self.stages():
            for route in ROUTES.get(stage, [""]):
                names += ["tuma.%s%s.%s" % (stage, route, lane) for lane in ("high", "normal")]
        return names

    def queue(self, name):
        """Messages ready and consumers."""
        for attempt in (1, 2):
            try:
                ok = self.channel().queue_declare(name, passive=True)
                return ok.method.message_count, ok.method.consumer_count
            except pika.exceptions.AMQPError:
                self.admin = None
                if attempt == 2:
                    raise
        return None

    def depths(self):
        return {name: depth for name in self.queues() for depth, _ in [self.queue(name)] if depth}

    def publish(self, exchange, key, body, **properties):
        """As the broker's administrator, who may write anywhere."""
        self.channel().basic_publish(exchange, key, body,
                                     pika.BasicProperties(delivery_mode=2, **properties),
                                     mandatory=True)

    def count_parked(self):
        return sum(self.queue("tuma.%s.parked" % stage)[0] for stage in self.stages())

    def take_parked(self, stage):
        """The stage's parked messages, taken away: (properties, body) each."""
        found = []
        while True:
            method, properties, body = self.channel().basic_get("tuma.%s.parked" % stage,
                                                                auto_ack=True)
            if method is None:
                return found
            found.append((properties, body))

    # ---- making ----

    def unique(self, word):
        self.counter += 1
        return "%s-%d" % (word, self.counter)

    def text(self, words="Habari wateja"):
        """A text that no other campaign of this run has."""
        return self.unique(words + ", offer")

    def phones(self, count, ending=None):
        """Numbers nobody else in this run has, as people write them."""
        first = self.next_phone
        self.next_phone += count
        check(self.next_phone < 730000000, "too many numbers")
        return ["0%d" % number for number in range(first, first + count)]

    def account(self, tokens=1000000, senders=(), amqp=False):
        return Account(self, self.unique("acme"), tokens, senders, amqp)

    # ---- the books ----

    def settle(self, seconds=60):
        """Waits until nothing is under way."""
        wait_for("the queues are empty", seconds, self.depths, lambda depths: not depths)

    def audit(self):
        """What must hold after each test."""
        self.settle()
        for program in self.programs.values():
            check(program.process is None or program.process.poll() is None,
                  "%s died with status %s" % (program.name, program.process
                                              and program.process.returncode))
        self.tumactl("verify")
        stats = self.simulator.stats()
        expect(stats["duplicates"], 0, "messages accepted twice")
        expect(stats["voice"]["duplicates"], 0, "numbers called twice by one request's name")
        if self.mpesa is not None:
            self.mpesa.audit()
        if self.count_parked():
            raise Failure("parked: %r" % ([(stage, found[:5]) for stage in self.stages()
                                           for found in [self.take_parked(stage)] if found],))

    def explain(self):
        """What a person wants to see after a failure."""
        with contextlib.suppress(Exception):
            print("--- queues: %r" % self.depths())
        for query in ("SELECT id, status, detail, planned, next_seq, last_seq FROM campaigns"
                      " WHERE status NOT IN ('completed', 'cancelled', 'expired', 'refused',"
                      " 'abandoned')",
                      "SELECT * FROM routes",
                      "SELECT count(*), min(next_try_at) FROM unmatched_reports",
                      "SELECT campaign_id, batch, pass, first_seq, last_seq, claimed_seq, "
                      "recorded_seq, claim, in_doubt, sent, waiting, done_at, settled_at"
                      " FROM batches WHERE settled_at IS NULL LIMIT 20"):
            with contextlib.suppress(Exception):
                for row in self.sql(query):
                    print("--- %r" % row)
        with contextlib.suppress(Exception):
            print("--- simulator: %s" % json.dumps(
                {key: value for key, value in self.simulator.stats().items()
                 if key not in ("accepted_per_100ms", "faults")}))
        if self.mpesa is not None:
            self.mpesa.explain()
        for program in self.programs.values():
            lines = program.text().splitlines()
            odd = [line for line in lines if " level=info " not in line and
                   not line.startswith("level=info")]
            print("--- %s: %d lines; not of level info:" % (program.name, len(lines)))
            print("\n".join(odd[-12:]))
            if not odd:
                print("\n".join(lines[-3:]))


# ---- running tests ----


def load(path):
    sys.path.insert(0, str(path.resolve().parent))
    spec = importlib.util.spec_from_file_location("t" + path.stem.replace("-", "_"), path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tests_of(module, only):
    tests = [function for name, function in inspect.getmembers(module, inspect.isfunction)
             if name.startswith("test_") and (only is None or name == only)
             and function.__module__ == module.__name__]
    check(tests, "%s has no such test" % module.__name__)
    return sorted(tests, key=lambda function: function.__code__.co_firstlineno)


def run(chain, path, only):
    module = load(path)
    chain.configure(getattr(module, "SETTINGS", {}), getattr(module, "PAYMENTS", False))
    for test in tests_of(module, only):
        began = time.monotonic()
        try:
            test(chain)
            chain.audit()
        except BaseException:
            print("FAILED %s %s (%.1f s)" % (path.name, test.__name__, time.monotonic() - began))
            traceback.print_exc(file=sys.stdout)
            if not isinstance(sys.exc_info()[1], KeyboardInterrupt):
                chain.explain()
            return False
        print("ok %s %s (%.1f s)" % (path.name, test.__name__[5:].replace("_", " "),
                                     time.monotonic() - began), flush=True)
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=ROOT / "build", help="the build folder")
    parser.add_argument("--seed", type=int, default=None, help="of what is left to chance")
    parser.add_argument("--keep", action="store_true", help="leave logs and data behind")
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chain = Chain(options.build, options.seed)
    print("seed %d, %s" % (chain.seed, chain.dir), flush=True)
    good = False
    try:
        chain.open()
        good = all(run(chain, pathlib.Path(name), only or None)
                   for name, _, only in (word.partition(":") for word in options.files))
        if good:
            chain.stop_all()  # in good order, with status 0
    finally:
        chain.close(options.keep)
    return 0 if good else 1


if __name__ == "__main__":
    sys.modules.setdefault("chain", sys.modules["__main__"])
    sys.exit(main())
