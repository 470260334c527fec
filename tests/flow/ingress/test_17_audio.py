"""Files of sound: in, out, to the provider, and away."""

import concurrent.futures
import hashlib
import hmac
import http.client
import math
import os
import socket
import struct
import time

from ingress_tests import Ingress, check, expect, wait_for

ASSETS = "/api/communications/audio-assets"
SECRET = "a secret of the tests, forty characters."


def wav(seconds=0.5, rate=8000, channels=1, seed=0):
    """A WAV of 16-bit PCM; each seed sounds different."""
    frames = int(seconds * rate)
    wave = struct.pack("<h", 0) if frames == 0 else b"".join(
        struct.pack("<h", int(9000 * math.sin((i + seed) / 7) + seed)) for i in range(min(frames, 4000)))
    sound = (wave * (frames * channels * 2 // max(len(wave), 1) + 1))[:frames * channels * 2]
    return (b"RIFF" + struct.pack("<I", 36 + len(sound)) + b"WAVEfmt " + struct.pack(
        "<IHHIIHH", 16, 1, channels, rate, rate * channels * 2, channels * 2, 16)
            + b"data" + struct.pack("<I", len(sound)) + sound)


def mp3(frames=40):
    """Frames of silence: MPEG 1 layer III, 128 kbit/s, 44.1 kHz."""
    return (b"\xff\xfb\x90\x64" + bytes(413)) * frames


def form(parts, boundary="b0und"):
    """multipart/form-data of (head, bytes)."""
    return b"".join(b"--%s\r\n%s\r\n\r\n%s\r\n" % (boundary.encode(), head.encode(), bytes_)
                    for head, bytes_ in parts) + b"--%s--\r\n" % boundary.encode()


def file_part(bytes_, filename="greeting.wav", name="file"):
    return ('Content-Disposition: form-data; name="%s"; filename="%s"' % (name, filename), bytes_)


def folder(env):
    """The folder of the ingress of these tests, which has other settings than the main one."""
    return env.dir / "sounds" / "below"


def audio(env, **settings):
    """An ingress with the settings of voice; one for all tests unless there are settings."""
    if settings:
        return env.ingress("audio-own", **{"AUDIO_FOLDER": str(folder(env)), "MEDIA_SECRET": SECRET, **settings})
    if not hasattr(env, "audio"):
        env.audio = env.ingress("audio", AUDIO_FOLDER=str(folder(env)), MEDIA_SECRET=SECRET)
    return env.audio


def post(env, body, content_type="audio/wav", key="send", port=None, headers=None, **arguments):
    return env.ask("POST", ASSETS, body, key=key, content_type=content_type, headers=headers,
                   port=port or audio(env).port, **arguments)


def post_form(env, *parts, key="send", **named):
    return post(env, form(parts), content_type='multipart/form-data; boundary="b0und"', key=key, **named)


def get(env, path, key="read", method="GET", **headers):
    return env.ask(method, path, key=key, port=audio(env).port,
                   headers={name.replace("_", "-"): value for name, value in headers.items()})


def refused(status, code, reply, field="*"):
    expect((reply.status, reply.body.get("code")), (status, code), "answer %r" % (reply.body,))
    if field != "*":
        expect(reply.body.get("field"), field, "field of %r" % (reply.body,))


def unfinished(env):
    return [one.name for one in folder(env).iterdir() if one.name.startswith(".new-")]


def nothing_is_left(env):
    wait_for("unfinished files are gone", 5, lambda: not unfinished(env))


def kept(env, bytes_):
    return (folder(env) / hashlib.sha256(bytes_).hexdigest()).exists()


def media(asset, expires=None, secret=SECRET, format="wav"):
    """The address as lib/audio makes it, by the description of it."""
    path = "media/%s/%d" % (asset, expires if expires is not None else time.time() + 600)
    mac = hmac.new(secret.encode(), ("%s.%s" % (path, format)).encode(), hashlib.sha256).hexdigest()
    return "/%s.%s.%s" % (path, mac, format)


# ---- in ----

def test_a_file_is_kept_once(env):
    sound = wav(1.25)
    first = post(env, sound, name="Welcome.wav")
    expect(first.status, 201, "answer %r" % (first.body,))
    wanted = {"name": "Welcome.wav", "format": "wav", "bytes": len(sound), "durationSeconds": 1.25,
              "sampleRate": 8000, "channels": 1, "sha256": hashlib.sha256(sound).hexdigest(), "isNew": True}
    expect({name: first.body[name] for name in wanted}, wanted, "asset")
    expect((folder(env) / wanted["sha256"]).read_bytes(), sound, "the file")
    again = post(env, sound, content_type="application/octet-stream", name="Other.wav")
    expect((again.status, again.body), (200, {**first.body, "isNew": False}), "the same again")
    other = post(env, sound, key="beta")
    expect((other.status, other.body["name"]), (201, "audio.wav"), "another account")
    check(other.body["id"] != first.body["id"], "one id for two accounts")
    nothing_is_left(env)


def test_many_at_once(env):
    """Of the same file one is new, and what each leaves behind is gone."""
    sounds = [wav(20, seed=50 + i) for i in range(3)]  # several blocks each
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        replies = list(pool.map(lambda i: post(env, sounds[i % 3]), range(24)))
    expect({reply.status for reply in replies}, {200, 201}, "statuses")
    expect(sum(reply.body["isNew"] for reply in replies), 3, "new ones")
    expect(len({reply.body["id"] for reply in replies}), 3, "ids")
    nothing_is_left(env)
    for sound in sounds:
        expect((folder(env) / hashlib.sha256(sound).hexdigest()).read_bytes(), sound, "a file")


def test_an_mp3_whatever_it_is_called(env):
    for kind in ("audio/mpeg", "audio/mp3", "AUDIO/X-WAV; x=y"):
        reply = post(env, mp3(), content_type=kind)
        check(reply.status in (200, 201), "%s: %r" % (kind, reply.body))
        expect((reply.body["format"], reply.body["durationSeconds"], reply.body["name"]),
               ("mp3", 1.044, "audio.mp3"), "asset")


def test_names(env):
    for i, (named, wanted) in enumerate((
            ({"name": "a/b\\Habari yako.wav"}, "Habari yako.wav"),
            ({"headers": {"Content-Disposition": 'attachment; filename="C:\\\\x\\\\y \\"z\\".wav"'}}, 'y "z".wav'),
            ({"headers": {"Content-Disposition": "attachment; filename=x; filename*=UTF-8''na%C3%AFve.wav"}},
             "naïve.wav"),
            ({"name": "one", "headers": {"Content-Disposition": "inline; filename=two"}}, "one"),
            ({"name": "\u202e\x01"}, "audio.wav"))):
        reply = post(env, wav(seed=100 + i), **named)
        expect((reply.status, reply.body.get("name")), (201, wanted), "name of %r" % (named,))
    refused(400, "unknown_argument", post(env, wav(), nmae="x"), "nmae")


def test_a_form(env):
    name = ('Content-Disposition: form-data; name="name"', "Ærlig talt".encode())
    for i, (parts, wanted) in enumerate((
            ([file_part(wav(seed=200))], "greeting.wav"),
            ([name, file_part(wav(seed=201), name="sound")], "Ærlig talt"),
            ([file_part(wav(seed=202), filename=""), name], "Ærlig talt"),
            ([('Content-Type: audio/wav\r\nContent-Disposition: form-data; name=x', wav(seed=203))], "audio.wav"))):
        reply = post_form(env, *parts)
        expect((reply.status, reply.body.get("name")), (201, wanted), "form %d: %r" % (i, reply.body))
        expect(reply.body["sha256"], hashlib.sha256(wav(seed=200 + i)).hexdigest(), "its file")


def test_a_form_in_small_pieces(env):
    """Delimiters are cut everywhere, and the file has what looks like one."""
    sound = wav(seed=300)
    nearly = b"\r\n--b0un\r\n--b0uncd\r\r\n-"
    sound = sound[:1000] + nearly + sound[1000 + len(nearly):]
    body = form([file_part(sound)])
    for size in (1, 7, 1000):
        with socket.create_connection(("127.0.0.1", audio(env).port), timeout=20) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nConnection: close\r\n"
                                "Content-Type: multipart/form-data; boundary=b0und\r\nTransfer-Encoding: chunked"
                                "\r\n\r\n" % (ASSETS, env.keys["send"])).encode())
            for at in range(0, len(body), size):
                piece = body[at:at + size]
                connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            connection.sendall(b"0\r\n\r\n")
            answer = connection.makefile("rb").read()
        check(answer.startswith(b"HTTP/1.1 20"), answer[:300])
        check(hashlib.sha256(sound).hexdigest().encode() in answer, "pieces of %d: %r" % (size, answer))


def test_files_that_are_no_sound(env):
    sound = wav()
    for body, code in ((b"%PDF-1.7 and so on" * 10, "audio_not_sound"), (b"hello, world", "audio_not_sound"),
                       (sound[:-100], "audio_truncated"), (sound[:30], "audio_truncated"), (b"", "audio_empty"),
                       (wav(0), "audio_silent"), (wav(601, rate=4000), "audio_too_long")):
        for reply in (post(env, body, content_type="audio/mpeg", name="x.mp3"),
                      post_form(env, file_part(body, filename="x.mp3"))):
            refused(422, code, reply)
        check(not kept(env, body), "a refused file is kept")
    nothing_is_left(env)


def test_bad_forms(env):
    one, two = file_part(wav()), file_part(wav(seed=1))
    refused(422, "two_files", post_form(env, one, two), "file")
    refused(422, "no_file", post_form(env), "file")
    refused(422, "no_file", post_form(env, ('Content-Disposition: form-data; name="name"', b"x")), "file")
    refused(422, "unknown_part",
            post_form(env, one, ('Content-Disposition: form-data; name="title"', b"x")), "title")
    for name in ("a" + 50 * "é", "\udcff\udcfe"):  # cut within a letter, and none at all: told as JSON all the same
        head = 'Content-Disposition: form-data; name="%s"' % name
        refused(422, "unknown_part", post(env, form([one]).replace(one[0].encode(), head.encode(
            errors="surrogateescape")), content_type="multipart/form-data; boundary=b0und"))
    long = ('Content-Disposition: form-data; name="name"', b"x" * 401)
    refused(422, "name_too_long", post_form(env, long, one), "name")
    whole = form([one])
    for body in (whole[:-4], whole[:-30], whole.replace(b"b0und", b"other"), b"", b"--b0und\r\n",
                 form([("X-Nothing: here", b"x")]), form([("no header", b"x")]), b"--b0undx" + whole,
                 form([(one[0] + "\r\nContent-Transfer-Encoding: base64", b"UklGRg==")])):
        reply = post(env, body, content_type="multipart/form-data; boundary=b0und")
        refused(400, "bad_multipart", reply)
    for kind in ("multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "x" * 71):
        refused(400, "bad_multipart", post(env, whole, content_type=kind))
    for kind in ("image/png", "application/json", "audio/ogg", "multipart/mixed; boundary=b0und"):
        refused(415, "content_type", post(env, whole, content_type=kind), "Content-Type")
    nothing_is_left(env)


def test_large_files(env):
    own = audio(env, AUDIO_BYTES_MAX="200000")
    refused(413, "audio_too_large", post(env, None, port=own.port, headers={
        "Content-Length": "200001", "Content-Type": "audio/wav"}), "file")
    refused(413, "audio_too_large", post(env, None, port=own.port, headers={
        "Content-Length": "300000", "Content-Type": "multipart/form-data; boundary=x"}), "file")
    large = form([file_part(wav(12.5))])  # 200,044 bytes of sound
    refused(413, "audio_too_large", post(env, large, port=own.port,
                                              content_type="multipart/form-data; boundary=b0und"), "file")
    chunks = http.client.HTTPConnection("127.0.0.1", own.port, timeout=10)
    chunks.request("POST", ASSETS, iter([bytes(50000)] * 5), encode_chunked=True, headers={
        "Authorization": "Bearer " + env.keys["send"], "Content-Type": "audio/wav", "Transfer-Encoding": "chunked"})
    expect(chunks.getresponse().status, 413, "in chunks")
    chunks.close()
    expect(post(env, wav(12.49), port=own.port).status, 201, "one that is just small enough")
    nothing_is_left(env)
    own.stop()


def test_an_account_has_a_limit(env):
    mine = int(env.sql("SELECT coalesce(sum(bytes), 0) FROM audio_assets a JOIN accounts c ON c.id = a.account_id"
                       " WHERE c.slug = 'acme'")[0][0])
    sound = wav(seed=400)
    own = audio(env, AUDIO_ACCOUNT_BYTES_MAX=str(mine + len(sound)))
    expect(post(env, sound, port=own.port).status, 201, "the last that fits")
    refused(409, "audio_full", post(env, wav(seed=401), port=own.port))
    expect(post(env, sound, port=own.port).status, 200, "one that is there already")
    check(not kept(env, wav(seed=401)), "what did not fit is kept")
    own.stop()


def test_who_may(env):
    refused(403, "scope_missing", post(env, wav(), key="read"))
    refused(401, "key_missing", post(env, wav(), key=None))
    asset = post(env, wav(seed=500)).body["id"]
    for method, path in (("GET", ""), ("GET", "/audio"), ("DELETE", "")):
        reply = get(env, "%s/%s%s" % (ASSETS, asset, path), key="beta", method=method)
        refused(404, "audio_unknown", reply)
    refused(403, "scope_missing", get(env, "%s/%s" % (ASSETS, asset), method="DELETE"))
    expect(get(env, ASSETS + "/" + asset).status, 200, "it is still there")


def test_an_idempotency_key(env):
    """The answer is as it was, though the asset is no longer new."""
    sound = wav(seed=600)
    first = post(env, sound, headers={"Idempotency-Key": "sound"})
    again = post(env, sound, headers={"Idempotency-Key": "sound"})
    expect((first.status, again.status, again.body), (201, 201, first.body), "answers")
    refused(422, "idempotency_key_reused",
            post(env, wav(0.6), headers={"Idempotency-Key": "sound"}), "Idempotency-Key")
    nothing_is_left(env)


def begin(env, port, sent=300000):
    """Half of an upload; its file is there when this returns."""
    before = set(unfinished(env))
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: audio/wav\r\n"
                        "Content-Length: 1000000\r\n\r\n" % (ASSETS, env.keys["send"])).encode() + bytes(sent))
    wait_for("a file has begun", 5, lambda: set(unfinished(env)) - before)
    return connection


def test_an_upload_that_breaks_off_leaves_nothing(env):
    """At once or, when libmicrohttpd misses an end that comes with the last bytes, after HTTP_IDLE."""
    silent = audio(env, HTTP_IDLE="1s")
    begin(env, silent.port).close()
    nothing_is_left(env)
    connection = begin(env, silent.port)  # and says no more
    nothing_is_left(env)
    connection.close()
    stopped = begin(env, silent.port)
    silent.stop()
    nothing_is_left(env)
    stopped.close()


def test_what_a_killed_ingress_leaves_is_swept(env):
    killed = audio(env, HTTP_IDLE="10s")
    connection = begin(env, killed.port)
    killed.process.kill()
    killed.process.wait()
    connection.close()
    [left] = unfinished(env)
    os.utime(folder(env) / left, (time.time() - 3700,) * 2)
    (folder(env) / ".new-young").write_bytes(b"x")
    swept = audio(env, HTTP_IDLE="12s")
    wait_for("it is swept", 5, lambda: unfinished(env) == [".new-young"])
    (folder(env) / ".new-young").unlink()
    swept.stop()


def test_a_large_file_streams_in_flat_memory(env):
    own = audio(env, AUDIO_BYTES_MAX="104857600")
    sound = wav(280, rate=48000, channels=2, seed=700)  # 51 MiB
    before = own.memory_kib()
    start = time.monotonic()
    reply = post(env, sound, port=own.port, timeout=60)
    took = time.monotonic() - start
    expect((reply.status, reply.body["durationSeconds"]), (201, 280), "answer %r" % (reply.body,))
    up = own.memory_kib()
    start = time.monotonic()
    back = env.ask("GET", "%s/%s/audio" % (ASSETS, reply.body["id"]), key="read", port=own.port, timeout=60)
    expect(hashlib.sha256(back.body).hexdigest(), reply.body["sha256"], "what came back")
    print("        %d MiB in %.2f s and out in %.2f s, peak %d MiB, %d before" % (
        len(sound) >> 20, took, time.monotonic() - start, own.memory_kib() >> 10, before >> 10))
    check(env.sanitized or max(up, own.memory_kib()) - before < 8 << 10,
          "from %d to %d KiB" % (before, own.memory_kib()))
    own.stop()


# ---- out ----

def test_lists_and_one(env):
    for i in range(5):
        expect(post(env, wav(seed=800 + i), key="beta", name="n%d.wav" % i).status, 201, "status")
    whole = get(env, ASSETS, key="beta").body
    expect(({one["name"] for one in whole["audioAssets"][:5]}, whole["next"]),
           ({"n4.wav", "n3.wav", "n2.wav", "n1.wav", "n0.wav"}, None), "the newest")
    times = [one["createdAt"] for one in whole["audioAssets"]]
    expect(times, sorted(times, reverse=True), "the newest first")
    found, cursor = [], None
    while True:
        page = env.ask("GET", ASSETS, key="beta", port=audio(env).port, limit=2,
                       **({"cursor": cursor} if cursor else {})).body
        found += page["audioAssets"]
        cursor = page["next"]
        if cursor is None:
            break
    expect(found, whole["audioAssets"], "page by page")
    one = whole["audioAssets"][0]
    expect(get(env, ASSETS + "/" + one["id"], key="beta").body, one, "one of them")
    refused(400, "bad_limit", env.ask("GET", ASSETS + "?limit=0", port=audio(env).port), "limit")
    refused(404, "audio_unknown", get(env, ASSETS + "/aud_0000000000000"))
    refused(404, "audio_unknown", get(env, ASSETS + "/cmp_1"))


def check_ranges(env, path, key, cache):
    """Whatever RFC 9110 has a client ask."""
    sound = wav(seed=900)
    size, etag = len(sound), '"%s"' % hashlib.sha256(sound).hexdigest()
    whole = get(env, path, key=key)
    expect((whole.status, whole.body), (200, sound), "all of it")
    expect({name: whole.headers[name] for name in ("ETag", "Accept-Ranges", "Content-Type", "Content-Length")},
           {"ETag": etag, "Accept-Ranges": "bytes", "Content-Type": "audio/wav", "Content-Length": str(size)}, "head")
    check(cache in whole.headers["Cache-Control"], whole.headers["Cache-Control"])
    head = get(env, path, key=key, method="HEAD", Range="bytes=0-1")
    expect((head.status, head.headers["Content-Length"], head.body), (200, str(size), b""), "HEAD")
    for asked, first, last in (("bytes=0-0", 0, 0), ("bytes=0-", 0, size - 1), ("bytes=100-", 100, size - 1), ("bytes=-10", size - 10, size - 1),
                               ("bytes=10-99999999", 10, size - 1)):
        part = get(env, path, key=key, Range=asked)
        expect((part.status, part.headers["Content-Range"], part.body),
               (206, "bytes %d-%d/%d" % (first, last, size), sound[first:last + 1]), asked)
    none = get(env, path, key=key, Range="bytes=%d-" % size)
    refused(416, "bad_range", none, "Range")
    expect((none.headers["Content-Range"], none.headers["ETag"]), ("bytes */%d" % size, None), "head of 416")
    for headers, status in (({"Range": "bytes=5-9", "If-Range": etag}, 206),
                            ({"Range": "bytes=5-9", "If-Range": '"another"'}, 200),
                            ({"Range": "bytes=1-2,4-5"}, 200), ({"Range": "lines=1-2"}, 200),
                            ({"If-None-Match": etag}, 304), ({"If-None-Match": '"x", W/%s' % etag}, 304),
                            ({"If-None-Match": "*", "Range": "bytes=5-9"}, 304), ({"If-None-Match": '"x"'}, 200)):
        reply = get(env, path, key=key, **headers)
        expect(reply.status, status, repr(headers))
        expect(reply.headers["ETag"], etag, "ETag of %d" % status)
        if status == 304:
            expect((reply.body, reply.headers["Content-Type"]), (b"", None), "body of 304")


def test_the_sound_and_its_parts(env):
    asset = post(env, wav(seed=900)).body["id"]
    check_ranges(env, "%s/%s/audio" % (ASSETS, asset), "read", "private")
    reply = get(env, "%s/%s/audio" % (ASSETS, asset), key=None)
    refused(401, "key_missing", reply)


def test_what_the_provider_fetches(env):
    asset = post(env, wav(seed=900)).body["id"]
    check_ranges(env, media(asset), None, "max-age=")
    age = int(get(env, media(asset), key=None).headers["Cache-Control"].split("max-age=")[1].split(",")[0])
    check(590 <= age <= 600, "max-age %d" % age)
    sound = post(env, mp3()).body["id"]
    expect(get(env, media(sound, format="mp3"), key=None).headers["Content-Type"], "audio/mpeg", "type")


def test_addresses_that_do_not_answer(env):
    asset = post(env, wav(seed=900)).body["id"]
    other = post(env, wav(seed=901)).body["id"]
    good = media(asset)
    for bad in (good.replace(asset, other), good[:-5] + ("0" if good[-5] != "0" else "1") + ".wav",
                good.replace(".wav", ".mp3"), media(asset, secret="another secret of forty characters, yes."),
                "/media/%s/1.wav" % asset, "/media/%s/%s" % (asset, "x" * 200), "/media/x/y",
                good.replace("/media/%s/1" % asset, "/media/%s/2" % asset)):
        refused(403, "address_wrong", get(env, bad, key=None))
    refused(410, "address_expired", get(env, media(asset, time.time() - 2), key=None))
    refused(404, "path_unknown", get(env, "/media/" + asset, key=None))
    refused(404, "path_unknown", get(env, good + "/x", key=None))
    expect(get(env, good, key=None, method="HEAD").status, 200, "HEAD")
    reply = env.ask("POST", good, b"x", key=None, port=audio(env).port)
    expect((reply.status, reply.headers["Allow"]), (405, "GET"), "POST")
    expect(get(env, "%s/%s" % (ASSETS, other), key="send", method="DELETE").status, 204, "status of DELETE")
    refused(404, "audio_unknown", get(env, media(other), key=None))
    refused(404, "path_unknown", env.ask("GET", good, key=None))  # the main one has no MEDIA_SECRET


def test_a_provider_is_not_limited(env):
    """Many calls are answered from one address of its; guessing at addresses is."""
    asset = post(env, wav(seed=900)).body["id"]
    own = audio(env, HTTP_RATE_PER_ADDRESS="1")
    for _ in range(10):
        expect(env.ask("GET", media(asset), key=None, port=own.port).status, 200, "status")
    statuses = [env.ask("GET", media(asset, secret="x" * 40), key=None, port=own.port).status for _ in range(5)]
    expect((statuses[0], statuses[-1]), (403, 429), "statuses %r" % (statuses,))
    own.stop()


# ---- away ----

def test_an_asset_is_deleted(env):
    sound = wav(seed=1000)
    asset, other = post(env, sound).body["id"], post(env, sound, key="beta").body["id"]
    path = ASSETS + "/" + asset
    reply = get(env, path, key="send", method="DELETE")
    expect((reply.status, reply.body), (204, b""), "answer")
    check(kept(env, sound), "the other account's file is gone")
    for again in (get(env, path, key="send", method="DELETE"), get(env, path), get(env, path + "/audio")):
        refused(404, "audio_unknown", again)
    expect(get(env, "%s/%s" % (ASSETS, other), key="beta", method="DELETE").status, 204, "the other's")
    check(not kept(env, sound), "the file is still there")
    expect(post(env, sound).status, 201, "it may come again")
    reply = env.ask("PUT", path, b"x", port=audio(env).port)
    expect((reply.status, reply.headers["Allow"]), (405, "GET, DELETE"), "PUT")


def test_an_asset_that_is_used_stays(env):
    asset = post(env, wav(seed=1001)).body["id"]
    used = env.ask("POST", "/api/communications/voice", key="send", body={
        "title": "T", "audioAssetId": asset, "recipients": ["0712345678"], "launch": False})
    expect(used.status, 202, "answer %r" % (used.body,))
    refused(409, "audio_in_use", get(env, ASSETS + "/" + asset, key="send", method="DELETE"))
    expect(get(env, "%s/%s/audio" % (ASSETS, asset)).status, 200, "status")


def test_a_file_that_is_lost_is_told(env):
    """A folder may not be mounted: the caller is to come back."""
    sound = wav(seed=1002)
    asset = post(env, sound).body["id"]
    (folder(env) / hashlib.sha256(sound).hexdigest()).unlink()
    refused(503, "audio_folder", env.ask(
        "GET", "%s/%s/audio" % (ASSETS, asset), key="read", port=audio(env).port))
    expect(post(env, sound).status, 200, "posted again it is there again")
    expect(get(env, "%s/%s/audio" % (ASSETS, asset)).body, sound, "the sound")


# ---- settings ----

def test_without_a_folder(env):
    reply = env.ask("POST", ASSETS, wav(), key="send", content_type="audio/wav")
    refused(503, "audio_off", reply)
    expect(env.ask("GET", ASSETS, key="read").status, 200, "lists need none")
    asset = post(env, wav(seed=1100)).body["id"]
    for method, path in (("GET", "/audio"), ("DELETE", "")):
        refused(503, "audio_off", env.ask(method, "%s/%s%s" % (ASSETS, asset, path), key="send"))


def test_a_folder_that_went_away(env):
    own = audio(env, AUDIO_FOLDER=str(env.dir / "away"))
    (env.dir / "away").rmdir()
    refused(503, "audio_folder", post(env, wav(), port=own.port))
    refused(503, "audio_folder", post(env, wav(60), port=own.port))  # while it comes
    (env.dir / "away").mkdir()
    expect(post(env, wav(seed=1200), port=own.port).status, 201, "once it is back")
    own.stop()


def start_fails(env, setting, **settings):
    try:
        Ingress(env, "refused", **settings)
    except AssertionError as failure:
        check(setting in str(failure), failure)
    else:
        check(False, "the ingress starts with " + repr(settings))


def test_bad_settings_are_told_at_start(env):
    (env.dir / "file").write_text("x")
    start_fails(env, "MEDIA_SECRET", MEDIA_SECRET="short")
    start_fails(env, "AUDIO_FOLDER: cannot make", AUDIO_FOLDER=str(env.dir / "file"))
    start_fails(env, "AUDIO_FOLDER: cannot make the folder", AUDIO_FOLDER="/proc/nothing/here")
    start_fails(env, "AUDIO_BYTES_MAX", AUDIO_BYTES_MAX="104857601")
    check(folder(env).is_dir(), "the folder was not made")
