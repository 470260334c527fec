"""Files that stream through."""

import json
import socket
import time

from ingress_tests import TOKEN, check, expect, wait_for

ROWS = 200000


def rows_of(messages):
    return [row for _, _, body in messages for row in body.get("rows", [])]


def test_csv_of_all_shapes(env):
    text = ("\ufeffName;Mobile;Note\r\nAsha;0712345678;\"a;b\"\r\n\r\n"
            "\"Bo \"\"B\"\"\";0723456789\r\n").encode()
    reply = env.upload(text, messageTemplate="Hi {{name}}")
    expect((reply.status, reply.body["recipients"]), (202, 2), "answer %r" % (reply.body,))
    messages = env.published(reply.body["id"])
    expect(messages[0][2]["columns"], ["Name", "Mobile", "Note"], "columns")
    expect(rows_of(messages), [["Asha", "0712345678", "a;b"], ["Bo \"B\"", "0723456789", ""]], "rows")
    expect(messages[-1][2], {"campaign": reply.body["id"], "chunks": 1}, "closed")


def test_ndjson(env):
    text = ('{"phone": 254712345678, "name": "Asha"}\n\n{"name": "Bo", "phone": "0723456789", "x": 1}'
            '\r\n"0700000001"\n{"phone": ["x"]}\n{"phone":"0700000002"}')
    reply = env.upload(text, content_type="application/x-ndjson", messageTemplate="Hi {{name|you}}")
    expect((reply.status, reply.body["recipients"], reply.body["badRows"]), (202, 5, 1), "answer")
    messages = env.published(reply.body["id"])
    expect(rows_of(messages), [["254712345678", "Asha"], ["0723456789", "Bo"], ["0700000001", ""],
                               ["line 5: bad_field", ""], ["0700000002", ""]], "rows")
    one = env.upload('{"phone":"0712345678"}', content_type="application/x-ndjson")
    expect((one.status, len(env.published(one.body["id"]))), (202, 2), "one line without newline")


def test_a_line_without_a_newline_is_finished_once(env):
    """Its campaign is made at its end: the confirmation may overtake whoever sent the rows."""
    for _ in range(60):
        one = env.upload('{"phone":"0712345678"}', content_type="application/x-ndjson")
        expect((one.status, len(env.published(one.body["id"]))), (202, 2), "one line")


def test_bad_rows_are_counted_not_fatal(env):
    lines = ["phone,name"] + ["07%08d,n" % i for i in range(5)] + ['"x"y,z', "1,2,3", "0712345678,ok"]
    reply = env.upload("\n".join(lines))
    expect((reply.status, reply.body["recipients"], reply.body["badRows"]), (202, 8, 2), "answer")
    expect([bad["line"] for bad in reply.body["firstBadRows"]], [7, 8], "lines")
    phones = [row[0] for row in rows_of(env.published(reply.body["id"]))]
    check(phones[5].startswith("line 7: csv_"), phones[5])


def test_bad_files(env):
    for text, code in (("", "no_recipients"), ("phone\n", "no_recipients"),
                       ("name,town\nA,B\n", "no_phone"),
                       ("phone,first\n0712345678,A\n", "template_unknown_field"),
                       ('"phone\n', "csv_unterminated_quote"),
                       ("phone," + "x" * 65 + "\n0712345678,A\n", "column_too_long"),
                       ("phone\n0712345678\n".encode("utf-16"), "csv_utf16")):
        reply = env.upload(text, messageTemplate="Hi {{name}}" if "first" in str(text) else "Hi")
        expect((reply.status, reply.body["code"]), (422, code), "%r: %r" % (text, reply.body))
    env.refused(422, "no_phone", "recipients", "POST", "/api/communications/sms", '{"name":"x"}\n',
                content_type="application/x-ndjson", title="x", messageTemplate="x")
    env.refused(422, "bad_field", "title", "POST", "/api/communications/sms", "phone\n1\n",
                content_type="text/csv", messageTemplate="x")
    env.refused(422, "bad_field", "launch", "POST", "/api/communications/sms", "phone\n1\n",
                content_type="text/csv", messageTemplate="x", title="x", launch="maybe")
    env.refused(413, "body_too_large", None, "POST", "/api/communications/sms?title=x"
                "&messageTemplate=x", headers={"Content-Length": str(513 << 20),
                                               "Content-Type": "text/csv"})


def test_a_large_file_streams_in_flat_memory(env):
    rows = ROWS // 10 if env.sanitized else ROWS
    text = b"phone,first_name,amount\n" + b"".join(
        b"07%08d,Customer %d,%d\n" % (i, i, i * 3) for i in range(rows))
    ingress = env.ingress("upload")
    start = time.monotonic()
    reply = env.ask("POST", "/api/communications/sms", text, content_type="text/csv",
                    port=ingress.port, title="Large", timeout=60,
                    messageTemplate="Hi {{first_name}}, you owe {{amount}}")
    took = time.monotonic() - start
    expect((reply.status, reply.body["recipients"]), (202, rows), "answer %r" % (reply.body,))
    memory = ingress.memory_kib() // 1024
    print("        %d rows in %.2f s: %.0f a second, peak %d MiB" % (rows, took, rows / took, memory))
    check(env.sanitized or memory < 200, "the ingress took %d MiB" % memory)
    messages = env.published(reply.body["id"])
    sent = rows_of(messages)
    expect(len(sent), rows, "rows published")
    expect(sent[rows - 1], ["07%08d" % (rows - 1), "Customer %d" % (rows - 1),
                            str(rows * 3 - 3)], "the last row")
    chunks = [body for _, _, body in messages if "rows" in body]
    expect([body["chunk"] for body in chunks], list(range(1, len(chunks) + 1)), "chunks")
    first = 1
    for body in chunks:
        expect(body["first_row"], first, "first row of chunk %d" % body["chunk"])
        first += len(body["rows"])
    expect(messages[-1][2]["chunks"], len(chunks), "closed")
    ingress.stop()


def test_an_upload_that_breaks_off_is_abandoned(env):
    connection = socket.create_connection(("127.0.0.1", env.main.port))
    connection.sendall((
        "POST /api/communications/sms?title=Broken&messageTemplate=Hi HTTP/1.1\r\nHost: x\r\n"
        "Authorization: Bearer %s\r\nContent-Type: text/csv\r\nContent-Length: 1000000\r\n\r\n"
        "phone\n" % env.keys["send"]).encode())
    connection.sendall(b"0712345678\n" * 3000)
    wait_for("the campaign's row", 5, lambda: env.sql(
        "SELECT 1 FROM campaigns WHERE title = 'Broken' AND status = 'receiving'"))
    connection.close()
    wait_for("it is abandoned", 5, lambda: env.sql(
        "SELECT 1 FROM campaigns WHERE title = 'Broken' AND status = 'abandoned'"
        " AND untold_at IS NOT NULL"))


def test_a_broken_upload_does_not_use_its_key_up(env):
    head = ("POST /api/communications/sms?title=Again&messageTemplate=Hi HTTP/1.1\r\nHost: x\r\n"
            "Authorization: Bearer %s\r\nContent-Type: text/csv\r\nIdempotency-Key: again\r\n"
            "Content-Length: 33\r\n\r\nphone\n" % env.keys["send"])
    connection = socket.create_connection(("127.0.0.1", env.main.port))
    connection.sendall(head.encode())
    wait_for("the campaign's row", 5, lambda: env.sql(
        "SELECT 1 FROM campaigns WHERE title = 'Again'"))
    connection.close()
    wait_for("the claim is dropped", 5, lambda: not env.sql(
        "SELECT 1 FROM idempotency_keys WHERE key = 'again'"))
    reply = env.ask("POST", "/api/communications/sms", "phone\n0712345678\n0723456789\n",
                    content_type="text/csv", headers={"Idempotency-Key": "again"}, title="Again",
                    messageTemplate="Hi")
    expect(reply.status, 202, "the second try: %r" % (reply.body,))
    expect(env.sql("SELECT status FROM campaigns WHERE title = 'Again' ORDER BY id"),
           [["abandoned"], ["receiving"]], "two campaigns")


def begin(env, port, title, key):
    """The first half of an upload of three rows."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall((
        "POST /api/communications/sms?title=%s&messageTemplate=Hi HTTP/1.1\r\nHost: x\r\n"
        "Authorization: Bearer %s\r\nContent-Type: text/csv\r\nIdempotency-Key: %s\r\n"
        "Content-Length: 39\r\n\r\nphone\n0712345678\n" % (title, env.keys["send"], key)).encode())
    wait_for("the campaign's row", 5, lambda: env.sql(
        "SELECT 1 FROM campaigns WHERE title = '%s'" % title))
    return connection


def whole(env, title, key, port=None):
    return env.ask("POST", "/api/communications/sms", "phone\n" + 3 * "0712345679\n", port=port,
                   content_type="text/csv", headers={"Idempotency-Key": key}, title=title,
                   messageTemplate="Hi")


def test_an_upload_whose_ingress_was_killed_begins_anew(env):
    ingress = env.ingress("killed")
    begin(env, ingress.port, "Killed", "killed")
    ingress.process.kill()
    ingress.process.wait()
    expect(whole(env, "Killed", "killed").body["code"], "request_under_way", "within the lease")
    env.sql("UPDATE idempotency_keys SET created_at = now() - interval '74 s' WHERE key = 'killed'")
    expect(whole(env, "Killed", "killed").status, 409, "status at the end of the lease")
    env.sql("UPDATE idempotency_keys SET created_at = now() - interval '76 s' WHERE key = 'killed'")
    reply = whole(env, "Killed", "killed")
    expect((reply.status, reply.body["recipients"]), (202, 3), "answer %r" % (reply.body,))
    expect(env.sql("SELECT status, receiving_until IS NULL FROM campaigns WHERE title = 'Killed'"
                   " ORDER BY id"), [["abandoned", "f"], ["receiving", "t"]], "campaigns")
    messages = env.published(reply.body["id"])
    expect(rows_of(messages), 3 * [["0712345679"]], "rows")


def test_an_upload_that_was_given_up_is_told_so(env):
    connection = begin(env, env.main.port, "Slow", "slow")
    env.sql("UPDATE campaigns SET status = 'abandoned' WHERE title = 'Slow'")
    connection.sendall(b"0712345679\n" * 2)
    answer = connection.recv(4096).decode()
    check(answer.startswith("HTTP/1.1 503 ") and "upload_abandoned" in answer, answer)
    wait_for("the claim is dropped", 5, lambda: not env.sql(
        "SELECT 1 FROM idempotency_keys WHERE key = 'slow'"))
    expect(whole(env, "Slow", "slow").status, 202, "status of the second try")
    expect(env.sql("SELECT status FROM campaigns WHERE title = 'Slow' ORDER BY id"),
           [["abandoned"], ["receiving"]], "campaigns")


def test_an_upload_that_came_whole_is_not_begun_anew(env):
    first = whole(env, "Whole", "whole")
    env.sql("UPDATE idempotency_keys SET status = NULL, created_at = now() - interval '2 minutes'"
            " WHERE key = 'whole'")  # it died before it could store its answer
    expect(whole(env, "Whole", "whole").body["id"], first.body["id"], "the campaign")
    expect(env.sql("SELECT status FROM campaigns WHERE title = 'Whole'"), [["receiving"]], "campaigns")


def test_expect_100_continue_is_answered_before_the_body(env):
    connection = socket.create_connection(("127.0.0.1", env.main.port), timeout=5)
    connection.sendall((
        "POST /api/communications/sms?title=x&messageTemplate=Hi HTTP/1.1\r\nHost: x\r\n"
        "Authorization: Bearer wrong\r\nContent-Type: text/csv\r\nContent-Length: 100000000\r\n"
        "Expect: 100-continue\r\n\r\n").encode())
    check(connection.recv(4096).startswith(b"HTTP/1.1 401"), "refused before the body is sent")
    connection.close()
    check(TOKEN not in env.main.log.read_text(), "the webhook token is in the log")
    check(json.dumps(env.keys["send"]) not in env.main.log.read_text(), "a key is in the log")
