"""Campaigns of calls: from the request to the broker, and what is read of them."""

import csv
import io
import json

from ingress_tests import check, expect, row_id

VOICE = "/api/communications/voice"
CAMPAIGNS = "/api/communications/campaigns/"
CALLER = "+254711000001"
ASSET = "aud_0000000000007"
OTHERS = "aud_0000000000008"


def prepare(env):
    """A file of sound and a number to call from, for each account."""
    if getattr(env, "voice_is_ready", False):
        return
    env.voice_is_ready = True
    env.sql("""
        INSERT INTO audio_assets (id, account_id, sha256, kind, name, bytes, duration_ms, sample_rate,
                                  channels, created_at)
        SELECT CASE slug WHEN 'acme' THEN 7 ELSE 8 END, id, sha256(slug::bytea), 'wav', 'a.wav', 1000,
               61000, 8000, 1, now()
          FROM accounts WHERE slug IN ('acme', 'beta') ON CONFLICT DO NOTHING;
        INSERT INTO sender_ids (account_id, sender)
        SELECT id, CASE slug WHEN 'acme' THEN '+254711000001' ELSE '+254711000002' END
          FROM accounts WHERE slug IN ('acme', 'beta') ON CONFLICT DO NOTHING""")


def body(**fields):
    given = {"title": "T", "sayTemplate": "Hello", "recipients": ["0712345678"], **fields}
    return {name: value for name, value in given.items() if value is not ...}


def call(env, key="send", headers=None, **fields):
    prepare(env)
    return env.ask("POST", VOICE, body(**fields), key=key, headers=headers)


def voice_row(env, name):
    [row] = env.sql("SELECT row_to_json(v) FROM voice_campaigns v WHERE campaign_id = %d" % row_id(name))
    return json.loads(row[0])


def test_a_text_is_spoken(env):
    reply = call(env, title="Clinic", sayTemplate="Hi {{first_name}}", voice="woman", callerId=CALLER,
                 recipients=[{"phone": "0712345678", "first_name": "Asha"}, "0723456789"],
                 missing="skip", launch=False, priority="high", scheduledTime="2030-01-01T10:00:00+03:00",
                 retries={"attempts": 4, "afterSeconds": 90, "belowPercent": 60},
                 keys={"repeat": "*", "repeats": 2, "stop": "#", "answers": {"1": "Yes", "2": "No"},
                       "waitSeconds": 5, "thanks": "Asante", "stopped": "Kwaheri"})
    expect((reply.status, reply.body["recipients"], reply.body["status"]), (202, 2, "receiving"), "answer")
    [(properties, key, told)] = env.published(reply.body["id"])
    expect((properties.type, key), ("campaign.submitted.v1", "campaign.submitted.high"), "message")
    expect((told["channel"], told["sender_id"], told["message_template"], told["hold"]),
           ("voice", CALLER, "Hi {{first_name}}", True), "definition")
    expect(told["voice"], {
        "say_voice": "woman", "attempts": 4, "retry_after_s": 90, "below_percent": 60, "repeat_key": "*",
        "repeats": 2, "stop_key": "#", "answers": {"1": "Yes", "2": "No"}, "wait_s": 5,
        "thanks": "Asante", "stopped": "Kwaheri"}, "what is told of the calls")
    expect(told["rows"], [["0712345678", "Asha"], ["0723456789", ""]], "rows")
    row = env.campaign(reply.body["id"])
    expect((row["channel"], row["sender_id"], row["status"], row["hold"]),
           ("voice", CALLER, "receiving", True), "row")
    stored = voice_row(env, reply.body["id"])
    expect([stored[name] for name in ("audio_id", "say_voice", "attempts", "retry_s", "below_percent",
                                      "repeat_key", "repeats", "stop_key", "answers", "wait_s", "thanks",
                                      "stopped", "tokens_per_minute")],
           [None, "woman", 4, 90, 60, "*", 2, "#", {"1": "Yes", "2": "No"}, 5, "Asante", "Kwaheri", 1],
           "voice row")
    view = env.ask("GET", CAMPAIGNS + reply.body["id"], key="read").body
    expect((view["type"], view["audioAssetId"], view["callerId"], view["messageTemplate"]),
           ("voice", None, CALLER, "Hi {{first_name}}"), "view")
    expect(view["voice"], {
        "voice": "woman", "audioMs": None, "tokensPerMinute": 1,
        "retries": {"attempts": 4, "afterSeconds": 90, "belowPercent": 60},
        "keys": {"repeat": "*", "repeats": 2, "stop": "#", "answers": {"1": "Yes", "2": "No"},
                 "waitSeconds": 5, "thanks": "Asante", "stopped": "Kwaheri"}}, "what its calls are about")


def test_a_file_is_played(env):
    reply = call(env, sayTemplate=..., audioAssetId=ASSET, keys={"answers": {"1": "Yes"}})
    expect(reply.status, 202, "answer %r" % (reply.body,))
    stored = voice_row(env, reply.body["id"])
    expect([stored[name] for name in ("audio_id", "audio_ms", "attempts", "retry_s", "wait_s", "thanks",
                                      "stopped")],
           [7, 61000, None, None, 10, "Thank you. Goodbye.", ""], "with the defaults")
    expect((env.campaign(reply.body["id"])["message_template"],
            env.campaign(reply.body["id"])["sender_id"]), ("", ""), "no text, no caller")
    view = env.ask("GET", CAMPAIGNS + reply.body["id"], key="read").body
    expect((view["audioAssetId"], view["messageTemplate"], view["callerId"], view["voice"]["audioMs"]),
           (ASSET, None, None, 61000), "view")


def test_what_cannot_be(env):
    prepare(env)
    before = env.sql("SELECT count(*) FROM campaigns")
    for code, field, fields in (
            ("bad_field", "title", {"title": ...}),
            ("content_missing", "sayTemplate", {"sayTemplate": ...}),
            ("content_missing", "sayTemplate", {"sayTemplate": ""}),
            ("content_twice", "audioAssetId", {"audioAssetId": ASSET}),
            ("audio_unknown", "audioAssetId", {"sayTemplate": ..., "audioAssetId": OTHERS}),
            ("audio_unknown", "audioAssetId", {"sayTemplate": ..., "audioAssetId": "aud_0000000000009"}),
            ("audio_unknown", "audioAssetId", {"sayTemplate": ..., "audioAssetId": "../../etc/passwd"}),
            ("bad_field", "audioAssetId", {"sayTemplate": ..., "audioAssetId": "x" * 99}),
            ("bad_field", "audioAssetId", {"sayTemplate": ..., "audioAssetId": 7}),
            ("template_unknown_field", "sayTemplate", {"sayTemplate": "Hi {{name}}"}),
            ("template_unterminated", "sayTemplate", {"sayTemplate": "Hi {{name"}),
            ("template_too_long", "sayTemplate", {"sayTemplate": "x" * 1601}),
            ("bad_field", "sayTemplate", {"sayTemplate": "x" * 6401}),
            ("bad_voice", "voice", {"voice": "a b"}),
            ("bad_voice", "voice", {"voice": "<Say>"}),
            ("bad_field", "voice", {"voice": "x" * 65}),
            ("bad_field", "voice", {"voice": {}}),
            ("bad_caller_id", "callerId", {"callerId": "ACME"}),
            ("bad_caller_id", "callerId", {"callerId": "0711000001"}),
            ("bad_field", "callerId", {"callerId": "+2547110000010000"}),
            ("caller_id_unknown", "callerId", {"callerId": "+254711000002"}),
            ("bad_field", "retries.attempts", {"retries": {"attempts": 0}}),
            ("bad_field", "retries.attempts", {"retries": {"attempts": 11}}),
            ("bad_field", "retries.attempts", {"retries": {"attempts": "3"}}),
            ("bad_field", "retries.afterSeconds", {"retries": {"afterSeconds": 86401}}),
            ("bad_field", "retries.belowPercent", {"retries": {"belowPercent": 101}}),
            ("bad_field", "retries", {"retries": 3}),
            ("unknown_field", "retries.attempt", {"retries": {"attempt": 3}}),
            ("bad_key", "keys.repeat", {"keys": {"repeat": "a"}}),
            ("bad_field", "keys.repeat", {"keys": {"repeat": "10"}}),
            ("bad_field", "keys.repeat", {"keys": {"repeat": 1}}),
            ("no_repeat_key", "keys.repeats", {"keys": {"repeats": 1}}),
            ("bad_field", "keys.repeats", {"keys": {"repeat": "1", "repeats": 6}}),
            ("key_twice", "keys.stop", {"keys": {"repeat": "1", "stop": "1"}}),
            ("bad_key", "keys.answers", {"keys": {"answers": {"10": "Yes"}}}),
            ("bad_key", "keys.answers", {"keys": {"answers": {"": "Yes"}}}),
            ("bad_key", "keys.answers", {"keys": {"answers": {"<": "Yes"}}}),
            ("key_twice", "keys.answers", {"keys": {"stop": "9", "answers": {"9": "Yes"}}}),
            ("label_empty", "keys.answers", {"keys": {"answers": {"1": " "}}}),
            ("bad_field", "keys.answers.1", {"keys": {"answers": {"1": "x" * 101}}}),
            ("bad_field", "keys.answers", {"keys": {"answers": {str(i): "x" for i in range(13)}}}),
            ("bad_field", "keys.waitSeconds", {"keys": {"stop": "9", "waitSeconds": 61}}),
            ("no_keys", "keys.waitSeconds", {"keys": {"waitSeconds": 5}}),
            ("no_answers", "keys.thanks", {"keys": {"thanks": "x"}}),
            ("no_stop_key", "keys.stopped", {"keys": {"stopped": "x"}}),
            ("bad_field", "keys.stopped", {"keys": {"stop": "9", "stopped": "x" * 301}}),
            ("say_empty", "keys.stopped", {"keys": {"stop": "9", "stopped": " "}}),
            ("unknown_field", "keys.sotp", {"keys": {"sotp": "9"}}),
            ("unknown_field", "lgas", {"lgas": ["Ikeja"]}),
            ("unknown_field", "keepWhitespace", {"keepWhitespace": True}),
            ("unknown_field", "messageTemplate", {"messageTemplate": "x"}),
            ("unknown_field", "keys.repeat", {"keys.repeat": "1"}),
            ("schedule_in_past", "scheduledTime", {"scheduledTime": "2024-01-01T10:00:00Z"}),
            ("expiry_too_early", "expiresAt", {"expiresAt": "2024-01-01T10:00:00Z"}),
            ("country_unknown", "country", {"country": "XX"}),
            ("no_recipients", "recipients", {"recipients": ...}),
            ("no_recipients", "recipients", {"recipients": []}),
            ("no_phone", "recipients", {"recipients": [{"name": "x"}]})):
        reply = env.ask("POST", VOICE, body(**fields), key="send")
        expect((reply.status, reply.body["code"], reply.body.get("field")), (422, code, field),
               "answer to %r: %r" % (fields, reply.body))
    reply = env.ask("POST", VOICE, body(callerId="+254711000002"), key="send")
    check("use one of %s" % CALLER in reply.body["detail"] and "ACME" not in reply.body["detail"],
          reply.body["detail"])
    env.refused(422, "unknown_field", "callerId", "POST", "/api/communications/sms", {
        "title": "T", "messageTemplate": "x", "recipients": ["0712345678"], "callerId": CALLER})
    env.refused(403, "scope_missing", None, "POST", VOICE, body(), key="read")
    env.refused(400, "bad_json", None, "POST", VOICE, '{"title": "x", ')
    expect(env.sql("SELECT count(*) FROM campaigns"), before, "nothing is left")


def test_a_file_of_recipients_is_streamed(env):
    prepare(env)
    arguments = {
        "title": "Upload", "sayTemplate": "Hi {{name}}", "voice": "man", "callerId": CALLER,
        "retries.attempts": "2", "retries.belowPercent": "50", "keys.repeat": "0", "keys.repeats": "3",
        "keys.stop": "9", "keys.answers.1": "Yes, \"surely\"", "keys.answers.#": "No",
        "keys.waitSeconds": "7", "keys.thanks": "", "launch": "false"}
    reply = env.ask("POST", VOICE, "phone,name\n0712345678,Asha\n0723456789,Bo\n", key="send",
                    content_type="text/csv", **arguments)
    expect((reply.status, reply.body["recipients"]), (202, 2), "answer %r" % (reply.body,))
    expect([p.type for p, _, _ in env.published(reply.body["id"])],
           ["recipients.submitted.v1", "campaign.closed.v1"], "messages")
    stored = voice_row(env, reply.body["id"])
    expect([stored[name] for name in ("say_voice", "attempts", "retry_s", "below_percent", "repeat_key",
                                      "repeats", "stop_key", "answers", "wait_s", "thanks", "stopped")],
           ["man", 2, None, 50, "0", 3, "9", {"1": "Yes, \"surely\"", "#": "No"}, 7, "",
            "You will not be called again. Goodbye."], "row")
    expect(env.campaign(reply.body["id"])["hold"], True, "it is held")
    reply = env.ask("POST", VOICE, '{"phone":"0712345678"}\n"0723456789"\n', key="send",
                    content_type="application/x-ndjson", title="Played", audioAssetId=ASSET)
    expect((reply.status, reply.body["recipients"]), (202, 2), "NDJSON %r" % (reply.body,))
    expect(voice_row(env, reply.body["id"])["audio_id"], 7, "played")


def test_bad_arguments_of_an_upload(env):
    prepare(env)
    before = env.sql("SELECT count(*) FROM campaigns")
    for code, field, arguments in (
            ("unknown_argument", "keys", {"keys": "{}"}),
            ("unknown_argument", "keys.sotp", {"keys.sotp": "9"}),
            ("unknown_argument", "keys.answers", {"keys.answers": "Yes"}),
            ("unknown_argument", "messageTemplate", {"messageTemplate": "x"}),
            ("unknown_argument", "retries.attempts.x", {"retries.attempts.x": "1"}),
            ("bad_key", "keys.answers", {"keys.answers.": "Yes"}),
            ("bad_key", "keys.answers", {"keys.answers.1.2": "Yes"}),
            ("label_empty", "keys.answers", {"keys.answers.1": ""}),
            ("bad_field", "retries.attempts", {"retries.attempts": "two"}),
            ("bad_field", "retries.attempts", {"retries.attempts": "11"}),
            ("bad_field", "keys.repeats", {"keys.repeat": "1", "keys.repeats": "-1"}),
            ("bad_field", "launch", {"launch": "maybe"}),
            ("content_twice", "audioAssetId", {"audioAssetId": ASSET}),
            ("caller_id_unknown", "callerId", {"callerId": "+254711000002"}),
            ("template_unknown_field", "sayTemplate", {"sayTemplate": "{{name}}"})):
        reply = env.ask("POST", VOICE, "phone\n0712345678\n", key="send", content_type="text/csv",
                        **{"title": "T", "sayTemplate": "Hello", **arguments})
        expect((reply.status, reply.body["code"], reply.body.get("field")), (422, code, field),
               "answer to %r: %r" % (arguments, reply.body))
    for twice in ("title=T&title=U", "title=T&keys.stop=9&keys.stop=8",
                  "title=T&keys.answers.1=x&keys.answers.1=y"):
        reply = env.ask("POST", VOICE + "?sayTemplate=x&" + twice, "phone\n0712345678\n", key="send",
                        content_type="text/csv")
        check(reply.status in (400, 422), "%s: %r" % (twice, reply.body))
    expect(env.sql("SELECT count(*) FROM campaigns"), before, "nothing is left")


def test_said_twice_it_is_made_once(env):
    first = call(env, headers={"Idempotency-Key": "calls-1"}, title="Once")
    again = call(env, headers={"Idempotency-Key": "calls-1"}, title="Once")
    expect((first.status, again.status, again.body["id"]), (202, 202, first.body["id"]), "inline")
    other = call(env, headers={"Idempotency-Key": "calls-1"}, title="Other")
    expect((other.status, other.body["code"]), (422, "idempotency_key_reused"), "another request")
    text = "phone\n0712345678\n"
    made = {env.ask("POST", VOICE, text, key="send", content_type="text/csv", title="Once",
                    sayTemplate="x", headers={"Idempotency-Key": "calls-2"}).body["id"]
            for _ in range(2)}
    expect(len(made), 1, "an upload")
    # The same bytes on the other path are another request.
    sms = env.ask("POST", "/api/communications/sms", text, key="send", content_type="text/csv",
                  title="Once", messageTemplate="x", headers={"Idempotency-Key": "calls-2"})
    expect((sms.status, sms.body["code"]), (422, "idempotency_key_reused"), "on the other path")
    expect(env.sql("SELECT count(*) FROM voice_campaigns v JOIN campaigns c ON c.id = v.campaign_id"
                   " WHERE c.title = 'Once'"), [["2"]], "rows")


def called_campaign(env):
    """A campaign whose calls have ended but for one: rows as the stages would have left them."""
    name = call(env, title="Called", launch=False, keys={
        "stop": "9", "answers": {"1": "Yes", "2": "=No"}}).body["id"]
    env.sql("""
        UPDATE campaigns SET status = 'sending', planned = 6, rows_received = 6, segments = 12,
               text = 'Hello', last_seq = 6, next_batch = 2, started_at = now() - interval '90 s'
         WHERE id = %(id)d;
        INSERT INTO recipients (campaign_id, msisdn, seq, segments, state, cost_e4, currency, attempts,
                                sent_at, final_at, provider_id, reason)
        SELECT %(id)d, 254711000000 + i, i, 2, state, cost, 'KES', attempts, now() - interval '80 s',
               CASE WHEN state > 3 THEN now() END, 'ATVId_' || i, reason
          FROM (VALUES (1, 4, 20000, 1, NULL), (2, 4, 40000, 2, NULL), (3, 4, 10000, 1, NULL),
                       (4, 5, 0, 3, 'no_answer'), (5, 5, 0, 1, 'busy'), (6, 3, 0, 1, NULL))
               AS v(i, state, cost, attempts, reason);
        INSERT INTO batches (campaign_id, batch, first_seq, last_seq, origin, claimed_seq, recorded_seq,
                             sent, delivered, failed, captured, released, cost_e4)
        VALUES (%(id)d, 1, 1, 6, 'x', 6, 6, 1, 3, 2, 5, 5, 70000);
        INSERT INTO calls (campaign_id, seq, session_id, word, cause, duration_s, listened, tokens, cost_e4,
                           ended_at)
        SELECT %(id)d, seq, 's' || n, word, cause, seconds, listened, tokens, cost, now() - n * interval '1 s'
          FROM (VALUES (9, 1, 'completed', 'NORMAL_CLEARING', 61, 100, 2, 20000),
                       (8, 2, 'completed', 'NORMAL_CLEARING', 10, 20, 1, 10000),
                       (7, 2, 'completed', 'NORMAL_CLEARING', 60, 80, 1, 30000),
                       (6, 3, 'completed', 'NORMAL_CLEARING', 5, 0, 1, 10000),
                       (5, 4, 'no_answer', 'NO_ANSWER', 0, NULL, 0, 0),
                       (4, 4, 'busy', 'USER_BUSY', 0, NULL, 0, 0),
                       (3, 4, 'no_answer', 'NO_ANSWER', 0, NULL, 0, 0),
                       (2, 5, 'busy', 'USER_BUSY', 0, NULL, 0, 0))
               AS v(n, seq, word, cause, seconds, listened, tokens, cost);
        INSERT INTO call_keys (campaign_id, seq, session_id, step, keys, pressed_at)
        SELECT %(id)d, seq, session, step, keys, now() - n * interval '1 s'
          FROM (VALUES (9, 1, 's9', 1, '5'), (8, 1, 's9', 2, '1'), (7, 2, 's8', 1, '1'), (6, 2, 's7', 1, '2'),
                       (5, 3, 's6', 1, '9')) AS v(n, seq, session, step, keys)
        """ % {"id": row_id(name)})
    return name


def test_what_became_of_calls(env):
    name = called_campaign(env)
    stats = env.ask("GET", CAMPAIGNS + name + "/stats", key="read").body
    expect(stats["voice"], {
        "calls": 8, "answered": 4, "minutes": 5, "averageSeconds": 34,
        "byWord": {"completed": 4, "no_answer": 2, "busy": 2}, "completion": 0.6,
        "answers": {"1": {"label": "Yes", "recipients": 1}, "2": {"label": "=No", "recipients": 1}},
        "stopped": 1}, "stats")
    expect((stats["cost"], stats["tokensQuoted"], stats["tokensSpent"]), ("7.0000", 12, 5), "money")
    # A walk is kept for some seconds.
    env.sql("DELETE FROM calls WHERE campaign_id = %d" % row_id(name))
    expect(env.ask("GET", CAMPAIGNS + name + "/stats", key="read").body["voice"], stats["voice"], "kept")
    fresh = call(env, keys={"answers": {"1": "Yes"}}).body["id"]
    expect(env.ask("GET", CAMPAIGNS + fresh + "/stats", key="read").body["voice"], {
        "calls": 0, "answered": 0, "minutes": 0, "averageSeconds": 0, "byWord": {}, "completion": None,
        "answers": {"1": {"label": "Yes", "recipients": 0}}, "stopped": 0}, "before any call")
    check("voice" not in env.ask("GET", CAMPAIGNS + env.sms().body["id"] + "/stats").body, "of an SMS")


def test_recipients_tell_of_their_calls(env):
    name = called_campaign(env)
    path = CAMPAIGNS + name + "/recipients"
    rows = env.ask("GET", path, key="read").body["recipients"]
    names = ("attempts", "durationSeconds", "listenedPercent", "tokens", "outcome", "hangupCause",
             "keys", "answer")
    expect([[row[one] for one in names] for row in rows], [
        [1, 61, 100, 2, "completed", "NORMAL_CLEARING", "51", "Yes"],
        [2, 70, 80, 2, "completed", "NORMAL_CLEARING", "12", "=No"],
        [1, 5, 0, 1, "completed", "NORMAL_CLEARING", "9", None],
        [3, 0, None, 0, "no_answer", "NO_ANSWER", None, None],
        [1, 0, None, 0, "busy", "USER_BUSY", None, None],
        [1, None, None, None, None, None, None, None]], "calls")
    expect((rows[0]["cost"], rows[0]["providerMessageId"], rows[3]["reason"], rows[5]["state"]),
           ("2.0000", "ATVId_1", "no_answer", "sent"), "the rest")
    page = env.ask("GET", path, key="read", limit=2, state="delivered").body
    expect([row["row"] for row in page["recipients"]], [1, 2], "a page of some")
    page = env.ask("GET", path, key="read", limit=2, state="delivered", cursor=page["next"]).body
    expect(([row["row"] for row in page["recipients"]], page["next"]), ([3], None), "the next")
    export = env.ask("GET", path, key="read", format="csv").body.decode()
    rows = list(csv.DictReader(io.StringIO(export)))
    expect([[row[one] for one in names] for row in rows][1:4], [
        ["2", "70", "80", "2", "completed", "NORMAL_CLEARING", "12", "'=No"],
        ["1", "5", "0", "1", "completed", "NORMAL_CLEARING", "9", ""],
        ["3", "0", "", "0", "no_answer", "NO_ANSWER", "", ""]], "export")
    expect((rows[0]["phone"], rows[0]["cost"]), ("254711000001", "2.0000"), "the columns before")
    sms = env.ask("GET", CAMPAIGNS + env.sms().body["id"] + "/recipients", format="csv").body.decode()
    check(sms.startswith("row,phone,") and sms.endswith(",sentAt,finalAt\r\n"), "of an SMS: " + sms)


def test_lists_know_the_channel(env):
    name = call(env, title="Listed").body["id"]
    env.sms()
    voice = env.ask("GET", "/api/communications/campaigns", key="read", type="voice", limit=1000).body
    check(name in [one["id"] for one in voice["campaigns"]], "it is listed")
    for one in voice["campaigns"]:
        expect((one["type"], "voice" in one), ("voice", True), "by type")
    sms = env.ask("GET", "/api/communications/campaigns", key="read", type="sms", limit=1000).body
    for one in sms["campaigns"]:
        check("voice" not in one and "callerId" not in one, "an SMS has none of it")


def test_the_price_is_the_plans(env):
    plans = env.ask("GET", "/api/plans", key="read").body["plans"]
    expect({plan["tokens_per_minute"] for plan in plans}, {1}, "plans")
    env.sql("UPDATE plans SET tokens_per_minute = 4 WHERE code = 'enterprise';"
            "INSERT INTO subscriptions (id, account_id, plan, reference, price_minor, currency, tokens,"
            " starts_at, ends_at) SELECT 99, id, 'enterprise', 'calls', 0, 'KES', 1, now(), 'infinity'"
            " FROM accounts WHERE slug = 'acme'")
    try:
        made = call(env, title="Dear").body["id"]
        expect(voice_row(env, made)["tokens_per_minute"], 4, "as agreed")
    finally:
        env.sql("DELETE FROM subscriptions WHERE id = 99;"
                "UPDATE plans SET tokens_per_minute = 1 WHERE code = 'enterprise'")
