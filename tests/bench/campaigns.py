"""Campaigns as a customer sends them, and the clocks read while they run."""

import http.client
import itertools
import json
import os
import time
import urllib.parse

from stack import Failed

STUCK_S = 60  # without any progress
TEXTS = {
    "broadcast": "Dear customer, our shops open at 8 on Monday with a new price list. Show this "
                 "message for a discount of 10 percent. Reply STOP to opt out. No {run}",
    "personalised": "Dear {{{{first_name}}}}, your balance of KES {{{{balance}}}}.00 is due on "
                    "30 November. Pay by M-Pesa Paybill 123456, account {{{{account}}}}. Thank "
                    "you. Reply STOP. No {run}",
}


def msisdn(i):
    """Numbers in no order, each once, as bare.c has them."""
    return 254700000000 + i * 61803399 % 100000000


numbers = itertools.count()  # of upload after upload: none is written to twice


def write_csv(path, kind, count):
    """An upload to numbers that no earlier one had."""
    with open(path, "w", encoding="utf-8") as file:
        if kind == "broadcast":
            file.write("phone\n")
            file.writelines(f"+{msisdn(next(numbers))}\n" for _ in range(count))
        else:
            file.write("phone,first_name,balance,account\n")
            file.writelines(f"+{msisdn(next(numbers))},Name{i},{i * 7 % 100000},{i}\n"
                            for i in range(count))


def connect(stack):
    return http.client.HTTPConnection(stack.url.removeprefix("http://"), timeout=600)


def _answer(connection):
    reply = connection.getresponse()
    body = json.loads(reply.read() or "{}")
    if reply.status != 202:
        raise Failed(f"the ingress answered {reply.status}: {body}")
    return body


def row_of(stack, reference_id):
    """The row id of a campaign by the id that the ingress told."""
    letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    value = 0
    for letter in reference_id.partition("_")[2].upper():
        value = value * 32 + letters.index(letter)
    found = stack.psql(f"SELECT count(*) FROM campaigns WHERE id = {value}")
    if found != [["1"]]:
        raise Failed(f"no campaign {reference_id} ({value})")
    return value


class Messages:
    """The part of sms.run_one() that is another one for calls."""

    words = ("last accepted", "last delivered stored")

    @staticmethod
    def upload(stack, kind, run, path):
        return upload_file(stack, "/api/communications/sms", {
            "title": f"bench {kind} {run}", "messageTemplate": TEXTS[kind].format(run=run)}, path)

    @staticmethod
    def last_accepted_s(stack):
        return stack.simulator.stats()["last_accept_ms"] / 1000


upload = Messages.upload


def upload_file(stack, target, fields, path):
    """Streams a CSV file; the campaign's row id, when the request began and when it was answered."""
    query = urllib.parse.urlencode(fields)
    connection = connect(stack)
    begun = time.time()
    with open(path, "rb") as file:
        connection.request("POST", f"{target}?{query}", file, {
            "Authorization": f"Bearer {stack.key}", "Content-Type": "text/csv",
            "Content-Length": str(os.path.getsize(path))})
        told = _answer(connection)
    answered = time.time()
    connection.close()
    return row_of(stack, told["id"]), begun, answered


def send_one(stack, connection, number, text):
    """A single high-priority message; seconds from the request's begin to its answer."""
    body = json.dumps({"recipients": [f"+{number}"], "message": text,
                       "options": {"priority": "high"}})
    begun = time.time()
    connection.request("POST", "/api/messages/send/", body, {
        "Authorization": f"Bearer {stack.key}", "Content-Type": "application/json"})
    _answer(connection)
    return begun, time.time() - begun


def progress(stack, row):
    """(accepted, finished) recipients of a campaign."""
    found = stack.psql("SELECT coalesce(sum(sent + delivered + failed + expired), 0), "
                       "coalesce(sum(delivered + failed + expired), 0) FROM batches "
                       f"WHERE campaign_id = {row}")
    return int(found[0][0]), int(found[0][1])


def await_delivered(stack, row, count, every_s=0.05):
    """Until the last report is stored; when that was seen."""
    last, moved = None, time.monotonic()
    while True:
        now = progress(stack, row)
        if now[1] >= count:
            return time.time()
        if now != last:
            last, moved = now, time.monotonic()
        if time.monotonic() - moved > STUCK_S:
            status = stack.psql(f"SELECT status, detail FROM campaigns WHERE id = {row}")
            raise Failed(f"nothing moves for {STUCK_S} s: {now} of {count}, {status}")
        time.sleep(every_s)


def await_completed(stack, row):
    """Until the campaign says so itself, which may be a second later."""
    end = time.monotonic() + STUCK_S
    while True:
        found = stack.psql("SELECT status, planned, (SELECT sum(delivered) FROM batches WHERE "
                           f"campaign_id = {row}) FROM campaigns WHERE id = {row}")[0]
        if found[0] == "completed":
            return found
        if time.monotonic() > end:
            raise Failed(f"campaign {row} does not complete: {found}")
        time.sleep(0.1)


def finish_times(stack, row):
    """Seconds since 1970 of a campaign's marks, by the database's clock."""
    names = ["created_at", "rendered_at", "reserved_at", "started_at", "sent_at"]
    found = stack.psql("SELECT " + ", ".join(f"extract(epoch FROM {name})" for name in names) +
                       f" FROM campaigns WHERE id = {row}")[0]
    return {name: float(value) for name, value in zip(names, found) if value}
