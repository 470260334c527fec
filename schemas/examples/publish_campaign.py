#!/usr/bin/python3
"""Publish an SMS campaign to Tuma over AMQP, from a CSV file, and wait for its end.

    AMQP_URL=amqps://acme:secret@broker.example/ ./publish_campaign.py --account acme \\
        --reference rent-2026-11 --title "Rent, November" \\
        --text "Hello {{first_name}}, your rent of KES {{amount}} is due." --wait 600 tenants.csv

The CSV file's first line names the columns; one of them is "phone". Running it again with the same
reference and file is harmless: the message ids are derived from it, and nothing is sent twice.

Needs Debian's python3-pika. Exit status: 0 all confirmed (and, with --wait, completed), 1 refused
or ended otherwise, 2 still under way when the wait was over.
"""
import argparse
import csv
import hashlib
import json
import os
import sys
import time

import pika
import pika.exceptions

ROWS_MAX = 1000        # rows in one message
BODY_MAX = 120_000     # bytes; the broker's frame sets the true limit, 131,063
TRIES_MAX = 8          # when a queue is full the broker refuses: wait and publish again
FINAL = {"completed", "cancelled", "expired", "refused", "abandoned"}


def parse_args():
    parser = argparse.ArgumentParser(description="Publish an SMS campaign from a CSV file.")
    parser.add_argument("csv", help="file with a header line and a column named phone")
    parser.add_argument("--account", required=True, help="your account's short name")
    parser.add_argument("--reference", required=True, help="your own, unique name for the campaign")
    parser.add_argument("--title", required=True)
    parser.add_argument("--text", required=True, help="the message, with {{column}} for fields")
    parser.add_argument("--sender-id", help="default: the account's")
    parser.add_argument("--country", help="of numbers without a country code, such as KE")
    parser.add_argument("--missing", choices=["block", "skip", "default"], default="block",
                        help="what to do when a recipient lacks a field")
    parser.add_argument("--scheduled-at", help="RFC 3339, such as 2026-11-23T08:00:00+03:00")
    parser.add_argument("--lane", choices=["high", "normal"], default="normal")
    parser.add_argument("--wait", type=float, default=0, metavar="SECONDS",
                        help="listen to the campaign's events until its end")
    return parser.parse_args()


def read_rows(path):
    """The columns, and an iterator over the rows."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        columns = [name.strip() for name in next(reader, [])]
        if "phone" not in columns:
            sys.exit(f"{path}: no column named phone, only: {', '.join(columns)}")
        rows = []
        for row in reader:
            if row and len(row) != len(columns):
                sys.exit(f"{path}:{reader.line_num}: {len(row)} cells, not {len(columns)}")
            if row:
                rows.append(row)
    return columns, rows


def cut(rows):
    """Cuts the rows into chunks that fit one message each."""
    chunk, size = [], 0
    for row in rows:
        row_size = len(json.dumps(row, ensure_ascii=False).encode()) + 1
        if chunk and (len(chunk) == ROWS_MAX or size + row_size > BODY_MAX):
            yield chunk
            chunk, size = [], 0
        chunk.append(row)
        size += row_size
    if chunk:
        yield chunk


class Publisher:
    """A channel with publisher confirms: publish() returns when the broker has the message."""

    def __init__(self, channel, account, reference, lane):
        self.channel, self.reference, self.lane = channel, reference, lane
        self.exchange = f"{os.environ.get('AMQP_PREFIX', 'tuma')}.in.{account}"
        self.ids = set()
        channel.confirm_delivery()

    def publish(self, noun, body, part=0):
        seed = f"{self.exchange}/{self.reference}/{noun}/{part}"
        message_id = hashlib.sha256(seed.encode()).hexdigest()[:32]
        self.ids.add(message_id)
        properties = pika.BasicProperties(
            message_id=message_id,
            type=f"{noun}.v1",
            content_type="application/json",
            delivery_mode=2,
            timestamp=int(time.time()),
        )
        for attempt in range(1, TRIES_MAX + 1):
            try:
                self.channel.basic_publish(
                    self.exchange, f"{noun}.{self.lane}",
                    json.dumps(body, ensure_ascii=False).encode(), properties, mandatory=True)
                return
            except pika.exceptions.NackError:
                if attempt == TRIES_MAX:
                    raise
                self.channel.connection.sleep(min(2 ** attempt, 60))


def publish_campaign(publisher, args, columns, rows):
    chunks = list(cut(rows))
    campaign = {"reference": args.reference, "title": args.title, "message_template": args.text,
                "missing": args.missing}
    for name in ("sender_id", "country", "scheduled_at"):
        if getattr(args, name):
            campaign[name] = getattr(args, name)
    size = len(json.dumps(campaign, ensure_ascii=False).encode())
    if len(chunks) == 1 and size + len(json.dumps(chunks[0])) < BODY_MAX:
        publisher.publish("campaign.submitted", {**campaign, "columns": columns, "rows": chunks[0]})
        return
    publisher.publish("campaign.submitted", {**campaign, "chunks": len(chunks)})
    first_row = 1
    for number, chunk in enumerate(chunks, 1):
        publisher.publish("recipients.submitted",
                          {"reference": args.reference, "chunk": number, "first_row": first_row,
                           "columns": columns, "rows": chunk}, number)
        first_row += len(chunk)


def handle_event(properties, event, reference, ids):
    """Prints an event of ours; returns the exit status when it is the end, else None."""
    if properties.type == "message.parked.v1" and event.get("message_id") in ids:
        print("refused:", event["why"], event.get("detail", ""), file=sys.stderr)
        return 1
    if properties.type.startswith("campaign.") and event.get("reference") == reference:
        print(" ".join(f"{key}={value}" for key, value in event.items()))
        if event["status"] in FINAL:
            return 0 if event["status"] == "completed" else 1
    return None


def wait_for_end(channel, account, reference, ids, seconds):
    """Returns the exit status. Takes every event off the account's queue, other campaigns' too."""
    queue = f"{os.environ.get('AMQP_PREFIX', 'tuma')}.events.{account}"
    ends = time.monotonic() + seconds
    status = None
    channel.basic_qos(prefetch_count=32)
    for method, properties, body in channel.consume(queue, inactivity_timeout=1):
        if method is not None:
            status = handle_event(properties, json.loads(body), reference, ids)
            channel.basic_ack(method.delivery_tag)
        if status is not None or time.monotonic() > ends:
            break
    channel.cancel()
    return 2 if status is None else status


def main():
    args = parse_args()
    columns, rows = read_rows(args.csv)
    if not rows:
        sys.exit(f"{args.csv}: no rows")
    parameters = pika.URLParameters(os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1/"))
    parameters.blocked_connection_timeout = 60
    with pika.BlockingConnection(parameters) as connection:
        publisher = Publisher(connection.channel(), args.account, args.reference, args.lane)
        try:
            publish_campaign(publisher, args, columns, rows)
        except pika.exceptions.UnroutableError:
            sys.exit(f"account {args.account} has no such exchange binding")
        except pika.exceptions.NackError:
            sys.exit("the broker's queues are full; run it again later, nothing is sent twice")
        print(f"reference={args.reference} rows={len(rows)} confirmed")
        if args.wait:
            return wait_for_end(connection.channel(), args.account, args.reference,
                                publisher.ids, args.wait)
    return 0


if __name__ == "__main__":
    sys.exit(main())
