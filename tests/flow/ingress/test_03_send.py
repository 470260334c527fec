"""What is accepted is in the record and with the broker before it is answered."""

import hashlib

from ingress_tests import check, expect, row_id


def test_a_message(env):
    reply = env.ask("POST", "/api/messages/send/", {
        "recipients": ["254712345678", 254723456789], "message": "Hello", "sender_id": "ACME",
        "options": {"enqueue": True, "priority": "high"}}, key="send")
    expect((reply.status, reply.body["recipients"]), (202, 2), "answer")
    check(reply.body["id"].startswith("msg_"), reply.body["id"])
    [(properties, key, body)] = env.published(reply.body["id"])
    expect(key, "campaign.submitted.high", "routing key")
    expect(properties.type, "campaign.submitted.v1", "type")
    expect(properties.delivery_mode, 2, "delivery mode")
    expect(properties.headers["account"], "acme", "account")
    expect(properties.headers["attempt"], 1, "attempt")
    expect(properties.headers["traceparent"][:35], reply.headers["X-Trace-Id"][:35], "trace")
    expect(body["campaign"], "cmp_" + reply.body["id"][4:], "campaign")
    expect((body["columns"], body["rows"]), (["phone"], [["254712345678"], ["254723456789"]]), "rows")
    row = env.campaign(reply.body["id"])
    expect((row["kind"], row["lane"], row["sender_id"], row["status"]),
           ("message", "high", "ACME", "receiving"), "the row")
    status = env.ask("GET", "/api/messages/%s/status/" % reply.body["id"], key="read")
    expect((status.body["id"], status.body["recipients"]), (reply.body["id"], []), "status")


def test_a_trace_is_kept_and_nonsense_is_not(env):
    given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    reply = env.ask("GET", "/api/tokens/balance/", headers={"traceparent": given})
    expect(reply.headers["X-Trace-Id"][:35], given[:35], "trace")
    reply = env.ask("GET", "/api/tokens/balance/", headers={"traceparent": "00-xyz\"-01"})
    check("xyz" not in reply.headers["X-Trace-Id"], "a bad trace id came back")


def test_a_campaign_with_fields(env):
    reply = env.sms(
        [{"phone": "0712345678", "first_name": "Asha", "amount": 12.50, "vip": True},
         "0723456789", {"first_name": "Bo \"B\" é", "phone": 254700000001, "town": None}],
        messageTemplate="Hi {{first_name|friend}}, {{amount|0}}", title="Fields", launch=False,
        missing="default", missingDefault="x", country="KE", keepWhitespace=True,
        scheduledTime="2030-01-01T10:00:00+03:00", expiresAt="2030-01-02T00:00:00Z")
    [(_, key, body)] = env.published(reply.body["id"])
    expect(key, "campaign.submitted.normal", "routing key")
    expect(body["columns"], ["phone", "first_name", "amount", "vip", "town"], "columns")
    expect(body["rows"], [["0712345678", "Asha", "12.5", "true", ""], ["0723456789", "", "", "", ""],
                          ["254700000001", "Bo \"B\" é", "", "", ""]], "rows")
    expect({name: body[name] for name in ("hold", "missing", "missing_default", "keep_whitespace",
                                          "scheduled_at", "expires_at", "country")},
           {"hold": True, "missing": "default", "missing_default": "x", "keep_whitespace": True,
            "scheduled_at": "2030-01-01T07:00:00.000Z", "expires_at": "2030-01-02T00:00:00.000Z",
            "country": "KE"}, "definition")
    row = env.campaign(reply.body["id"])
    expect((row["hold"], row["title"], row["missing"]), (True, "Fields", "default"), "row")
    view = env.ask("GET", "/api/communications/campaigns/" + reply.body["id"], key="read").body
    expect((view["launch"], view["scheduledTime"]), (False, "2030-01-01T07:00:00.000Z"), "view")


def test_many_inline_recipients_travel_in_chunks(env):
    phones = ["07%08d" % i for i in range(2500)]
    reply = env.sms(phones)
    messages = env.published(reply.body["id"])
    expect([properties.type for properties, _, _ in messages],
           ["recipients.submitted.v1"] * 3 + ["campaign.closed.v1"], "types")
    expect([body["first_row"] for _, _, body in messages[:3]], [1, 1001, 2001], "first rows")
    expect([cell for _, _, body in messages[:3] for [cell] in body["rows"]], phones, "phones")
    expect(messages[3][2], {"campaign": reply.body["id"], "chunks": 3}, "closed")
    # Ids follow from campaign, type and number, so that a repetition repeats them.
    for number, (properties, _, body) in zip((1, 2, 3), messages):
        text = "ingress|%s|recipients.submitted.v1|%d" % (reply.body["id"], number)
        expect(properties.message_id, hashlib.sha256(text.encode()).hexdigest()[:32], "message id")


def test_long_rows_stay_below_the_frame(env):
    recipients = [{"phone": "07%08d" % i, "note": "x" * 4000} for i in range(100)]
    reply = env.sms(recipients)
    messages = env.published(reply.body["id"])
    check(len(messages) > 4, "%d messages" % len(messages))
    expect(sum(len(body.get("rows", [])) for _, _, body in messages), 100, "rows")


def test_steering(env):
    made = env.sms(launch=False).body["id"]
    env.published(made)
    path = "/api/communications/campaigns/" + made
    env.refused(409, "wrong_status", "status", "POST", path + "/launch")
    env.sql("UPDATE campaigns SET status = 'quoted' WHERE id = %d" % row_id(made))
    expect(env.ask("POST", path + "/launch", key="send").body["status"], "reserving", "launched")
    expect([p.type for p, _, _ in env.published(made)], ["campaign.launched.v1"], "told")
    env.sql("UPDATE campaigns SET status = 'sending' WHERE id = %d" % row_id(made))
    expect(env.ask("POST", path + "/pause").body["status"], "paused", "paused")
    expect(env.ask("POST", path + "/pause").status, 202, "paused again")
    expect(env.ask("POST", path + "/resume").body["status"], "sending", "resumed")
    expect(env.ask("POST", path + "/cancel").body["status"], "cancelling", "cancelled")
    expect([p.type for p, _, _ in env.published(made)],
           ["campaign.resumed.v1", "campaign.cancelled.v1"], "told")


def test_quotes(env):
    def quote(**body):
        return env.ask("POST", "/api/messages/quote", body, key="read").body

    body = quote(message="x" * 160)
    expect((body["encoding"], body["segments"], body["tokens"]), ("GSM-7", 1, 1), "160")
    expect(quote(message="x" * 310)["segments"], 3, "310 characters are three parts")
    body = quote(message="It’s here" + "x" * 70)
    expect((body["encoding"], body["segments"], body["tokensIfReplaced"]), ("UCS-2", 2, 1), "curly")
    expect(body["unicodeCharacters"], [{"character": "’", "codePoint": "U+2019", "count": 1,
                                        "replacement": "'"}], "the culprit")
    body = quote(messageTemplate="Hi {{name}}", recipients=[
        {"phone": "0712345678", "name": "A"}, {"phone": "0723456789", "name": "x" * 160},
        {"phone": "+254712345678", "name": "again"}, {"phone": "12", "name": "bad"}])
    expect([body[name] for name in ("recipients", "tokens", "segmentsMin", "segments", "invalid",
                                    "duplicates")], [2, 3, 1, 2, 1, 1], "rendered for each")
    before = env.sql("SELECT count(*) FROM campaigns")
    env.refused(422, "no_recipients", "recipients", "POST", "/api/messages/quote",
                {"message": "Hi {{name}}"})
    env.refused(422, "no_message", "message", "POST", "/api/messages/quote", {})
    env.refused(422, "missing_field", "recipients[0]", "POST", "/api/messages/quote", {
        "message": "Hi {{name}}", "recipients": [{"phone": "0712345678", "name": " "}]})
    expect(quote(message="Hi {{name}}", missing="skip",
                 recipients=[{"phone": "0712345678", "name": ""}])["leftOut"], 1, "left out")
    expect(env.sql("SELECT count(*) FROM campaigns"), before, "nothing is stored")
