"""The provider's callbacks: kept before they are answered, whatever they say."""

import subprocess
import urllib.parse

from ingress_tests import CALLBACK, TOKEN, check, expect

REPORT = {"id": "ATXid_1", "status": "Success", "phoneNumber": "+254712345678",
          "networkCode": "63902", "retryCount": "0"}
INBOUND = {"id": "in-1", "from": "+254712345678", "to": "22334", "text": "Habari é", "date":
           "2026-11-20 09:00:00", "linkId": "", "networkCode": "63902", "cost": "KES 0"}
HOOK = "/api/communications/webhooks/sms/" + TOKEN
INCOMING = "/api/messages/incoming/" + TOKEN


def form(fields):
    return urllib.parse.urlencode(fields)


def kept(env):
    return [(properties.type, body, properties) for properties, _, body in
            env.drain("reconcile-dlr.normal")]


def test_only_with_the_token(env):
    kept(env)
    for path in ("/api/messages/delivery-callback/", "/api/messages/delivery-callback/wrong",
                 "/api/messages/incoming/?token=wrong", CALLBACK + "x", CALLBACK + "/more",
                 "/api/communications/webhooks/sms?token="):
        reply = env.callback(path, form(REPORT))
        expect((reply.status, reply.body["code"]), (403, "forbidden"), path)
    expect(kept(env), [], "kept")
    for path in (CALLBACK, CALLBACK + "/", "/api/messages/delivery-callback/?token=" + TOKEN,
                 "/api/messages/delivery-callback?token=" + TOKEN, HOOK):
        expect(env.callback(path, form(REPORT)).status, 200, path)
    expect(len(kept(env)), 5, "kept")
    expect(env.ask("GET", CALLBACK, key=None).status, 405, "GET")


def test_reports_keep_the_providers_words(env):
    env.callback(body=form({**REPORT, "status": "SomethingNew", "failureReason": "Why Not"}))
    [(kind, body, _)] = kept(env)
    expect(kind, "delivery.reported.v1", "type")
    [report] = body["reports"]
    received = report.pop("received_at")
    check(received.endswith("Z"), received)
    expect(report, {"id": "ATXid_1", "phone": "+254712345678", "status": "SomethingNew",
                    "network": "63902", "reason": "Why Not"}, "report")


def test_inbound(env):
    for path in (INCOMING, HOOK):
        expect(env.callback(path, form(INBOUND)).status, 200, path)
    first, again = kept(env)
    expect((first[0], first[1]["text"], first[1]["from"]),
           ("sms.received.v1", "Habari é", "+254712345678"), "inbound")
    expect(first[2].message_id, again[2].message_id, "the same id for the same message")
    env.callback(INCOMING, form({**INBOUND, "text": "€" * 1600}))
    expect(len(kept(env)[0][1]["text"]), 1600, "a long one")


def test_an_opt_out_notice_says_stop(env):
    env.callback(HOOK, form({"senderId": "ACME", "phoneNumber": "+254712345678"}))
    [(kind, body, _)] = kept(env)
    expect((kind, body["from"], body["to"], body["text"]),
           ("sms.received.v1", "+254712345678", "ACME", "STOP"), "opt-out")


def test_what_cannot_be_read_is_kept_whole(env):
    bodies = ["", "nonsense", "status=Success", "id=&status=Success", "id=%zz&status=Success",
              "id=%00&status=x", "id=" + "x" * 65 + "&status=Success", "{\"id\":1}",
              "id=1&status=%ff", "&".join("a%d=1" % i for i in range(40)), "id=\u0000raw&status="]
    for body in bodies:
        expect(env.callback(body=body).status, 200, "%r" % body)
    found = kept(env)
    expect([kind for kind, _, _ in found], ["callback.misread.v1"] * len(bodies), "types")
    expect([body["raw"] for _, body, _ in found],
           [body.replace("\0", "\ufffd") for body in bodies], "raw bodies")
    check(all(body["why"] and body["kind"] == "delivery" for _, body, _ in found), "why")
    expect(env.callback(HOOK, "x=1").status, 200, "neither")
    expect(kept(env)[0][1]["kind"], "any", "kind")


def test_too_large(env):
    expect(env.callback(body="id=1&status=" + "x" * 65536).status, 413, "too large")
    big = "id=1&status=Success&x=" + "x" * 60000
    expect(env.callback(body=big).status, 200, "nearly")
    expect(len(kept(env)), 1, "kept")


def test_in_pieces(env):
    pieces = [b"id=ATX", b"id_9&sta", b"tus=Success"]
    reply = env.callback(body=(piece for piece in pieces))
    expect(reply.status, 200, "chunked")
    expect(kept(env)[0][1]["reports"][0]["id"], "ATXid_9", "id")


def test_a_flood_is_kept_whole_and_travels_together(env):
    requests = 5000 if env.sanitized else 40000
    done = subprocess.run([str(env.build / "tests/flow/ingress/callback_load"), str(env.main.port),
                           CALLBACK, "256", str(requests)], stdout=subprocess.PIPE, text=True)
    print("        " + done.stdout.strip())
    expect(done.returncode, 0, "answers")
    found = kept(env)
    ids = [report["id"] for _, body, _ in found for report in body["reports"]]
    expect((len(ids), len(set(ids))), (requests, requests), "reports kept")
    check(len(found) < requests / 8, "%d messages for %d reports" % (len(found), requests))
    print("        %.0f reports a message" % (requests / len(found)))
