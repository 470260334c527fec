"""What a caller may get wrong: the answer names it."""

import json

from ingress_tests import check, expect

SMS = "/api/communications/sms"
SEND = "/api/messages/send/"


def sms_body(**fields):
    return {"title": "T", "messageTemplate": "Hello", "recipients": ["0712345678"], **fields}


def test_paths_and_methods(env):
    env.refused(404, "path_unknown", None, "GET", "/api/nothing")
    env.refused(404, "path_unknown", None, "GET", "/")
    reply = env.refused(405, "method", None, "GET", SEND)
    expect(reply.headers["Allow"], "POST", "Allow")
    env.refused(405, "method", None, "DELETE", "/api/communications/campaigns")
    for path in ("/api/tokens/balance", "/api/tokens/balance/", "/api/communications/campaigns/"):
        expect(env.ask("GET", path).status, 200, path)


def test_malformed_json(env):
    for text in ("", "{", "[]", '{"title":1,}', '"x"', '{"title":"a","title":"b"}', "{} x", "\xff"):
        reply = env.ask("POST", SMS, text.encode("latin-1"))
        check(reply.status in (400, 422), "%r: %r" % (text, reply.body))
    env.refused(400, "bad_json", None, "POST", SEND, '{"message": "x", ')


def test_wrong_types_and_missing_fields(env):
    for body, field in ((sms_body(title=7), "title"), (sms_body(title=""), "title"),
                        (sms_body(messageTemplate=None), "messageTemplate"),
                        (sms_body(launch="no"), "launch"), (sms_body(priority="urgent"), "priority"),
                        (sms_body(scheduledTime="tomorrow"), "scheduledTime"),
                        (sms_body(missing="ignore"), "missing"),
                        (sms_body(senderId="A" * 17), "senderId"),
                        (sms_body(title="x" * 201), "title")):
        reply = env.ask("POST", SMS, body)
        expect((reply.status, reply.body["field"]), (422, field), "answer to %r" % (body,))
    env.refused(422, "bad_field", "message", "POST", SEND, {"recipients": ["0712345678"]})
    env.refused(422, "bad_field", "options.priority", "POST", SEND,
                {"recipients": ["0712345678"], "message": "x", "options": {"priority": 1}})


def test_misspelt_fields_are_not_ignored(env):
    env.refused(422, "unknown_field", "sheduledTime", "POST", SMS,
                sms_body(sheduledTime="2030-01-01T00:00:00Z"))
    env.refused(422, "unknown_field", "schedule_time", "POST", SEND,
                {"recipients": ["0712345678"], "message": "x", "options": {"schedule_time": "x"}})
    env.refused(422, "unknown_argument", "tilte", "POST", SMS, "phone\n1\n",
                content_type="text/csv", tilte="x", title="x", messageTemplate="x")
    env.refused(400, "unknown_argument", "stat", "GET", "/api/communications/campaigns", stat="sent")


def test_recipients(env):
    env.refused(422, "no_recipients", "recipients", "POST", SEND, {"message": "x"})
    env.refused(422, "no_recipients", "recipients", "POST", SEND, {"message": "x", "recipients": []})
    env.refused(422, "bad_field", "recipients", "POST", SEND,
                {"message": "x", "recipients": "0712345678"})
    env.refused(422, "bad_field", "recipients[1].name", "POST", SMS,
                sms_body(recipients=["0712345678", {"phone": "1", "name": ["x"]}]))
    env.refused(422, "no_phone", "recipients", "POST", SMS, sms_body(recipients=[{"name": "x"}]))
    env.refused(422, "too_many", "recipients", "POST", SMS,
                sms_body(recipients=["0712345678"] * 10001))
    env.refused(422, "bad_field", "recipients[0].n64", "POST", SMS, sms_body(
        recipients=[{"n%d" % i: "x" for i in range(70)}]))


def test_templates(env):
    reply = env.refused(422, "template_unknown_field", "messageTemplate", "POST", SMS, sms_body(
        messageTemplate="Hi {{nmae}}", recipients=[{"phone": "0712345678", "name": "A"}]))
    check("name" in reply.body["detail"] and "nmae" in reply.body["detail"], reply.body["detail"])
    env.refused(422, "template_unterminated", "messageTemplate", "POST", SMS,
                sms_body(messageTemplate="Hi {{name"))
    env.refused(422, "template_unknown_field", "message", "POST", SEND,
                {"message": "Hi {{x}}", "recipients": ["0712345678"]})


def test_what_only_the_database_knows(env):
    env.refused(422, "sender_id_unknown", "senderId", "POST", SMS, sms_body(senderId="BETA"))
    env.refused(422, "sender_id_unknown", "sender_id", "POST", SEND,
                {"message": "x", "recipients": ["0712345678"], "sender_id": "NOBODY"})
    env.refused(422, "schedule_in_past", "scheduledTime", "POST", SMS,
                sms_body(scheduledTime="2024-01-01T10:00:00Z"))
    env.refused(422, "schedule_in_past", "options.scheduled_time", "POST", SEND,
                {"message": "x", "recipients": ["0712345678"],
                 "options": {"scheduled_time": "2024-01-01T10:00:00Z"}})
    env.refused(422, "expiry_too_early", "expiresAt", "POST", SMS,
                sms_body(expiresAt="2024-01-01T10:00:00Z"))
    env.refused(422, "country_unknown", "country", "POST", SMS, sms_body(country="XX"))


def test_sizes_and_types(env):
    env.refused(413, "body_too_large", None, "POST", SEND,
                headers={"Content-Length": str(9 << 20), "Content-Type": "application/json"})
    # In chunks the length shows only later.
    reply = env.ask("POST", SMS, body=(b"x" * 65536 for _ in range(140)))
    expect((reply.status, reply.body["code"]), (413, "body_too_large"), "chunked")
    env.refused(415, "content_type", "Content-Type", "POST", SEND, "x=y",
                content_type="application/x-www-form-urlencoded")
    env.refused(415, "content_type", "Content-Type", "POST", SEND, "phone\n1\n",
                content_type="text/csv")
    env.refused(400, "idempotency_key", "Idempotency-Key", "POST", SEND, "{}",
                headers={"Idempotency-Key": "k" * 129})


def test_pages_and_filters(env):
    for named, field in (({"limit": "0"}, "limit"), ({"limit": "1001"}, "limit"),
                         ({"limit": "x"}, "limit"), ({"cursor": "7"}, "cursor"),
                         ({"cursor": "c-1"}, "cursor"), ({"status": "gone"}, "status"),
                         ({"type": "fax"}, "type"), ({"sort": "title"}, "sort")):
        reply = env.ask("GET", "/api/communications/campaigns", **named)
        expect((reply.status, reply.body["field"]), (400, field), "%r" % (named,))
    made = env.sms().body["id"]
    env.refused(400, "bad_filter", "state", "GET",
                "/api/communications/campaigns/%s/recipients" % made, state="lost")
    env.refused(400, "bad_format", "format", "GET",
                "/api/communications/campaigns/%s/recipients" % made, format="pdf")
    env.refused(400, "bad_hours", "hours", "GET", "/api/integration/at/performance/", hours="0")
    for name in ("cmp_0000000000000", "nonsense", "cmp_", "cmp_UUUUUUUUUUUUU", made[:-1]):
        env.refused(404, "campaign_unknown", "id", "GET", "/api/communications/campaigns/" + name)


def test_nothing_is_left_of_what_was_refused(env):
    before = env.sql("SELECT count(*) FROM campaigns")
    env.ask("POST", SMS, sms_body(senderId="BETA"))
    env.ask("POST", SMS, sms_body(messageTemplate="{{x}}"))
    env.ask("POST", SMS, json.dumps(sms_body(recipients=[{}])))
    expect(env.sql("SELECT count(*) FROM campaigns"), before, "campaigns")
