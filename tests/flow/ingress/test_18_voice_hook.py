"""The provider's posts about calls: what is heard at once, whatever else is away; keys and ends kept."""

import contextlib
import os
import pathlib
import re
import signal
import socket
import statistics
import threading
import time
import urllib.parse
import xml.etree.ElementTree

from ingress_tests import ALPHABET, TOKEN, check, expect, wait_for

HOOK = "/api/communications/webhooks/voice"
MEDIA_SECRET = "a-secret-of-the-tests-that-is-long-enough"
FALLBACK = "https://media.test/sorry.mp3"
PUBLIC_URL = "https://tuma.test/"
LIMIT_S = 0.050
SHA256 = "ab" * 32
made = 0


def name_of(number):
    """The database's number as "cmp_…"."""
    letters = ""
    for _ in range(13):
        letters = ALPHABET[number % 32] + letters
        number //= 32
    return "cmp_" + letters


def quoted(text):
    return "NULL" if text is None else "'%s'" % text.replace("'", "''")


def hooks(env):
    """An ingress that has all that calls need; made by the first test that asks."""
    if not hasattr(env, "hooks"):
        folder = env.dir / "audio"
        env.audio_file = folder / SHA256
        folder.mkdir()
        env.audio_file.write_bytes(b"RIFF")
        env.hooks = env.ingress("voice", PUBLIC_URL=PUBLIC_URL, MEDIA_SECRET=MEDIA_SECRET,
                                AUDIO_FOLDER=str(folder), AT_VOICE_FALLBACK_AUDIO_URL=FALLBACK)
    return env.hooks


class Call:
    """A campaign with one callee who is being called."""

    def __init__(self, env, text="Habari", own_text=None, audio=False, called="now()", sent=True,
                 before=None, known=True, **voice):
        global made
        made += 1
        self.env = env
        self.phone = "2547%08d" % (11000000 + made)
        self.session = "ATVId_%032x" % made
        hooks(env)
        self.id = int(env.sql("SELECT id_floor(now()) + %d" % made)[0][0])
        self.name = name_of(self.id)
        audio_id = "NULL"
        if audio:
            audio_id = str(self.id)
            env.sql("INSERT INTO audio_assets (id, account_id, sha256, kind, name, bytes, duration_ms,"
                    " sample_rate, channels, created_at)"
                    " SELECT %d, min(id), set_byte(decode('%s', 'hex'), 0, %d), 'mp3', 'a.mp3', 10,"
                    " 1000, 8000, 1, now() FROM accounts" % (self.id, SHA256, made))
            self.file = env.audio_file.parent / ("%02x" % made + SHA256[2:])
            self.file.write_bytes(b"ID3")
        columns = {"campaign_id": str(self.id), "audio_id": audio_id, "tokens_per_minute": "1",
                   **{name: value if isinstance(value, int) else quoted(value)
                      for name, value in voice.items()}}
        self.add = lambda: env.sql(
            "BEGIN;"
            "INSERT INTO campaigns (id, account_id, reference, channel, status, title,"
            " message_template, text, country) SELECT %(id)d, min(id), 'v%(id)d', 'voice', 'sending',"
            " 'Calls', '', %(text)s, 'KE' FROM accounts;"
            "INSERT INTO voice_campaigns (%(names)s) VALUES (%(values)s);"
            "INSERT INTO batches (campaign_id, batch, first_seq, last_seq, origin, claimed_seq,"
            " recorded_seq, sent, called_at) VALUES (%(id)d, 1, 1, 1, 'o', 1, %(recorded)d, 1,"
            " %(called)s);"
            "INSERT INTO recipients (campaign_id, msisdn, seq, segments, batch, state, text,"
            " provider_id) VALUES (%(id)d, %(phone)s, 1, 1, 1, %(state)d, %(own)s, %(session)s);"
            "COMMIT" % {
                "id": self.id, "text": quoted(text), "names": ", ".join(columns),
                "values": ", ".join(str(value) for value in columns.values()), "called": called,
                "recorded": sent, "phone": self.phone, "state": 3 if sent else 0,
                "own": quoted(own_text), "session": quoted(self.session if sent else before)})
        if known:
            self.add()
            wait_until_looked(env)

    def fields(self, **more):
        return {"isActive": "1", "sessionId": self.session, "direction": "Outbound",
                "callerNumber": "+" + self.phone, "destinationNumber": "+254711082000",
                "callSessionState": "Answered", **more}

    def ask(self, address=None, **more):
        """One post of a live call: the document as (tag, attributes, text, children)."""
        return heard(post(self.env, self.fields(**more), address))

    def end(self, **more):
        return post(self.env, self.fields(isActive="0", callSessionState="Completed",
                                          durationInSeconds="31", amount="6.000",
                                          currencyCode="KES", status="Success",
                                          hangupCause="NORMAL_CLEARING", **more))

    def back(self, step):
        return "%s?token=%s&campaign=%s&step=%d" % (HOOK, TOKEN, self.name, step)


def post(env, fields, address=None):
    body = fields if isinstance(fields, str) else urllib.parse.urlencode(fields)
    return env.callback(address or HOOK + "/" + TOKEN, body, port=hooks(env).port)


def heard(reply):
    expect((reply.status, reply.headers["Content-Type"]), (200, "application/xml; charset=utf-8"),
           "answer %r" % reply.body)
    root = xml.etree.ElementTree.fromstring(reply.body)
    expect(root.tag, "Response", "root")

    def plain(element):
        return (element.tag, dict(element.attrib), element.text or "", [plain(one) for one in element])
    return [plain(element) for element in root]


def answers_in_time(env, what, ask, answer, count=41, limit_s=LIMIT_S):
    """The same answer each time, mostly within the limit: this machine has others to serve too."""
    took = []
    for _ in range(count):
        start = time.monotonic()
        expect(ask(), answer, what)
        took.append(time.monotonic() - start)
    took.sort()
    print("        %s: median %.1f ms, the slowest of %d %.1f ms"
          % (what, statistics.median(took) * 1000, count, took[-1] * 1000))
    check(statistics.median(took) < limit_s or env.sanitized, "%s: too slow" % what)


def say(text, **attributes):
    return ("Say", attributes, text, [])


GOODBYE = [say("Thank you. Goodbye.")]
FELL_BACK = [("Play", {"url": FALLBACK}, "", [])]


def in_the_end(ask):
    """The answer that needs the database, which a busy machine does not always get in time."""
    for _ in range(50):
        answer = ask()
        if answer != FELL_BACK:
            return answer
    return FELL_BACK


def asked(call, step, child, wait_s=10):
    return [("GetDigits", {"timeout": str(wait_s), "numDigits": "1",
                           "callbackUrl": PUBLIC_URL.rstrip("/") + call.back(step)}, "", [child])]


def metrics(env):
    reply = env.ask("GET", "/metrics", key=None, port=hooks(env).port)
    return reply.body.decode()


def gauge(env, name):
    found = re.search(r"^tuma_ingress_%s (\S+)$" % re.escape(name), metrics(env), re.M)
    return float(found.group(1)) if found else 0.0


def wait_until_looked(env):
    """The one under way may have begun too early."""
    looks = 'voice_looks_total{well="yes"}'
    enough = gauge(env, looks) + 2
    wait_for("looked for calls", 10, lambda: gauge(env, looks) >= enough)


def kept(env):
    """What was published: properties, and what of the body says anything."""
    return [(properties, {name: value for name, value in body.items() if value != ""})
            for properties, _, body in env.drain("reconcile-dlr.normal")]


def test_only_with_the_token(env):
    kept(env)
    fields = Call(env, known=False).fields(isActive="0")
    for address in (HOOK, HOOK + "/", HOOK + "/wrong", HOOK + "?token=wrong", HOOK + "?token=",
                    HOOK + "/" + TOKEN + "x", HOOK + "/" + TOKEN + "/more", HOOK + "/?campaign=x"):
        reply = post(env, fields, address)
        expect((reply.status, reply.body["code"]), (403, "forbidden"), address)
    expect(kept(env), [], "kept")
    for address in (HOOK + "/" + TOKEN, HOOK + "/" + TOKEN + "/", HOOK + "?token=" + TOKEN):
        expect(post(env, fields, address).status, 200, address)
    expect(len(kept(env)), 3, "kept")
    expect(env.ask("GET", HOOK + "/" + TOKEN, key=None, port=hooks(env).port).status, 405, "GET")
    expect(env.ask("POST", HOOK + "x", key=None, port=hooks(env).port).status, 404, "another path")


def test_the_text_of_all_and_of_each(env):
    expect(Call(env, "Habari & <karibu>").ask(), [say("Habari & <karibu>")], "the campaign's text")
    call = Call(env, None, 'Habari <Wanjiku> & "Sons"', say_voice="woman")
    expect(call.ask(), [say('Habari <Wanjiku> & "Sons"', voice="woman")], "an own text")
    reply = post(env, call.fields())
    check(b'Habari &lt;Wanjiku&gt; &amp; &quot;Sons&quot;<' in reply.body, "escaped: %r" % reply.body)
    expect(kept(env), [], "nothing is kept of an answered call")


def test_audio_at_a_signed_address(env):
    call = Call(env, None, audio=True)
    [(tag, attributes, _, _)] = call.ask()
    expect(tag, "Play", "tag")
    found = re.fullmatch(r"https://tuma\.test/media/aud_[0-9A-Z]{13}/(\d+)\.[0-9a-f]{64}\.mp3",
                         attributes["url"])
    check(found, attributes["url"])
    left_s = int(found.group(1)) - time.time()
    check(3600 <= left_s <= 7200, "good for %d s" % left_s)
    expect(call.ask(), [(tag, attributes, "", [])], "the same address for the same hour")


def test_audio_that_is_gone(env):
    call = Call(env, None, audio=True, known=False, answers='{"1": "yes"}', thanks="Asante")
    call.file.unlink()
    call.add()
    wait_for("the fallback is played", 5, lambda: call.ask() == FELL_BACK)
    check(gauge(env, 'voice_answers_total{source="fallback"}') >= 1, "counted")
    wait_for("said", 5, lambda: call.ask() == FELL_BACK and
             "event=call_without_content" in hooks(env).log.read_text())
    expect(call.ask(call.back(1), dtmfDigits="1"), [say("Asante")], "what needs no audio")
    expect(call.ask(call.back(1), dtmfDigits="2"), GOODBYE, "no fallback after a key")
    wait_for("kept", 5, lambda: kept(env))


def test_how_a_call_is_known(env):
    """By its request, its session, its number; by its number alone only while it has no session."""
    named = Call(env, "by request", known=False)
    session = Call(env, "by session", known=False)
    number = Call(env, "by number", sent=False, known=False)
    again = Call(env, "called again", sent=False, before="ATVId_of_before", known=False)
    for call in (named, session, number, again):
        call.add()
    wait_until_looked(env)
    fields = {"sessionId": "ATVId_other", "callerNumber": "+254799999999"}
    expect(named.ask(clientRequestId=named.name + "-1-1", **fields), [say("by request")], "request")
    expect(session.ask(callerNumber="+254799999998"), [say("by session")], "session")
    expect(number.ask(sessionId="ATVId_of_now"), [say("by number")], "number")
    expect(again.ask(sessionId="ATVId_of_again"), [say("called again")], "a second call")
    again = Call(env, "called again", sent=False, before="ATVId_of_before", known=False)
    again.add()
    expect(in_the_end(lambda: again.ask(sessionId="ATVId_of_again")), [say("called again")],
           "asked of the database")
    expect(in_the_end(lambda: session.ask(sessionId="ATVId_another")), GOODBYE,
           "another session of a number called before")
    for caller in ("+254799999997", "client.sip", "None", "", "0"):
        expect(in_the_end(lambda: named.ask(sessionId="ATVId_unknown", callerNumber=caller)), GOODBYE,
               caller)


def test_the_newest_call_to_a_number(env):
    old = Call(env, "old", sent=False, called="now() - interval '5 seconds'")
    new = Call(env, "new", sent=False, known=False)
    new.phone = old.phone
    new.add()
    wait_for("the newer", 5, lambda: old.ask(sessionId="ATVId_now") == [say("new")])


def test_one_question_to_the_database(env):
    """Of a call that is not in memory: made just now, or long before this ingress began."""
    for kind in ({"called": "now() - interval '2 hours'"},
                 {"called": "now() - interval '2 hours'", "own_text": "for me", "text": None}):
        call = Call(env, known=False, **kind)
        call.add()
        expect(in_the_end(call.ask), [say(kind.get("own_text", "Habari"))], "answer")
        expect(call.ask(), [say(kind.get("own_text", "Habari"))], "from memory")
    by_name = Call(env, None, "named", known=False, called="now() - interval '2 hours'", sent=False)
    by_name.add()
    expect(in_the_end(lambda: by_name.ask(sessionId="ATVId_s")), GOODBYE, "called long ago, if at all")
    name = by_name.name + "-1-1"
    expect(in_the_end(lambda: by_name.ask(sessionId="ATVId_s", clientRequestId=name)), [say("named")],
           "the request names it")


def test_calls_that_begin_at_once(env):
    """Answered before the next look: one question finds them all."""
    def burst():
        call = Call(env, known=False)
        call.add()
        numbers = [254730000000 + made * 1000 + number for number in range(200)]
        env.sql("BEGIN; UPDATE batches SET last_seq = 300, claimed_seq = 300, called_at = now()"
                " WHERE campaign_id = %d; INSERT INTO recipients (campaign_id, msisdn, seq, segments)"
                " SELECT %d, n, 2 + n - %d, 1 FROM generate_series(%d, %d) n; COMMIT"
                % (call.id, call.id, numbers[0], numbers[0], numbers[-1]))
        answers = []

        def work(number):
            for phone in numbers[number::10]:
                answers.append(call.ask(sessionId="ATVId_%d" % phone, callerNumber="+%d" % phone))
        expect(at_once(10, work), [], "raised")
        return answers == [[say("Habari")]] * 200
    check(burst() or burst() or burst(), "all of a burst, at the latest the third")


def test_keys(env):
    kept(env)
    call = Call(env, "Listen", repeat_key="9", repeats=2, stop_key="0", wait_s=7,
                answers='{"1": "yes", "2": "no", "*": "star"}', thanks="Asante", stopped="Kwaheri")
    first = asked(call, 1, say("Listen"), 7)
    expect(call.ask(), first, "asked")
    expect(call.ask(), first, "a doubled post")
    for keys, step, answer in (
            ("9", 1, asked(call, 2, say("Listen"), 7)), ("9", 2, asked(call, 3, say("Listen"), 7)),
            ("9", 3, []), ("1", 1, [say("Asante")]), ("2", 3, [say("Asante")]), ("*", 1, [say("Asante")]),
            ("0", 2, [say("Kwaheri")]), ("5", 1, asked(call, 2, say("Listen"), 7)), ("5", 3, []),
            ("12", 2, asked(call, 3, say("Listen"), 7))):
        expect(call.ask(call.back(step), dtmfDigits=keys), answer, "%s at step %d" % (keys, step))
        wait_for("kept", 2, lambda: remember(env, keys, step, call))
    for keys in ("undefined", "", "None", "x"):
        expect(call.ask(call.back(1), dtmfDigits=keys), asked(call, 2, say("Listen"), 7), keys)
        expect(call.ask(call.back(3), dtmfDigits=keys), [], keys)
    expect(kept(env), [], "nothing was pressed")


def remember(env, keys, step, call):
    found = kept(env)
    if not found:
        return False
    [(properties, body)] = found
    received = body.pop("received_at")
    check(received.endswith("Z"), received)
    expect(body, {"provider": "africastalking", "session": call.session, "phone": "+" + call.phone,
                  "campaign": call.name, "step": step, "keys": keys}, "message")
    expect((properties.type, properties.correlation_id), ("call.reported.v1", call.name), "properties")
    return True


def test_keys_without_closing_words(env):
    call = Call(env, "Listen", stop_key="0", answers='{"1": "yes"}')
    expect(call.ask(), asked(call, 1, say("Listen")), "asked")
    for keys, step, answer in (("1", 1, []), ("0", 1, []), ("7", 1, asked(call, 2, say("Listen"))),
                               ("7", 2, [])):
        expect(call.ask(call.back(step), dtmfDigits=keys), answer, keys)
    for step in ("0", "-1", "8", "x", "99999999999999999999"):
        address = call.back(1)[:-1] + step
        expect(call.ask(address, dtmfDigits="7"), [], "nothing is asked again at step " + step)
        expect(call.ask(address, dtmfDigits="undefined"), [], "nor then")
    expect(call.ask(dtmfDigits="1"), [], "without our address")
    kept(env)


def test_keys_around_audio(env):
    call = Call(env, None, audio=True, stop_key="#")
    [(tag, _, _, [(inner, attributes, _, _)])] = call.ask()
    expect((tag, inner, attributes["url"].startswith("https://tuma.test/media/aud_")),
           ("GetDigits", "Play", True), "document")


def test_a_doubled_key_has_the_same_id(env):
    call = Call(env, stop_key="0")
    kept(env)
    for _ in range(2):
        expect(call.ask(call.back(1), dtmfDigits="0"), [], "end")
    ids = set()
    found = []

    def both():
        found.extend(kept(env))
        ids.update(properties.message_id for properties, _ in found)
        return len(found) == 2
    wait_for("both", 2, both)
    expect(len(ids), 1, "ids")


def test_ends(env):
    call = Call(env)
    kept(env)
    reply = call.end()
    expect((reply.status, reply.body), (200, b""), "answer")
    [(properties, body)] = kept(env)
    received = body.pop("received_at")
    check(received.endswith("Z"), received)
    expect(body, {"provider": "africastalking", "session": call.session, "phone": "+" + call.phone,
                  "ended": True, "duration_s": 31, "amount_e4": 60000, "currency": "KES",
                  "status": "Success", "cause": "NORMAL_CLEARING"}, "message")
    expect(properties.type, "call.reported.v1", "type")
    call.end(clientRequestId=call.name + "-1-2")
    [(again, body)] = kept(env)
    expect((again.message_id, body["request"]), (properties.message_id, call.name + "-1-2"), "again")
    reply = post(env, {"isActive": "0", "sessionId": "ATVId_x", "status": "Odd Word",
                          "hangupCause": "None", "durationInSeconds": "abc", "amount": "-1"})
    expect((reply.status, reply.body), (200, b""), "odd words")
    [(_, body)] = kept(env)
    expect({key: value for key, value in body.items() if key != "received_at"},
           {"provider": "africastalking", "session": "ATVId_x", "ended": True, "status": "Odd Word"},
           "an end of anybody's")


def test_inbound_calls_are_refused(env):
    call = Call(env)
    kept(env)
    expect(call.ask(direction="Inbound"), [("Reject", {}, "", [])], "refused")
    expect(call.ask(direction="inbound", sessionId="ATVId_in", dtmfDigits="1"),
           [("Reject", {}, "", [])], "refused")
    reply = call.end(direction="Inbound")
    expect((reply.status, reply.body), (200, b""), "its end")
    expect(kept(env), [], "none of our calls")


def test_what_cannot_be_read_is_kept_whole(env):
    kept(env)
    bodies = ["", "nonsense", "isActive=2&sessionId=A", "isActive=0", "isActive=0&sessionId=a%00b",
              "isActive=0&sessionId=a b", "isActive=0&sessionId=A&amount=999999999&currencyCode=KES",
              "isActive=0&sessionId=A&status=" + "x" * 65, "isActive=0&sessionId=A&callerNumber=%ff",
              "&".join("a%d=1" % i for i in range(60)), "isActive=0&sessionId=A&dtmfDigits=" + "1" * 40]
    for body in bodies:
        reply = post(env, body)
        expect((reply.status, reply.body), (200, b""), body)
    expect([(properties.type, body["kind"], body.get("raw", "")) for properties, body in kept(env)],
           [("callback.misread.v1", "voice", body) for body in bodies], "kept")
    expect(heard(post(env, "isActive=1&sessionId=")), GOODBYE, "a call that lives")
    wait_for("kept", 2, lambda: kept(env))
    reply = post(env, "isActive=0&sessionId=A&x=" + "x" * 65536)
    expect(reply.status, 413, "too large")
    address = HOOK + "/" + TOKEN
    pieces = (piece for piece in (b"isActive=0&sess", b"ionId=ATVId_p", b"ieces"))
    expect(env.callback(address, pieces, port=hooks(env).port).status, 200, "in pieces")
    expect(kept(env)[0][1]["session"], "ATVId_pieces", "session")
    pieces = (b"x" * 30000 for _ in range(3))
    expect(env.callback(address, pieces, port=hooks(env).port).status, 413, "too large, in pieces")


def test_a_client_that_breaks_off(env):
    """While its question is asked, or its key is kept: nothing is left behind."""
    call = Call(env, stop_key="0")
    for address, more in ((call.back(1), {"dtmfDigits": "0"}), (HOOK + "/" + TOKEN, {"sessionId": "ATVId_q"}),
                          (HOOK + "/" + TOKEN, {"isActive": "0"})):
        for _ in range(20):
            body = urllib.parse.urlencode(call.fields(**more)).encode()
            with socket.create_connection(("127.0.0.1", hooks(env).port)) as client:
                client.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
                               % (address.encode(), len(body), body))
    expect(call.ask(), asked(call, 1, say("Habari")), "the next")
    time.sleep(0.1)
    kept(env)


@contextlib.contextmanager
def frozen(env, name):
    """A server that takes connections and answers nothing."""
    lines = (env.dir / "servers/env").read_text().splitlines()
    first = int(dict(line.split("=", 1) for line in lines)[name + "_PID"])
    pids = [first, *map(int, pathlib.Path("/proc/%d/task/%d/children" % (first, first))
                        .read_text().split())]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
        wait_for("it stands still", 5, lambda: re.search(
            r"^State:\s+[TZ]", pathlib.Path("/proc/%d/status" % pid).read_text(), re.M))
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def nobody(call, **more):
    return call.ask(sessionId="ATVId_nobody", callerNumber="+254799999996", **more)


def test_the_database_frozen(env):
    own = Call(env, None, "own")
    of_all = Call(env, "all")
    asks = Call(env, "Listen", answers='{"1": "yes"}', thanks="Asante")
    other = asks.back(1).replace(asks.name, name_of(asks.id + 7))
    kept(env)
    answers_in_time(env, "before", own.ask, [say("own")])
    answers_in_time(env, "a key", lambda: asks.ask(asks.back(1), dtmfDigits="1"), [say("Asante")])
    with frozen(env, "POSTGRES"):
        answers_in_time(env, "the database frozen", own.ask, [say("own")])
        answers_in_time(env, "the database frozen, the text of all", of_all.ask, [say("all")])
        answers_in_time(env, "the database frozen, a key",
                        lambda: asks.ask(asks.back(1), dtmfDigits="1"), [say("Asante")], 9)
        answers_in_time(env, "the database frozen, not in memory", lambda: nobody(own), FELL_BACK, 9,
                        2 * LIMIT_S)  # 40 ms are given away
        expect(asks.ask(other, dtmfDigits="1"), GOODBYE, "a key in a campaign that is not in memory")
        expect(own.end().status, 200, "ends are kept")
    wait_for("asked again", 20, lambda: nobody(own) == GOODBYE)
    wait_for("kept", 5, lambda: kept(env))


def test_the_database_away(env):
    call = Call(env, None, "own")
    env.server("halt", "postgres")
    try:
        answers_in_time(env, "the database away", call.ask, [say("own")])
    finally:
        env.server("start", "postgres")
    wait_for("ready again", 20, lambda: env.ask("GET", "/readyz", key=None,
                                                port=hooks(env).port).status == 200)
    wait_for("ready again", 20, lambda: env.ask("GET", "/readyz", key=None).status == 200)
    expect(Call(env, "and on").ask(), [say("and on")], "looked at again")


def test_the_broker_frozen(env):
    """It confirms nothing in time: the XML goes out, the key follows."""
    call = Call(env, "Listen", stop_key="0", stopped="Kwaheri")
    kept(env)
    with frozen(env, "RABBITMQ"):
        answers_in_time(env, "the broker frozen, a key",
                        lambda: call.ask(call.back(1), dtmfDigits="0"), [say("Kwaheri")], 9)
    wait_for("kept once the broker goes on", 5, lambda: kept(env))


def test_the_broker_away(env):
    """So long that nobody waits for it any more: keys are lost and counted, ends come again."""
    call = Call(env, "Listen", stop_key="0", stopped="Kwaheri")
    usual = hooks(env)
    env.hooks = env.ingress("voice-alone", PUBLIC_URL=PUBLIC_URL,
                            AMQP_URL="amqp://nobody:nobody@127.0.0.1:1/")
    try:
        reply = call.end()
        expect(reply.status, 503, "an end")
        check(int(reply.headers["Retry-After"]) >= 1, "Retry-After")
        wait_for("known to be away", 5, lambda: env.ask("GET", "/readyz", key=None,
                                                        port=env.hooks.port).status == 503)
        lost = gauge(env, 'callbacks_total{made="call_keys",kept="no"}')
        answers_in_time(env, "the broker away, a key",
                        lambda: call.ask(call.back(1), dtmfDigits="0"), [say("Kwaheri")], 9)
        expect(gauge(env, 'callbacks_total{made="call_keys",kept="no"}'), lost + 9, "counted")
        expect(call.ask(), asked(call, 1, say("Listen")), "content")
        start = time.monotonic()
        expect(call.end().status, 503, "an end, later")
        check(time.monotonic() - start < 1, "and at once")
        env.hooks.stop()
    finally:
        env.hooks = usual
    expect(kept(env), [], "kept")


def at_once(threads, work):
    """work(number) in each; what any of them raised."""
    raised = []

    def run(number):
        try:
            work(number)
        except Exception as problem:  # the test's to look at
            raised.append(problem)
    running = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return raised


def test_many_at_once(env):
    """Content, keys, ends and calls that nobody knows, all at the same time."""
    call = Call(env, "Listen", answers='{"1": "yes"}', thanks="Asante")
    kept(env)
    rounds, threads = 20, 12

    def work(number):
        for count in range(rounds):
            one = "ATVId_%d_%d" % (number, count)
            expect(call.ask(call.back(2), dtmfDigits="1", sessionId=one), [say("Asante")], "a key")
            expect(call.ask(), asked(call, 1, say("Listen")), "content")
            expect(nobody(call) in (GOODBYE, FELL_BACK), True, "nobody")
            expect(call.end(sessionId=one).status, 200, "an end")
    expect(at_once(threads, work), [], "raised")
    found = []
    wait_for("all are kept", 10,
             lambda: found.extend(kept(env)) or len(found) >= 2 * rounds * threads)
    seen = {(body["session"], body.get("ended", False)) for _, body in found}
    expect((len(found), len(seen)), (2 * rounds * threads,) * 2, "kept")


def test_stopping_amid_calls(env):
    """Whatever is under way is answered, or the connection refused; and it ends."""
    usual = hooks(env)
    call = Call(env, "Listen", answers='{"1": "yes"}', thanks="Asante")
    env.hooks = env.ingress("voice-stopping", PUBLIC_URL=PUBLIC_URL)
    stopping = threading.Event()
    answered = []

    def work(number):
        while True:
            try:
                for one in (lambda: call.ask(call.back(2), dtmfDigits="1"), lambda: nobody(call)):
                    answered.append(one())
                answered.append(call.end().status)
            except OSError:
                check(stopping.is_set(), "refused too early")
                return

    def stop(number):
        wait_for("some answers", 10, lambda: len(answered) > 100)
        stopping.set()
        env.hooks.stop()
    try:
        expect(at_once(9, lambda number: stop(number) if number == 0 else work(number)), [], "raised")
    finally:
        env.hooks = usual
    odd = [one for one in answered if one not in (200, 503, GOODBYE, [say("Asante")], FELL_BACK)]
    expect(odd, [], "answers")
    kept(env)


def test_what_is_measured(env):
    text = metrics(env)
    for name in ('callbacks_total{made="call_asks",kept="no"}', 'callbacks_total{made="call_end",kept="yes"}',
                 'callbacks_total{made="call_keys",kept="yes"}', 'callbacks_total{made="call_inbound",kept="no"}',
                 'voice_answers_total{source="memory"}', 'voice_answers_total{source="database"}',
                 'voice_answers_total{source="fallback"}', 'voice_answers_total{source="goodbye"}',
                 'voice_answers_total{source="refusal"}', "voice_answer_seconds_count",
                 "voice_campaigns_known", "voice_calls_known", 'voice_looks_total{well="no"}'):
        found = re.search(r"^tuma_ingress_%s (\S+)$" % re.escape(name), text, re.M)
        check(found and float(found.group(1)) >= 1, name)


def test_numbers_are_not_logged(env):
    text = hooks(env).log.read_text()
    check("25471100" not in text, "a number in the log")


def test_without_a_public_url(env):
    """Keys come to the number's own address then, without a step: nothing is asked twice."""
    plain = env.ingress("voice-plain")
    call = Call(env, "Listen", answers='{"1": "yes"}', thanks="Asante")
    audio = Call(env, None, audio=True)
    address = HOOK + "/" + TOKEN

    def ask(one, **more):
        reply = env.callback(address, urllib.parse.urlencode(one.fields(**more)), port=plain.port)
        return heard(reply)
    expect(wait_for("known", 5, lambda: ask(call)), [("GetDigits", {"timeout": "10", "numDigits": "1"},
                                                      "", [say("Listen")])], "asked")
    expect(ask(call, dtmfDigits="1"), [say("Asante")], "an answer")
    expect(ask(call, dtmfDigits="5"), [], "not an answer")
    expect(ask(call, dtmfDigits="undefined"), [], "nothing")
    expect(ask(audio), GOODBYE, "no address, no fallback")
    plain.stop()
    kept(env)


def test_it_ends_as_it_should(env):
    hooks(env).stop()
