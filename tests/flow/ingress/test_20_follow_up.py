"""Follow-ups: said with a campaign, refused under the caller's names, shown with it."""

import json

from ingress_tests import check, expect, row_id
from test_19_voice import ASSET, CALLER, CAMPAIGNS, OTHERS, VOICE, prepare, voice_row

SMS = "/api/communications/sms"


def call(env, follow, headers=None, **fields):
    return env.ask("POST", VOICE, {"title": "T", "sayTemplate": "Hello", "recipients": ["0712345678"],
                                   "followUp": follow, **fields}, key="send", headers=headers)


def text(env, follow, **fields):
    return env.ask("POST", SMS, {"title": "T", "messageTemplate": "Hello", "recipients": ["0712345678"],
                                 "followUp": follow, **fields}, key="send")


def following(env, name):
    rows = env.sql("SELECT row_to_json(c) FROM campaigns c WHERE parent_id = %d" % row_id(name))
    return [json.loads(row[0]) for row in rows]


def test_an_sms_follows_calls(env):
    prepare(env)
    reply = call(env, {"when": ["no_answer", "failed"], "messageTemplate": "Hi {{name}}", "senderId": "ACME"},
                 recipients=[{"phone": "0712345678", "name": "Asha"}], scheduledTime="2030-01-01T10:00:00Z",
                 expiresAt="2030-01-02T10:00:00Z", launch=False, priority="high", missing="skip")
    expect(reply.status, 202, "answer %r" % (reply.body,))
    [row] = following(env, reply.body["id"])
    expect([row[name] for name in ("channel", "status", "message_template", "sender_id", "follow_words",
                                   "lane", "missing", "hold", "scheduled_at", "title", "reference")],
           ["sms", "receiving", "Hi {{name}}", "ACME", ["no_answer", "failed"], "high", "skip", False, None,
            "T", "follow-up of " + reply.body["id"]], "row")
    check(row["expires_at"].startswith("2030-01-02"), row["expires_at"])
    [(_, _, told)] = env.published(reply.body["id"])
    expect(told["follow_up"], {"when": ["no_answer", "failed"], "message_template": "Hi {{name}}",
                               "sender_id": "ACME"}, "message")


def test_calls_follow_an_sms(env):
    prepare(env)
    reply = text(env, {"sayTemplate": "Hello {{name}}", "voice": "woman", "callerId": CALLER,
                       "retries": {"attempts": 2}, "keys": {"stop": "9", "answers": {"1": "Yes"}}},
                 recipients=[{"phone": "0712345678", "name": "Asha"}], keepWhitespace=True)
    expect(reply.status, 202, "answer %r" % (reply.body,))
    [row] = following(env, reply.body["id"])
    expect([row[name] for name in ("channel", "message_template", "sender_id", "follow_words")],
           ["voice", "Hello {{name}}", CALLER, ["failed", "expired"]], "row, of the usual ends")
    view = env.ask("GET", CAMPAIGNS + reply.body["id"], key="read").body
    stored = voice_row(env, view["followUp"]["id"])
    expect([stored[name] for name in ("say_voice", "attempts", "stop_key", "answers", "wait_s")],
           ["woman", 2, "9", {"1": "Yes"}, 10], "what its calls are about")
    reply = text(env, {"when": ["failed"], "audioAssetId": ASSET})
    [row] = following(env, reply.body["id"])
    expect((row["message_template"], row["follow_words"]), ("", ["failed"]), "one that is played")


def test_both_are_shown(env):
    prepare(env)
    reply = call(env, {"messageTemplate": "Hi"}, title="Both")
    expect(reply.status, 202, "answer %r" % (reply.body,))
    name = reply.body["id"]
    [row] = following(env, name)
    first = env.ask("GET", CAMPAIGNS + name, key="read").body
    shown = first["followUp"]
    expect(shown, {"id": shown["id"], "channel": "sms", "when": ["no_answer", "busy", "unreachable"],
                   "status": "receiving", "tokens": 0}, "before it is priced")
    expect((row_id(shown["id"]), "followUpOf" in first), (row["id"], False), "whose it is")
    second = env.ask("GET", CAMPAIGNS + shown["id"], key="read").body
    expect((second["followUpOf"], "followUp" in second, second["type"]), (name, False, "sms"), "the other")
    # As render-template leaves them.
    env.sql("UPDATE campaigns SET status = 'quoted', segments = 10, follow_segments = 4 WHERE id = %d;"
            "UPDATE campaigns SET status = 'waiting', segments = 4 WHERE id = %d"
            % (row_id(name), row["id"]))
    first = env.ask("GET", CAMPAIGNS + name, key="read").body
    expect((first["tokens"]["quoted"], first["followUp"]["tokens"], first["followUp"]["status"]),
           (14, 4, "waiting"), "the quote")
    stats = env.ask("GET", CAMPAIGNS + name + "/stats", key="read").body
    expect(stats["tokensQuoted"], 14, "stats")
    listed = env.ask("GET", CAMPAIGNS[:-1], key="read", status="waiting", limit=1000).body["campaigns"]
    expect([one["followUpOf"] for one in listed if one["id"] == shown["id"]], [name], "the list")
    for verb in ("launch", "pause", "resume"):
        refused = env.ask("POST", CAMPAIGNS + shown["id"] + "/" + verb, key="send")
        expect((refused.status, refused.body["code"]), (409, "wrong_status"), verb)
        expect(refused.body["detail"], "cannot %s a campaign that is waiting; it begins by itself when the "
               "one that it follows is over" % verb, verb)
    reply = env.ask("POST", CAMPAIGNS + shown["id"] + "/cancel", key="send")
    expect((reply.status, reply.body["status"]), (202, "cancelling"), "cancelled alone")
    expect(env.ask("GET", CAMPAIGNS + name, key="read").body["status"], "quoted", "the first stays")


def test_what_cannot_follow(env):
    prepare(env)
    before = env.sql("SELECT count(*) FROM campaigns")
    good = {"messageTemplate": "Hi"}
    said = {"sayTemplate": "Hi"}
    for send, cases in ((call, (
            ("follow_up_empty", "followUp", {}),
            ("follow_up_empty", "followUp", {"messageTemplate": "", "when": []}),
            ("bad_field", "followUp", "x"),
            ("bad_field", "followUp", []),
            ("template_empty", "followUp.messageTemplate", {"when": ["busy"]}),
            ("template_empty", "followUp.messageTemplate", {"senderId": "ACME"}),
            ("template_unknown_field", "followUp.messageTemplate", {"messageTemplate": "{{name}}"}),
            ("template_unterminated", "followUp.messageTemplate", {"messageTemplate": "{{name"}),
            ("template_too_long", "followUp.messageTemplate", {"messageTemplate": "x" * 1601}),
            ("bad_field", "followUp.messageTemplate", {"messageTemplate": "x" * 6401}),
            ("bad_field", "followUp.messageTemplate", {"messageTemplate": 5}),
            ("sender_id_unknown", "followUp.senderId", {**good, "senderId": "OTHER"}),
            ("bad_field", "followUp.senderId", {**good, "senderId": "x" * 17}),
            ("follow_up_words", "followUp.when", {**good, "when": ["delivered"]}),
            ("follow_up_words", "followUp.when", {**good, "when": ["busy", ""]}),
            ("bad_field", "followUp.when", {**good, "when": "busy"}),
            ("bad_field", "followUp.when[0]", {**good, "when": [1]}),
            ("bad_field", "followUp.when[0]", {**good, "when": ["x" * 17]}),
            ("bad_field", "followUp.when", {**good, "when": ["busy"] * 7}),
            ("unknown_field", "followUp.sayTemplate", {**good, "sayTemplate": "Hi"}),
            ("unknown_field", "followUp.keys", {**good, "keys": {}}),
            ("unknown_field", "followUp.followUp", {**good, "followUp": good}))), (text, (
            ("follow_up_empty", "followUp", {}),
            ("follow_up_empty", "followUp", {"keys": {}, "retries": None}),
            ("content_missing", "followUp.sayTemplate", {"when": ["failed"]}),
            ("content_missing", "followUp.sayTemplate", {"voice": "man"}),
            ("content_missing", "followUp.sayTemplate", {"keys": {"stop": "9"}}),
            ("content_twice", "followUp.audioAssetId", {**said, "audioAssetId": ASSET}),
            ("audio_unknown", "followUp.audioAssetId", {"audioAssetId": OTHERS}),
            ("template_unknown_field", "followUp.sayTemplate", {"sayTemplate": "{{name}}"}),
            ("say_empty", "followUp.sayTemplate", {"sayTemplate": " "}),
            ("bad_voice", "followUp.voice", {**said, "voice": "<Say>"}),
            ("bad_caller_id", "followUp.callerId", {**said, "callerId": "ACME"}),
            ("caller_id_unknown", "followUp.callerId", {**said, "callerId": "+254711000002"}),
            ("bad_field", "followUp.retries.attempts", {**said, "retries": {"attempts": 11}}),
            ("unknown_field", "followUp.retries.tries", {**said, "retries": {"tries": 2}}),
            ("bad_key", "followUp.keys.stop", {**said, "keys": {"stop": "x"}}),
            ("key_twice", "followUp.keys.stop", {**said, "keys": {"repeat": "1", "stop": "1"}}),
            ("no_keys", "followUp.keys.waitSeconds", {**said, "keys": {"waitSeconds": 5}}),
            ("unknown_field", "followUp.keys.sotp", {**said, "keys": {"sotp": "9"}}),
            ("follow_up_words", "followUp.when", {**said, "when": ["no_answer"]}),
            ("unknown_field", "followUp.messageTemplate", {"messageTemplate": "Hi"}),
            ("unknown_field", "followUp.senderId", {**said, "senderId": "ACME"})))):
        for code, field, follow in cases:
            reply = send(env, follow)
            expect((reply.status, reply.body["code"], reply.body.get("field")), (422, code, field),
                   "answer to %r: %r" % (follow, reply.body))
    detail = call(env, {**good, "when": ["lost"]}).body["detail"]
    expect(detail, "'lost' is no end of calls; use no_answer, busy, unreachable, rejected, failed or expired",
           "what is said of it")
    detail = text(env, {}).body["detail"]
    expect(detail, "is empty; give sayTemplate or audioAssetId, or leave it out", "what is said of nothing")
    expect(env.sql("SELECT count(*) FROM campaigns"), before, "nothing is left")
    reply = call(env, None)
    expect((reply.status, following(env, reply.body["id"])), (202, []), "null is none")


def test_an_upload_says_it_in_its_arguments(env):
    prepare(env)
    reply = env.ask("POST", VOICE, "phone,name\n0712345678,Asha\n", key="send", content_type="text/csv",
                    **{"title": "T", "sayTemplate": "Hi", "followUp.when": "busy,no_answer",
                       "followUp.messageTemplate": "Hi {{name}}"})
    expect(reply.status, 202, "answer %r" % (reply.body,))
    [row] = following(env, reply.body["id"])
    expect((row["message_template"], row["follow_words"]), ("Hi {{name}}", ["busy", "no_answer"]), "an SMS")
    reply = env.ask("POST", SMS, "phone\n0712345678\n", key="send", content_type="text/csv",
                    **{"title": "T", "messageTemplate": "Hi", "followUp.audioAssetId": ASSET,
                       "followUp.keys.answers.1": "Yes", "followUp.retries.attempts": "2"})
    expect(reply.status, 202, "answer %r" % (reply.body,))
    view = env.ask("GET", CAMPAIGNS + reply.body["id"], key="read").body
    stored = voice_row(env, view["followUp"]["id"])
    expect((stored["audio_id"], stored["answers"], stored["attempts"]), (7, {"1": "Yes"}, 2), "calls")
    for code, field, arguments in (
            ("unknown_argument", "followUp", {"followUp": "{}"}),
            ("unknown_argument", "followUp.sotp", {"followUp.sotp": "x"}),
            ("unknown_argument", "followUp.sayTemplate", {"followUp.sayTemplate": "x"}),
            ("follow_up_empty", "followUp", {"followUp.when": ""}),
            ("follow_up_words", "followUp.when", {"followUp.when": "busy,", "followUp.messageTemplate": "x"}),
            ("follow_up_words", "followUp.when", {"followUp.when": "lost", "followUp.messageTemplate": "x"}),
            ("template_unknown_field", "followUp.messageTemplate", {"followUp.messageTemplate": "{{name}}"}),
            ("sender_id_unknown", "followUp.senderId", {"followUp.messageTemplate": "x",
                                                        "followUp.senderId": "OTHER"})):
        reply = env.ask("POST", VOICE, "phone\n0712345678\n", key="send", content_type="text/csv",
                        **{"title": "T", "sayTemplate": "Hi", **arguments})
        expect((reply.status, reply.body["code"], reply.body.get("field")), (422, code, field),
               "answer to %r: %r" % (arguments, reply.body))


def test_said_twice_there_is_one(env):
    prepare(env)
    made = [call(env, {"messageTemplate": "Hi"}, headers={"Idempotency-Key": "follow-1"}).body["id"]
            for _ in range(2)]
    expect(made[0], made[1], "the campaign")
    expect(len(following(env, made[0])), 1, "its follow-up")
