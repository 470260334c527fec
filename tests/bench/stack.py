"""The whole of Tuma on private servers, started as an operator would start it."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from machine import Groups

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVERS = ROOT / "tests/support/servers"
STAGES = ["render-template", "reserve-tokens", "split-batches", "rate-limit", "send-sms",
          "place-call", "reconcile-dlr"]
TOKEN = "bench-webhook-token"
STARTED_S = 30
# Of calls that last the 20 s of a recording: 20 ms, after ringing for 300 to 800.
SHORT_CALLS = {"speed": 1000, "ring_min_ms": 300000, "ring_max_ms": 800000}
EMPTY_S = 20  # of the last acknowledgements, a poll takes a second

# What an operator gives a PostgreSQL that shares a small machine with everything else.
POSTGRES_SETTINGS = """
shared_buffers = 1GB
max_wal_size = 8GB
effective_cache_size = 8GB
"""


class Failed(Exception):
    """Something did not work; the bench ends with its text."""


def run(*command, **how):
    """Runs a command and returns what it printed."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False, **how)
    if done.returncode != 0:
        raise Failed(f"{pathlib.Path(str(command[0])).name} {' '.join(map(str, command[1:4]))}: "
                     f"{(done.stderr or done.stdout).strip()[-800:]}")
    return done.stdout


def build(folder):
    """A release build of what is measured; folder is made when it is not there."""
    if not (folder / "build.ninja").exists():
        run("cmake", "-S", ROOT, "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo")
    run("cmake", "--build", folder, "--target", *STAGES, "ingress", "tumactl",
        "africastalking-simulator", "report_sink", "bench_bare", "bench_bare_calls", "bench_ledger")


def free_port():
    return int(run(ROOT / "tests/support/ports", "1"))


def wait_for(what, seconds, is_so):
    """Polls until is_so() is true."""
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            raise Failed(f"waited {seconds} s in vain for {what}")
        time.sleep(0.05)


class Psql:
    """One session of psql, so that asking costs no process and no connection."""

    def __init__(self, url):
        self.lock = threading.Lock()
        self.process = subprocess.Popen(["psql", "-XqtA", "-F", "\t", url], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, sql):
        """The rows, each a list of texts; from any thread."""
        rows = []
        with self.lock:
            self.process.stdin.write(f"{sql};\n\\echo END\n")
            self.process.stdin.flush()
            for line in self.process.stdout:
                if line == "END\n":
                    return rows
                rows.append(line.rstrip("\n").split("\t"))
        raise Failed("psql ended")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Simulator:
    """The provider, posting its reports to report_url, what is said of calls to voice_url."""

    def __init__(self, stack, name, report_url, connections, voice_url=""):
        self.process = stack.start(name, [stack.tool("tests/simulators/africastalking-simulator")], {
            "SIM_LISTEN": "127.0.0.1:0", "SIM_REPORT_URL": report_url,
            "SIM_REPORT_DELAY": stack.options.report_delay,
            "SIM_REPORT_CONNECTIONS": str(connections), "SIM_VOICE_URL": voice_url,
            "SIM_VOICE_CONNECTIONS": str(stack.options.voice_connections),
            "SIM_FAULTS": json.dumps(SHORT_CALLS),
            "SIM_BALANCE": "KES 1000000000.00"})
        self.url = "http://" + stack.listening(name)

    def stats(self):
        with urllib.request.urlopen(self.url + "/_sim/stats", timeout=30) as reply:
            return json.load(reply)

    def accepted_ms(self, msisdn):
        """When the last message to that number was accepted; None when none was."""
        with urllib.request.urlopen(f"{self.url}/_sim/messages?number=%2B{msisdn}",
                                    timeout=30) as reply:
            found = json.load(reply)
        return found[0]["accepted_ms"] if found else None

    def _post(self, path, body=b""):
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/_sim/{path}", body,
                                                      method="POST"), timeout=30).close()

    def reset(self):
        self._post("reset")

    def faults(self, wanted):
        """Until the next reset."""
        self._post("faults", json.dumps(wanted).encode())

    def stop_reports(self):
        """Reports, and posts of calls, wait."""
        self._post("stop-reports")

    def start_reports(self):
        self._post("start-reports")


class Stack:
    """Servers, simulator, ingress and stages; use it in a with statement."""

    def __init__(self, folder, options):
        self.build, self.options = folder, options
        self.counts_statements = options.profile or options.what == "ledger"
        self.numbers_a_call_request = next(
            (int(line.partition("=")[2]) for line in options.set
             if line.startswith("VOICE_BATCH_SIZE=")), 100)
        self.processes = {}  # name -> Popen, in the order of their start
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tuma-bench.", dir="/tmp"))
        self.env = {}
        self.psql = None

    def __enter__(self):
        try:
            self._start_servers()
            self._prepare()
            self._start_programs()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, value, trace):
        for process in reversed(self.processes.values()):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for name, process in self.processes.items():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                print(f"bench: {name} does not end at SIGTERM", file=sys.stderr)
                process.kill()
                process.wait()
        if self.psql:
            self.psql.close()
        if kind is not None and kind is not KeyboardInterrupt:
            print(f"bench: the programs' logs are in {self.dir}", file=sys.stderr)
            run(SERVERS, "stop", self.dir / "servers")
        else:
            run(SERVERS, "discard", self.dir / "servers")
            if self.options.keep_logs:
                print(f"\nthe programs' logs are in {self.dir}")
            else:
                shutil.rmtree(self.dir)

    def tool(self, path):
        return self.build / path

    def start(self, name, command, env=None):
        """Starts a program of ours; its output goes to a file named after it."""
        with open(self.dir / f"{name}.log", "wb") as log:
            self.processes[name] = subprocess.Popen(
                [str(word) for word in command], env={**os.environ, **self.env, **(env or {})},
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        return self.processes[name]

    def end(self, name):
        process = self.processes.pop(name)
        process.terminate()
        process.wait(20)

    def listening(self, name):
        """The address in a program's line "listening 127.0.0.1:1234"."""
        log = self.dir / f"{name}.log"

        def said():
            if self.processes[name].poll() is not None:
                raise Failed(f"{name} ended: {log.read_text()[-800:]}")
            return [line.split()[-1] for line in log.read_text().splitlines()
                    if line.startswith("listening ")]
        wait_for(f"{name} to listen", STARTED_S, said)
        return said()[0]

    def _start_servers(self):
        self.dir.chmod(0o711)
        settings = POSTGRES_SETTINGS
        if self.counts_statements:
            settings += "shared_preload_libraries = 'pg_stat_statements'\n"
        settings += "\n".join(self.options.pg_set)
        run(SERVERS, "start", self.dir / "servers",
            env={**os.environ, "PG_SETTINGS": settings, "SERVERS_OWNER": str(os.getpid())})
        for line in (self.dir / "servers/env").read_text().splitlines():
            key, _, value = line.partition("=")
            self.env[key] = value
        self.psql = Psql(self.env["DATABASE_URL"])

    def _prepare(self):
        tumactl = self.tool("deploy/tumactl")
        env = {**os.environ, **self.env}
        self.psql("CREATE DATABASE bare")
        self.bare_url = self.env["DATABASE_URL"].rpartition("/")[0] + "/bare"
        for url in self.env["DATABASE_URL"], self.bare_url:
            run(tumactl, "migrate", ROOT / "migrations", env={**env, "DATABASE_URL": url})
        if self.counts_statements:
            self.psql("CREATE EXTENSION pg_stat_statements")
        (self.dir / "definitions.json").write_text(run(tumactl, "topology", env=env))
        (self.dir / "definitions.json").chmod(0o644)
        run(self.env["RABBITMQCTL"], "import_definitions", self.dir / "definitions.json",
            cwd="/")
        run(tumactl, "account", "create", "--name", "Bench", "--slug", "bench", "--email",
            "bench@example.com", "--sender", "TUMA", env=env)
        run(tumactl, "tokens", "add", "--account", "bench", "--tokens", "1000000000", env=env)
        self.key = run(tumactl, "key", "create", "--account", "bench", env=env).strip()

    def _start_programs(self):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.simulator = Simulator(
            self, "simulator", f"{self.url}/api/messages/delivery-callback/{TOKEN}",
            self.options.report_connections,
            f"{self.url}/api/communications/webhooks/voice/{TOKEN}")
        self.env.update({
            "HTTP_LISTEN": f"127.0.0.1:{port}", "COMMUNICATIONS_WEBHOOK_TOKEN": TOKEN,
            "AT_USERNAME": "sandbox", "AT_API_KEY": "simulator-key",
            "AT_SMS_URL": self.simulator.url + "/version1", "AT_SMS_SENDER_ID": "TUMA",
            "SMS_RATE_LIMIT_PER_SECOND": "0",
            "AT_VOICE_URL": self.simulator.url, "AT_VOICE_CALLER_ID": "+254711000000",
            "VOICE_RATE_LIMIT_PER_SECOND": "0", "VOICE_CALLS_MAX": "0",
            "VOICE_WORKER_CONCURRENCY": str(self.options.call_workers),
            "PUBLIC_URL": self.url, "MEDIA_SECRET": "a secret of the bench alone, long enough",
            "AUDIO_FOLDER": str(self.dir / "audio"), "AUDIO_BYTES_MAX": str(64 << 20),
            "RENDER_WORKER_CONCURRENCY": str(self.options.render_workers),
            "SMS_WORKER_CONCURRENCY": str(self.options.send_workers),
            "RECONCILE_WORKER_CONCURRENCY": str(self.options.reconcile_workers),
            "HTTP_THREADS": str(self.options.http_threads)})
        self.env.update(setting.split("=", 1) for setting in self.options.set)
        for stage in STAGES:
            self.start(stage, [self.tool(f"stages/{stage}")])
        self.start("ingress", [self.tool("ingress/ingress")])
        wait_for("the ingress", STARTED_S, self._is_ready)
        self.groups = Groups({
            "postgres": [int(self.env["POSTGRES_PID"])],
            "rabbitmq": [int(self.env["RABBITMQ_PID"])],
            "simulator": [self.simulator.process.pid],
            **{name: [self.processes[name].pid] for name in ["ingress", *STAGES]}})

    def _is_ready(self):
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise Failed(f"{name} ended: {(self.dir / f'{name}.log').read_text()[-800:]}")
        try:
            with urllib.request.urlopen(self.url + "/readyz", timeout=2) as reply:
                return reply.status == 200
        except OSError:
            return False

    def _queued(self):
        """Lines "name messages" of the queues that are not empty; acknowledgements come late."""
        return [line for line in run(self.env["RABBITMQCTL"], "list_queues", "--silent",
                                     "--no-table-headers", "name", "messages",
                                     cwd="/").splitlines() if line.split()[-1] != "0"]

    def verify(self):
        """The sums add up, nothing was sent twice, nothing is parked or left in a queue."""
        run(self.tool("deploy/tumactl"), "verify", env={**os.environ, **self.env})
        duplicates = self.simulator.stats()["duplicates"]
        if duplicates:
            raise Failed(f"the provider accepted {duplicates} messages twice")
        wait_for("empty queues", EMPTY_S, lambda: not self._queued())
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise Failed(f"{name} ended with {process.returncode}")
