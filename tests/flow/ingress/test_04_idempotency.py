"""A POST said twice is done once."""

import threading

from ingress_tests import expect

SMS = "/api/communications/sms"


def test_a_repetition_gets_the_first_answer(env):
    first = env.sms(headers={"Idempotency-Key": "one"})
    again = env.sms(headers={"Idempotency-Key": "one"})
    expect((again.status, again.body), (202, first.body), "the repetition")
    expect(len(env.published(first.body["id"])), 1, "published once")
    expect(env.sql("SELECT count(*) FROM campaigns WHERE reference LIKE 'key:%%' AND id >= 0"
                   " AND title = 'Test' AND message_template = 'Hello'"), [["1"]], "campaigns")
    env.refused(422, "idempotency_key_reused", "Idempotency-Key", "POST", SMS, {
        "title": "Other", "messageTemplate": "Hello", "recipients": ["0712345678"]},
        headers={"Idempotency-Key": "one"}, key="send")


def test_the_key_is_the_accounts_own(env):
    acme = env.sms(headers={"Idempotency-Key": "shared"}).body["id"]
    beta = env.sms(headers={"Idempotency-Key": "shared"}, key="beta").body["id"]
    expect(acme != beta, True, "two campaigns")


def test_a_refusal_is_repeated_too(env):
    for _ in range(2):
        env.refused(422, "sender_id_unknown", "senderId", "POST", SMS, {
            "title": "T", "messageTemplate": "x", "recipients": ["0712345678"], "senderId": "NO"},
            headers={"Idempotency-Key": "refused"})


def test_at_the_same_time_one_is_done(env):
    replies = []

    def ask():
        replies.append(env.sms(headers={"Idempotency-Key": "race"}))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = sorted(reply.status for reply in replies)
    expect(set(statuses) <= {202, 409}, True, "statuses %r" % (statuses,))
    expect(202 in statuses, True, "one is accepted")
    ids = {reply.body["id"] for reply in replies if reply.status == 202}
    expect(len(ids), 1, "campaigns")
    expect(len(env.published(ids.pop())), 1, "published once")


def test_a_claim_of_the_dead_is_taken_over_with_the_same_ids(env):
    first = env.sms(headers={"Idempotency-Key": "died"})
    [(properties, _, body)] = env.published(first.body["id"])
    env.sql("UPDATE idempotency_keys SET status = NULL, body = NULL WHERE key = 'died'")
    env.refused(409, "request_under_way", "Idempotency-Key", "POST", SMS, {
        "title": "Test", "messageTemplate": "Hello", "recipients": ["0712345678"]},
        headers={"Idempotency-Key": "died"}, key="send")
    env.sql("UPDATE idempotency_keys SET created_at = now() - interval '2 minutes'"
            " WHERE key = 'died'")
    again = env.sms(headers={"Idempotency-Key": "died"})
    expect(again.body["id"], first.body["id"], "the same campaign")
    [(repeated, _, _)] = env.published(first.body["id"])
    expect(repeated.message_id, properties.message_id, "the same message id")


def test_uploads_and_steering_too(env):
    text = "phone\n0712345678\n"
    first = env.upload(text, headers={"Idempotency-Key": "file"})
    again = env.upload(text, headers={"Idempotency-Key": "file"})
    expect((again.status, again.body), (202, first.body), "the repetition")
    expect(len(env.published(first.body["id"])), 2, "published once")
    path = "/api/communications/campaigns/%s/cancel" % first.body["id"]
    for _ in range(2):
        expect(env.ask("POST", path, headers={"Idempotency-Key": "stop"}).status, 202, "cancel")
    expect(len(env.published(first.body["id"])), 1, "told once")
