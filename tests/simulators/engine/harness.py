"""What the tests of every simulator need: a receiver of callbacks, and a test that runs one.

    class Base(harness.Test):
        program = "/path/to/simulator"
"""

import collections
import http.client
import http.server
import json
import os
import signal
import socket
import subprocess
import threading
import time
import unittest

DEADLINE_S = 20
Reply = collections.namedtuple("Reply", "status headers body")


def run(program, settings):
    """A simulator that is to end by itself."""
    environment = {key: value for key, value in os.environ.items() if key[:4] != "SIM_"}
    return subprocess.run([program], env={**environment, **settings}, capture_output=True,
                          text=True, timeout=DEADLINE_S, check=False)


class Receiver:
    """Takes callbacks; behaves as `script` says: a status, or "close", in turn, then 200.

    `reply(path, form)` gives the body of an answer; `files` maps a path to (type, bytes) for GET.
    """

    def __init__(self, port=0, parse=json.loads):
        receiver = self
        self.parse = parse
        self.posts = []
        self.times = []
        self.headers = []
        self.script = []
        self.reply = lambda path, form: "OK"
        self.files = {}
        self.gets = []
        self.changed = threading.Condition()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = receiver.parse(body)
                with receiver.changed:
                    act = receiver.script.pop(0) if receiver.script else 200
                    receiver.posts.append((self.path, self.headers["Content-Type"], form, act))
                    receiver.headers.append(self.headers)
                    receiver.times.append(time.monotonic())
                    receiver.changed.notify_all()
                if act == "close":
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.answer(act, "text/plain", receiver.reply(self.path, form).encode())

            def do_GET(self):
                with receiver.changed:
                    receiver.gets.append(self.path)
                kind, content = receiver.files.get(self.path, ("text/plain", b"no such file"))
                self.answer(200 if self.path in receiver.files else 404, kind, content)

            def answer(self, status, kind, content):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                """A simulator that stops breaks its connections: no news."""

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def url(self, path):
        return "http://127.0.0.1:%d%s" % (self.port, path)

    def forms(self, path="/report"):
        with self.changed:
            return [form for at, _, form, _ in self.posts if at == path]

    def wait(self, count, path="/report"):
        end = time.monotonic() + DEADLINE_S
        with self.changed:
            while len([1 for post in self.posts if post[0] == path]) < count:
                if not self.changed.wait(end - time.monotonic()):
                    raise AssertionError("%d posts wanted, got %r" % (count, self.posts))
        return self.forms(path)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Test(unittest.TestCase):
    program = ""
    parse = staticmethod(json.loads)  # of a callback's body

    def setUp(self):
        self.receiver = Receiver(parse=self.parse)
        self.addCleanup(self.receiver.close)

    def environment(self):
        """The settings that every test of this kind begins with."""
        return {}

    def start(self, **settings):
        environment = {key: value for key, value in os.environ.items() if key[:4] != "SIM_"}
        environment["SIM_LISTEN"] = "127.0.0.1:0"
        environment.update(self.environment())
        environment.update(settings)
        process = subprocess.Popen([self.program], env=environment, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        line = process.stdout.readline()
        self.assertRegex(line, r"^listening 127\.0\.0\.1:\d+$", process.poll())
        self.port = int(line.rsplit(":", 1)[1])
        self.process = process
        self.addCleanup(self.stop, process)
        self.connection = self.connect()

    def stop(self, process):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=DEADLINE_S)
        self.assertEqual(process.returncode, 0, errors)

    def connect(self, timeout=DEADLINE_S):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        self.addCleanup(connection.close)
        return connection

    def ask(self, method, path, body=None, headers=None, connection=None):
        connection = connection or self.connection
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return Reply(response.status, response.headers, response.read().decode())

    def control(self, path, value=None, method=None):
        connection = self.connect()
        reply = self.ask(method or ("GET" if value is None else "POST"), "/_sim/" + path,
                         None if value is None else json.dumps(value), connection=connection)
        connection.close()
        self.assertEqual(reply.status, 200, reply.body)
        return json.loads(reply.body)

    def stats(self):
        return self.control("stats")

    def faults(self, **faults):
        return self.control("faults", faults)

    def wait_stats(self, wanted):
        """Stats, once wanted(stats) holds."""
        end = time.monotonic() + DEADLINE_S
        while True:
            stats = self.stats()
            if wanted(stats):
                return stats
            self.assertLess(time.monotonic(), end, stats)
            time.sleep(0.01)
