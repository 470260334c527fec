#!/usr/bin/python3
"""ingress_tests - the ingress alone, on private servers, against all that a caller may do

    ingress_tests.py --build DIR [--keep] [test_words…]

Starts PostgreSQL, RabbitMQ, the provider's simulator and the ingress below a folder in /tmp, and calls
each test_*(env) of the test_*.py files beside this one, in order of file name and line. No stage runs:
what the ingress publishes is read from the stages' queues.

Every answer that env.ask() sees is held against schemas/openapi.yaml: path, method, status, content
type and schema; and at the end every operation must have been seen to succeed.
"""

import argparse
import collections
import ctypes
import http.client
import importlib.util
import inspect
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.parse

import pika

from contract import Contract

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
SERVERS = ROOT / "tests/support/servers"
TOKEN = "hook-of-the-tests"
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # of ids, see lib/base/id.c
CALLBACK = "/api/messages/delivery-callback/" + TOKEN

Reply = collections.namedtuple("Reply", "status headers body")


class Failure(AssertionError):
    pass


def check(condition, what):
    if not condition:
        raise Failure(what)


def expect(got, wanted, what):
    if got != wanted:
        raise Failure("%s: got %r, expected %r" % (what, got, wanted))


def wait_for(what, seconds, probe):
    end = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure("not within %g s: %s" % (seconds, what))
        time.sleep(0.03)


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def row_id(name):
    """The database's number for "cmp_…"."""
    number = 0
    for letter in name.split("_", 1)[1]:
        number = number * 32 + ALPHABET.index(letter)
    return number


class Ingress:
    """One ingress process."""

    def __init__(self, env, name, **settings):
        self.log = env.dir / (name + ".log")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(env.build / "ingress/ingress")], env={**env.environment, **settings},
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                preexec_fn=die_with_parent)
        line = self.process.stdout.readline().split()
        check(line[:1] == [b"listening"], "the ingress does not start: " + self.log.read_text())
        self.port = int(line[1])

    def memory_kib(self):
        for line in pathlib.Path("/proc/%d/status" % self.process.pid).read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
        return 0

    def stop(self):
        """SIGTERM; it has to end by itself, with status 0."""
        self.process.terminate()
        expect(self.process.wait(30), 0, "exit status of the ingress")


class Env:
    def __init__(self, arguments):
        self.build = pathlib.Path(arguments.build).resolve()
        self.contract = Contract(ROOT / "schemas/openapi.yaml")
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tuma.ingress.", dir="/tmp"))
        self.dir.chmod(0o711)  # the servers run as users of their own
        self.check_contract = True
        self.extra = []
        self.simulator = None
        self.main = None
        self.messages = {}
        self.sanitized = "SANITIZE:STRING=\n" not in (self.build / "CMakeCache.txt").read_text()

    def start(self):
        subprocess.run([SERVERS, "start", self.dir / "servers"], check=True,
                       env={**os.environ, "SERVERS_OWNER": str(os.getpid())})
        lines = (self.dir / "servers/env").read_text().splitlines()
        self.servers = dict(line.split("=", 1) for line in lines)
        self.environment = {
            **os.environ,
            "DATABASE_URL": self.servers["DATABASE_URL"], "AMQP_URL": self.servers["AMQP_URL"],
            "HTTP_LISTEN": "127.0.0.1:0", "HTTP_RATE_PER_KEY": "0", "HTTP_RATE_PER_ADDRESS": "0",
            "COMMUNICATIONS_WEBHOOK_TOKEN": TOKEN, "AT_USERNAME": "sandbox", "AT_API_KEY": "simkey",
        }
        self.tumactl("migrate", str(ROOT / "migrations"))
        topology = self.dir / "servers/topology.json"
        topology.write_text(self.tumactl("topology"))
        topology.chmod(0o644)
        subprocess.run([*self.servers["RABBITMQCTL"].split(), "-q", "import_definitions", topology],
                       check=True)
        self.start_simulator()
        self.make_accounts()
        self.main = self.ingress("ingress")
        self.connect_amqp()

    def start_simulator(self):
        program = self.build / "tests/simulators/africastalking-simulator"
        self.simulator = subprocess.Popen(
            [str(program)], stdout=subprocess.PIPE, preexec_fn=die_with_parent,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "SIM_LISTEN": "127.0.0.1:0", "SIM_USERNAME": "sandbox",
                 "SIM_API_KEY": "simkey", "SIM_BALANCE": "KES 1785.50"})
        address = self.simulator.stdout.readline().decode().split()[-1]
        self.environment["AT_SMS_URL"] = "http://%s/version1" % address

    def make_accounts(self):
        for slug in ("acme", "beta"):
            self.tumactl("account", "create", "--slug", slug, "--name", slug.title(),
                         "--email", slug + "@customers.test", "--sender", slug.upper())
        self.keys = {
            "admin": self.key("acme", "admin"), "send": self.key("acme", "send"),
            "read": self.key("acme", "read"), "beta": self.key("beta", "send"),
            "old": self.key("acme", "send"), "revoked": self.key("acme", "send"),
        }
        self.sql("UPDATE api_keys SET expires_at = now() - interval '1 minute'"
                 " WHERE prefix = left('%s', length(prefix))" % self.keys["old"])
        self.sql("UPDATE api_keys SET revoked_at = now() WHERE prefix = left('%s', length(prefix))"
                 % self.keys["revoked"])

    def key(self, account, scopes):
        return self.tumactl("key", "create", "--account", account, "--scopes", scopes).split()[0]

    def ingress(self, name, **settings):
        started = Ingress(self, name, **settings)
        self.extra.append(started)
        return started

    def tumactl(self, *words):
        return subprocess.run([str(self.build / "deploy/tumactl"), *words], check=True,
                              env=self.environment, stdout=subprocess.PIPE, text=True).stdout

    def sql(self, text):
        """Rows as lists of texts."""
        done = subprocess.run(["psql", "-qAt", "-F\t", "-v", "ON_ERROR_STOP=1",
                               self.servers["DATABASE_URL"], "-c", text],
                              stdout=subprocess.PIPE, check=True, text=True)
        return [line.split("\t") for line in done.stdout.splitlines()]

    def server(self, verb, name):
        subprocess.run([SERVERS, verb, self.dir / "servers", name], check=True,
                       stdout=subprocess.DEVNULL)

    # ---- HTTP ----

    def ask(self, method, path, body=None, key="admin", content_type="application/json", port=None,
            headers=None, timeout=30, **arguments):
        """One request on a connection of its own; the answer is held against the contract."""
        if arguments:
            path += "?" + urllib.parse.urlencode(arguments)
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        sent = dict(headers or {})
        if key is not None:
            sent.setdefault("Authorization", "Bearer " + self.keys.get(key, key))
        if body is not None:
            sent.setdefault("Content-Type", content_type)
        connection = http.client.HTTPConnection("127.0.0.1", port or self.main.port, timeout=timeout)
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            raw = answer.read()
        finally:
            connection.close()
        kind = answer.headers.get("Content-Type", "")
        parsed = json.loads(raw) if "json" in kind and raw else raw
        reply = Reply(answer.status, answer.headers, parsed)
        if self.check_contract:
            self.contract.check(method, path.split("?")[0].replace("/" + TOKEN, ""), reply)
        return reply

    def refused(self, status, code, field, *words, **named):
        """ask(), which must be refused like this."""
        reply = self.ask(*words, **named)
        expect((reply.status, reply.body.get("code")), (status, code), "answer %r" % (reply.body,))
        expect(reply.body.get("field"), field, "field of %r" % (reply.body,))
        return reply

    def sms(self, recipients=("0712345678",), key="send", headers=None, **fields):
        return self.ask("POST", "/api/communications/sms",
                        {"title": "Test", "messageTemplate": "Hello", "recipients": list(recipients),
                         **fields}, key=key, headers=headers)

    def upload(self, text, key="send", content_type="text/csv", headers=None, **arguments):
        return self.ask("POST", "/api/communications/sms", text, key=key, content_type=content_type,
                        headers=headers,
                        **{"title": "Test", "messageTemplate": "Hello", **arguments})

    def callback(self, path=CALLBACK, body="id=ATXid_1&status=Success", **named):
        return self.ask("POST", path, body, key=None,
                        content_type="application/x-www-form-urlencoded", **named)

    # ---- the database and the broker ----

    def campaign(self, name):
        [row] = self.sql("SELECT row_to_json(c) FROM campaigns c WHERE id = %d" % row_id(name))
        return json.loads(row[0])

    def connect_amqp(self):
        at = urllib.parse.urlsplit(self.servers["AMQP_URL"])
        self.amqp = pika.BlockingConnection(pika.ConnectionParameters(
            at.hostname, at.port, "/", pika.PlainCredentials(at.username, at.password)))
        self.channel = self.amqp.channel()

    def drain(self, queue):
        """All messages of a queue: (properties, routing key, body)."""
        found = []
        while True:
            method, properties, body = self.channel.basic_get("tuma." + queue, auto_ack=True)
            if method is None:
                return found
            found.append((properties, method.routing_key, json.loads(body)))

    def published(self, campaign):
        """What was published about a campaign and not asked for before, in order."""
        for lane in ("high", "normal"):
            for stage in ("render-template", "reserve-tokens", "split-batches"):
                for message in self.drain("%s.%s" % (stage, lane)):
                    self.messages.setdefault(message[0].correlation_id, []).append(message)
        return self.messages.pop("cmp_" + campaign.split("_", 1)[1], [])

    def discard(self, keep):
        for process in [*(one.process for one in self.extra), self.simulator]:
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        if (self.dir / "servers").exists():
            subprocess.run([SERVERS, "discard", self.dir / "servers"], check=False)
        if not keep:
            shutil.rmtree(self.dir, ignore_errors=True)


def load_tests():
    for path in sorted(HERE.glob("test_*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        tests = [(name, test) for name, test in vars(module).items()
                 if name.startswith("test_") and inspect.isfunction(test)]
        for name, test in sorted(tests, key=lambda pair: pair[1].__code__.co_firstlineno):
            yield "%s.%s" % (path.stem, name), test


def run_one(name, test, env):
    start = time.monotonic()
    try:
        test(env)
        check(env.main.process.poll() is None, "the ingress is dead")
    except Exception:  # whatever it is, the other tests go on
        print("not ok  %s\n%s" % (name, traceback.format_exc()))
        return False
    print("ok      %s (%.1f s)" % (name, time.monotonic() - start))
    return True


def run_all(env, words):
    failed = 0
    for name, test in load_tests():
        if not words or any(word in name for word in words):
            failed += not run_one(name, test, env)
        sys.stdout.flush()
    if not words:
        unseen = env.contract.unseen()
        if unseen:
            print("not ok  never seen to succeed: " + ", ".join(unseen))
            failed += 1
    try:
        env.main.stop()
    except Failure as failure:
        print("not ok  %s" % failure)
        failed += 1
    for one in env.extra:
        for line in one.log.read_text(errors="replace").splitlines():
            if "level=error" in line or "anitizer" in line or "runtime error" in line:
                print("not ok  %s: %s" % (one.log.name, line))
                failed += 1
    return failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--keep", action="store_true", help="leave the folder and its logs")
    parser.add_argument("words", nargs="*")
    arguments = parser.parse_args()
    env = Env(arguments)
    failed = 1
    try:
        env.start()
        failed = run_all(env, arguments.words)
    finally:
        if failed and env.main is not None:
            print("\n".join(env.main.log.read_text(errors="replace").splitlines()[-60:]))
        env.discard(arguments.keep)
    print("%d failed" % failed if failed else "all passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
