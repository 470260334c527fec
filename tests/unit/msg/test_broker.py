#!/usr/bin/python3
"""test_broker.py SHAPE_CHECK - import the definitions into a real RabbitMQ and try every promise

Starts a private broker, imports what topic_definitions() makes, and shows that each type reaches its
stage's queue and no other, that delayed messages come home, that what kills its consumer is parked,
that full queues refuse, and that a partner can do what schemas/README.md says and nothing else.
"""
import csv
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import pika
import pika.exceptions

ROOT = pathlib.Path(__file__).resolve().parents[3]
SERVERS = ROOT / "tests/support/servers"
EXAMPLE = ROOT / "schemas/examples/publish_campaign.py"
ARRIVES_WITHIN_S = 20
REPEATED_WITHIN_S = 30  # twice what deploy/broker/advanced.config says, and some
DELIVERY_LIMIT = 20
PACED_LENGTH = 64
ODD_PREFIX, ODD_VHOST = "t.u+m(a", "second/vhost"
TENANTS = 2500

SHAPE_CHECK = ""


class Broker:
    """A private server with the definitions imported twice, and once more under odd names."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="tuma-msg.", dir="/tmp")
        subprocess.run([SERVERS, "start", self.folder, "rabbitmq"], check=True,
                       env={**os.environ, "SERVERS_OWNER": str(os.getpid())})
        lines = pathlib.Path(self.folder, "env").read_text().splitlines()
        self.env = dict(line.split("=", 1) for line in lines if "=" in line)
        for prefix, vhost in (("tuma", "/"), ("tuma", "/"), (ODD_PREFIX, ODD_VHOST)):
            self.ctl("import_definitions", data=definitions(prefix, vhost))

    def ctl(self, *words, data=None):
        command = shlex.split(self.env["RABBITMQCTL"]) + list(words)
        done = subprocess.run(command, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{words}: {done.stdout.decode()} {done.stderr.decode()}")
        return done.stdout.decode()

    def queues(self, vhost="/"):
        columns = ["name", "type", "policy", "arguments", "durable"]
        text = self.ctl("-q", "--formatter", "json", "list_queues", "-p", vhost, *columns)
        return {queue["name"]: queue for queue in json.loads(text)}

    def connect(self, user=None, password=None):
        parameters = pika.URLParameters(self.env["AMQP_URL"])
        if user is not None:
            parameters.credentials = pika.PlainCredentials(user, password)
        return pika.BlockingConnection(parameters)

    def close(self):
        subprocess.run([SERVERS, "discard", self.folder], check=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def definitions(prefix, vhost):
    return subprocess.run([SHAPE_CHECK, "definitions", prefix, vhost], check=True,
                          stdout=subprocess.PIPE).stdout


def setUpModule():
    global broker, described
    described = json.loads(subprocess.run([SHAPE_CHECK, "describe"], check=True,
                                          stdout=subprocess.PIPE).stdout)
    broker = Broker()


def tearDownModule():
    broker.close()


def ways(topic):
    """(routing key, queue) of a type over every route and lane."""
    noun = topic["type"].rsplit(".", 1)[0]
    for route in topic.get("routes", [None]):
        for lane in described["lanes"]:
            tail = f"{route}.{lane}" if route else lane
            yield f"{noun}.{tail}", f"tuma.{topic['stage']}.{tail}"


class Case(unittest.TestCase):
    def setUp(self):
        self.connection = broker.connect()
        self.addCleanup(self.connection.close)
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()

    def publish(self, exchange, key, body=b"{}", **properties):
        self.channel.basic_publish(exchange, key, body, pika.BasicProperties(**properties),
                                   mandatory=True)

    def get(self, queue, wait_s=ARRIVES_WITHIN_S):
        """The next message of a queue, acknowledged: (method, properties, body), or None."""
        ends = time.monotonic() + wait_s
        while True:
            method, properties, body = self.channel.basic_get(queue, auto_ack=True)
            if method is not None:
                return method, properties, body
            if time.monotonic() >= ends:
                return None
            self.connection.sleep(0.02)

    def assert_empty(self, *queues):
        for queue in queues:
            self.assertIsNone(self.get(queue, 0), f"{queue} is not empty")


class Topology(Case):
    def test_every_queue_is_a_durable_quorum_queue_with_its_own_policy(self):
        queues = broker.queues()
        stages = {topic["stage"] for topic in described["topics"] if "stage" in topic}
        delays = [name for name in queues if name.startswith("tuma.delay.")]
        wanted = {queue: f"tuma.{topic['stage']}" for topic in described["topics"]
                  if "stage" in topic for _, queue in ways(topic)}
        wanted.update({f"tuma.{stage}.parked": f"tuma.{stage}.parked" for stage in stages})
        wanted.update({name: name for name in delays})
        self.assertEqual({name: queue["policy"] for name, queue in queues.items()
                          if not name.startswith("tuma.events.")}, wanted)
        self.assertEqual(len(delays), 6)
        for queue in queues.values():
            self.assertTrue(queue["durable"])
            self.assertEqual(queue["type"], "quorum")

    def test_a_prefix_of_odd_letters_and_another_vhost_do_as_well(self):
        odd = broker.queues(ODD_VHOST)
        plain = broker.queues()
        self.assertEqual({name[len(ODD_PREFIX):] for name in odd},
                         {name[len("tuma"):] for name in plain if not name.startswith("tuma.events.")})
        for queue in odd.values():
            self.assertTrue(queue["policy"].startswith(ODD_PREFIX + "."), queue)

    def test_each_type_reaches_its_stage_and_no_other(self):
        arrived = []
        everywhere = [(topic, key, queue) for topic in described["topics"] if "stage" in topic
                      for key, queue in ways(topic)]
        for queue in {queue for _, _, queue in everywhere}:

            def take(_channel, method, properties, _body, queue=queue):
                arrived.append((queue, method.routing_key, properties.type))
            self.channel.basic_consume(queue, take, auto_ack=True)
        for topic, key, queue in everywhere:
            with self.subTest(key=key):
                before = len(arrived)
                self.publish(f"tuma.{topic['exchange']}", key, type=topic["type"])
                ends = time.monotonic() + ARRIVES_WITHIN_S
                while len(arrived) == before and time.monotonic() < ends:
                    self.connection.process_data_events(0.05)
                self.assertEqual(arrived[before:], [(queue, key, topic["type"])])
        self.connection.process_data_events(0.5)
        self.assertEqual(len(arrived), len(everywhere), "a message reached a second queue")

    def test_a_key_without_its_route_is_returned(self):
        with self.assertRaises(pika.exceptions.UnroutableError):
            self.publish("tuma.campaigns", "batch.ready.high")

    def test_a_delayed_message_comes_home_as_it_was(self):
        queue = "tuma.send-sms.sms.normal"
        start = time.monotonic()
        self.publish("tuma.delay.1s", queue, b'{"batch":1}', message_id="m1", type="batch.paced.v1",
                     delivery_mode=2, headers={"attempt": 2})
        method, properties, body = self.get(queue)
        self.assertGreaterEqual(time.monotonic() - start, 0.9)
        self.assertEqual((method.exchange, method.routing_key), ("tuma.home", queue))
        self.assertEqual((properties.message_id, properties.type, body),
                         ("m1", "batch.paced.v1", b'{"batch":1}'))
        self.assertEqual(properties.headers["attempt"], 2)

    def test_a_delayed_message_that_found_its_queue_full_comes_soon(self):
        queue = "tuma.send-sms.sms.high"
        taken = 0
        with self.assertRaises(pika.exceptions.NackError):
            while taken < 3 * PACED_LENGTH:
                self.publish("tuma.campaigns", "batch.paced.sms.high", b"before")
                taken += 1
        self.publish("tuma.delay.1s", queue, b"delayed", delivery_mode=2)
        ends = time.monotonic() + ARRIVES_WITHIN_S
        while self.channel.queue_declare("tuma.delay.1s", passive=True).method.message_count > 0:
            self.assertLess(time.monotonic(), ends, "it did not leave the delay queue")
            self.connection.sleep(0.02)
        for _ in range(taken):
            self.assertEqual(self.get(queue)[2], b"before")
        found = self.get(queue, REPEATED_WITHIN_S)
        self.assertIsNotNone(found, "the broker did not try again")
        self.assertEqual(found[2], b"delayed")

    def test_what_kills_its_consumer_is_parked(self):
        for stage, exchange, key in (("reserve-tokens", "campaigns", "campaign.rendered.high"),
                                     ("rate-limit", "campaigns", "batch.ready.sms.normal"),
                                     ("reconcile-dlr", "reports", "sms.received.normal")):
            with self.subTest(stage=stage):
                self.publish(f"tuma.{exchange}", key, b"poison", message_id="p1", delivery_mode=2)
                queue = f"tuma.{stage}.{key.split('.', 2)[2]}"
                deliveries = 0
                for method, _, _ in self.channel.consume(queue, inactivity_timeout=2):
                    if method is None:
                        break
                    deliveries += 1
                    self.channel.basic_nack(method.delivery_tag, requeue=True)
                self.channel.cancel()
                self.assertEqual(deliveries, DELIVERY_LIMIT + 1)
                method, properties, body = self.get(f"tuma.{stage}.parked")
                self.assertEqual((body, properties.message_id), (b"poison", "p1"))
                self.assertEqual(properties.headers["x-first-death-queue"], queue)

    def test_the_skeleton_can_park_by_queue_or_by_stage(self):
        for key in ("tuma.send-sms.sms.high", "send-sms"):
            self.publish("tuma.parked", key, key.encode())
            self.assertEqual(self.get("tuma.send-sms.parked")[2], key.encode())

    def test_looking_at_parked_messages_does_not_lose_them(self):
        self.publish("tuma.parked", "split-batches", b"kept", delivery_mode=2)
        for _ in range(2 * DELIVERY_LIMIT):
            method, _, _ = self.channel.basic_get("tuma.split-batches.parked")
            self.assertIsNotNone(method)
            self.channel.basic_nack(method.delivery_tag, requeue=True)
        self.assertEqual(self.get("tuma.split-batches.parked")[2], b"kept")

    def test_the_paced_queue_is_short_and_refuses(self):
        taken = 0
        with self.assertRaises(pika.exceptions.NackError):
            while taken < 3 * PACED_LENGTH:
                self.publish("tuma.campaigns", "batch.paced.sms.high")
                taken += 1
        self.assertGreaterEqual(taken, PACED_LENGTH)
        for _ in range(taken):
            self.assertIsNotNone(self.get("tuma.send-sms.sms.high"))
        self.assert_empty("tuma.send-sms.sms.high")

    def test_only_one_consumer_paces_a_route(self):
        seen = {"first": 0, "second": 0}
        channels = []
        for name in seen:
            channel = self.connection.channel()
            channel.basic_qos(prefetch_count=1)

            def count(its_channel, method, _properties, _body, name=name):
                seen[name] += 1
                its_channel.basic_ack(method.delivery_tag)
            channel.basic_consume("tuma.rate-limit.sms.high", count)
            channels.append(channel)
        for _ in range(20):
            self.publish("tuma.campaigns", "batch.ready.sms.high")
        ends = time.monotonic() + ARRIVES_WITHIN_S
        while sum(seen.values()) < 20 and time.monotonic() < ends:
            self.connection.process_data_events(0.1)
        for channel in channels:
            channel.close()
        self.assertEqual(seen, {"first": 20, "second": 0})


class Partner(Case):
    """The account acme, as an operator sets it up, and the example script in its hands."""

    @classmethod
    def setUpClass(cls):
        with broker.connect() as connection:
            channel = connection.channel()
            channel.exchange_declare("tuma.in.acme", "direct", durable=True)
            for topic in described["topics"]:
                if topic["partner"]:
                    for key, queue in ways(topic):
                        channel.queue_bind(queue, "tuma.in.acme", key)
            for account in ("acme", "other"):
                channel.queue_declare(f"tuma.events.{account}", durable=True,
                                      arguments={"x-queue-type": "quorum"})
                channel.queue_bind(f"tuma.events.{account}", "tuma.events", f"#.{account}")
        broker.ctl("add_user", "acme", "secret")
        broker.ctl("set_permissions", "acme", "^$", r"^tuma\.in\.acme$", r"^tuma\.events\.acme$")

    def run_example(self, rows, *arguments):
        with tempfile.NamedTemporaryFile("w", suffix=".csv", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["phone", "first_name", "amount"])
            writer.writerows([f"07{number:08d}", f"Wanjikũ {number}", "4,500"]
                             for number in range(rows))
            file.flush()
            address = broker.env["AMQP_URL"].split("@")[1]
            return subprocess.run(
                [sys.executable, EXAMPLE, "--account", "acme", "--title", "Rent", "--text",
                 "Hello {{first_name}}, KES {{amount}} is due.", *arguments, file.name],
                env={**os.environ, "AMQP_URL": f"amqp://acme:secret@{address}"},
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, text=True)

    def read_intake(self, lane):
        """What render-template would get: a list of (properties, document)."""
        messages = []
        while True:
            message = self.get(f"tuma.render-template.{lane}", 0)
            if message is None:
                return messages
            method, properties, body = message
            self.assertEqual(method.exchange, "tuma.in.acme")
            self.assertEqual(method.routing_key, f"{properties.type[:-3]}.{lane}")
            self.assertLess(len(body), 131063)
            line = properties.type.encode() + b"\t" + body + b"\n"
            answer = subprocess.run([SHAPE_CHECK], input=line, stdout=subprocess.PIPE, check=True)
            self.assertTrue(answer.stdout.startswith(b"ok\t"), answer.stdout)
            messages.append((properties, json.loads(body)))

    def test_the_example_publishes_a_campaign_in_chunks_and_again_with_the_same_ids(self):
        runs = []
        for _ in range(2):
            done = self.run_example(TENANTS, "--reference", "rent-2026-11")
            self.assertEqual(done.returncode, 0, done.stderr)
            runs.append(self.read_intake("normal"))
        properties, campaign = runs[0][0]
        chunks = [document for _, document in runs[0][1:]]
        self.assertEqual(properties.type, "campaign.submitted.v1")
        self.assertEqual(campaign["chunks"], len(chunks))
        self.assertGreater(len(chunks), 2)
        first_row = 1
        for number, chunk in enumerate(chunks, 1):
            self.assertEqual((chunk["reference"], chunk["chunk"], chunk["first_row"]),
                             ("rent-2026-11", number, first_row))
            first_row += len(chunk["rows"])
        self.assertEqual(first_row, TENANTS + 1)
        ids = [[properties.message_id for properties, _ in run] for run in runs]
        self.assertEqual(ids[0], ids[1])
        self.assertEqual(len(set(ids[0])), len(chunks) + 1)

    def test_the_example_sends_a_short_list_inside_and_waits_for_the_end(self):
        for status, noun in (("sending", "changed"), ("completed", "completed")):
            event = json.loads((ROOT / f"schemas/campaign.{noun}.v1.example.json").read_text())
            event.update(reference="rent-2026-12", status=status)
            self.publish("tuma.events", f"campaign.{noun}.acme", json.dumps(event).encode(),
                         type=f"campaign.{noun}.v1")
        done = self.run_example(3, "--reference", "rent-2026-12", "--lane", "high", "--wait", "20")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("status=completed", done.stdout)
        [(properties, campaign)] = self.read_intake("high")
        self.assertEqual(properties.type, "campaign.submitted.v1")
        self.assertEqual(len(campaign["rows"]), 3)
        self.assert_empty("tuma.events.other")

    def test_the_example_says_when_its_message_was_refused(self):
        done = self.run_example(1, "--reference", "bad")
        [(properties, _)] = self.read_intake("normal")
        event = json.loads((ROOT / "schemas/message.parked.v1.example.json").read_text())
        event.update(account="acme", message_id=properties.message_id)
        self.publish("tuma.events", "message.parked.acme", json.dumps(event).encode(),
                     type="message.parked.v1")
        done = self.run_example(1, "--reference", "bad", "--wait", "20")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("bad_field", done.stderr)
        self.read_intake("normal")

    def test_an_unread_event_queue_is_bounded(self):
        self.assertEqual(broker.queues()["tuma.events.acme"]["policy"], "tuma.events")

    def test_a_partner_can_do_nothing_else(self):
        def publish(exchange, key, **properties):
            return lambda channel: channel.basic_publish(
                exchange, key, b"{}", pika.BasicProperties(**properties), mandatory=True)
        attempts = {
            "another exchange": (403, publish("tuma.campaigns", "campaign.rendered.high")),
            "the default exchange": (403, publish("", "tuma.send-sms.sms.high")),
            "a delay": (403, publish("tuma.delay.1s", "tuma.send-sms.sms.high")),
            "another's name": (406, publish("tuma.in.acme", "campaign.submitted.high",
                                            user_id="guest")),
            "another's events": (403, lambda channel: channel.basic_get("tuma.events.other")),
            "a stage's queue": (403, lambda channel: channel.basic_get("tuma.send-sms.sms.high")),
            "a new queue": (403, lambda channel: channel.queue_declare("mine", durable=True)),
        }
        with broker.connect("acme", "secret") as connection:
            for what, (code, attempt) in attempts.items():
                with self.subTest(what):
                    channel = connection.channel()
                    channel.confirm_delivery()
                    with self.assertRaises(pika.exceptions.ChannelClosedByBroker) as caught:
                        attempt(channel)
                    self.assertEqual(caught.exception.reply_code, code)

    def test_a_copy_header_reaches_only_what_the_own_exchange_is_bound_to(self):
        with broker.connect("acme", "secret") as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            channel.basic_publish("tuma.in.acme", "nowhere", b"{}", pika.BasicProperties(
                user_id="acme", headers={"CC": ["batch.paced.sms.high", "tuma.send-sms.sms.high"],
                                         "BCC": ["campaign.rendered.high"]}))
        self.assert_empty("tuma.send-sms.sms.high", "tuma.reserve-tokens.high",
                          "tuma.render-template.high")


if __name__ == "__main__":
    SHAPE_CHECK = os.path.abspath(sys.argv.pop(1))
    unittest.main()
