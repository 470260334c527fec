"""Campaigns that call: placed, answered, ended; and how a live call is answered at its busiest."""

import hashlib
import io
import json
import os
import random
import re
import statistics
import time
import urllib.request
import wave

import campaigns
import sms
from machine import cpu_ns
from stack import Failed, Simulator, run, wait_for

CONTENT_S = 20  # of the recording
SAY = ("Dear {{first_name}}, your balance of {{balance}} shillings is due on 30 November. Pay by M-Pesa, "
       "account {{account}}. Thank you.")
SAY_MIN_CHARS = 80
UPLOAD_MIB = 50
STUCK_S = 120
POLL_S = 0.01


# ---- what is asked of the ingress ----


def recording(size, rate=8000, width=1, channels=1):
    """A WAV file of so many bytes of sound, another one each time."""
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(width)
        sound.setframerate(rate)
        sound.writeframes(random.randbytes(size - size % (width * channels)))
    return out.getvalue()


def upload_sound(stack, sound):
    """The asset's id and the seconds until it was told."""
    connection = campaigns.connect(stack)
    begun = time.monotonic()
    connection.request("POST", "/api/communications/audio-assets?name=bench.wav", sound, {
        "Authorization": f"Bearer {stack.key}", "Content-Type": "audio/wav"})
    reply = connection.getresponse()
    body = json.loads(reply.read() or "{}")
    took = time.monotonic() - begun
    connection.close()
    if reply.status != 201:
        raise Failed(f"the ingress answered {reply.status} to {len(sound)} bytes of sound: {body}")
    return body["id"], took


class Calls:
    """The part of sms.run_one() that is another one for calls."""

    words = ("last placed", "last ended")

    def __init__(self, stack):
        self.asset, _ = upload_sound(stack, recording(8000 * CONTENT_S))

    def upload(self, stack, kind, number, path):
        content = ({"audioAssetId": self.asset} if kind == "broadcast" else
                   {"sayTemplate": SAY, "voice": "woman"})
        return campaigns.upload_file(stack, "/api/communications/voice",
                                     {"title": f"bench voice {kind} {number}", **content}, path)

    @staticmethod
    def last_accepted_s(stack):
        return stack.simulator.stats()["voice"]["last_placed_ms"] / 1000


# ---- what is read of simulator and ingress ----


def answers_by_source(stack):
    """What callees were given to hear, by where it came from: counters of the ingress."""
    with urllib.request.urlopen(stack.url + "/metrics", timeout=30) as reply:
        text = reply.read().decode()
    return {source: int(count) for source, count in
            re.findall(r'voice_answers_total\{.*?source="(\w+)".*?\} (\d+)', text)}


def since(before, now):
    return {name: count - before.get(name, 0) for name, count in now.items()
            if count != before.get(name, 0)}


def heard(voice, count):
    """What the simulator says of all calls, once each of them was answered and has ended."""
    problems = {name: voice[name] for name in ("duplicates", "live", "invalid", "unsupported",
                                               "no_credit", "bad_caller") if voice[name]}
    if voice["calls"] != count or problems:
        raise Failed(f"{voice['calls']} calls to {count} recipients, {problems}")
    xml = voice["xml"]
    return {"xml_ms": {name: round(xml[name + "_us"] / 1000, 2)
                       for name in ("mean", "p50", "p99", "max")},
            "malformed": xml["malformed"], "dropped": voice["ends"]["dropped"],
            "posts_repeated": voice["callbacks"]["retried"], "live_max": voice["live_max"]}


# ---- a campaign as it comes ----


def run_one(stack, calls, kind, count, number):
    """Placed, answered and ended all at once: phones that answer at once and listen for 20 ms."""
    before = answers_by_source(stack)
    one = sms.run_one(stack, kind, count, number, channel=calls,
                      look=lambda: heard(stack.simulator.stats()["voice"], count))
    one["sources"] = since(before, answers_by_source(stack))
    one["calls"] = one.pop("looked")
    return one


# ---- all calls live at once ----


def held(count):
    """Phones that listen until all others have heard what they hear."""
    listen_ms = max(5000, count // 2)
    return {"speed": 1, "ring_min_ms": 0, "ring_max_ms": 0, "play_ms": listen_ms,
            "say_char_ms": listen_ms // SAY_MIN_CHARS + 1}


def release(simulator, count, answerer):
    """Lets the posts of so many live calls go; how fast they are answered, and at what cost."""
    used = cpu_ns(answerer)
    begun = time.monotonic()
    simulator.start_reports()
    while simulator.stats()["voice"]["xml"]["answers"] < count:
        if time.monotonic() - begun > STUCK_S:
            raise Failed(f"{count} live calls are not answered within {STUCK_S} s")
        time.sleep(POLL_S)
    took = time.monotonic() - begun
    voice = simulator.stats()["voice"]
    return {"rate": round(count / took), "cpu_us": round((cpu_ns(answerer) - used) / 1000 / count, 1),
            "xml_ms": {name: round(voice["xml"][name + "_us"] / 1000, 2)
                       for name in ("mean", "p50", "p99", "max")}}


def answer_all(stack, calls, kind, count, number):
    """A campaign whose calls are all answered by the callees before the ingress hears of the first."""
    simulator = stack.simulator
    path = stack.dir / f"{kind}-{count}.csv"
    campaigns.write_csv(path, kind, count)
    simulator.reset()
    simulator.faults(held(count))
    simulator.stop_reports()
    before = answers_by_source(stack)
    row, _, _ = calls.upload(stack, kind, f"held {number}", path)
    wait_for("calls to be placed", STUCK_S, lambda: placed(stack, row) == count)
    time.sleep(1)  # the ingress looks four times a second whom calls go to
    one = release(simulator, count, stack.processes["ingress"].pid)
    campaigns.await_delivered(stack, row, count)
    campaigns.await_completed(stack, row)
    stack.verify()
    heard(simulator.stats()["voice"], count)
    one["sources"] = since(before, answers_by_source(stack))
    return one


def placed(stack, row):
    return campaigns.progress(stack, row)[0]


# ---- the bare run ----


def bare(stack, kind, count):
    """The same requests placed by a program that does nothing else; a constant as every answer."""
    name = "bare-answerer"
    stack.start(name, [stack.tool("tests/simulators/report_sink"), "127.0.0.1:0"])
    address = stack.listening(name)
    simulator = Simulator(stack, "simulator-bare", "", stack.options.report_connections,
                          f"http://{address}/voice")
    try:
        simulator.faults(held(count))
        simulator.stop_reports()
        place = json.loads(run(stack.tool("tests/bench/bench_bare_calls"), count,
                               stack.numbers_a_call_request, simulator.url, simulator.process.pid))
        wait_for("calls to be answered", STUCK_S,
                 lambda: simulator.stats()["voice"]["ringing"] == 0)
        answers = release(simulator, count, stack.processes[name].pid)
    finally:
        stack.end("simulator-bare")
        stack.end(name)
    cpu = sum(place["cpu_s"].values())
    return {"kind": kind, "recipients": count, "rate": round(count / place["wall_s"]),
            "cpu_s": cpu, "place": place, "answers": answers}


# ---- medians ----


def warm_up(stack, calls):
    for number, kind in enumerate(campaigns.TEXTS):
        run_one(stack, calls, kind, sms.WARM_UP, f"warm {number}")


def voice(stack, kinds, count, repeat):
    """Bare runs, campaigns and campaigns held back by turns; the medians, and all runs."""
    calls = Calls(stack)
    warm_up(stack, calls)
    results = []
    for kind in kinds:
        runs, held_runs, bares = [], [], []
        for number in range(repeat):
            bares.append(bare(stack, kind, count))
            time.sleep(stack.options.pause_s)
            runs.append(run_one(stack, calls, kind, count, number))
            held_runs.append(answer_all(stack, calls, kind, count, number))
        results.append(result_of(kind, count, runs, held_runs, bares))
    return results


def result_of(kind, count, runs, held_runs, bares):
    bare_answers = [one["answers"] for one in bares]
    bare_rate = sms.median(bares, "rate")
    return {
        "kind": kind, "recipients": count, "runs": runs, "held_runs": held_runs, "bare_runs": bares,
        "bare_rate": bare_rate, "rate_placed": sms.median(runs, "rate_accepted"),
        "rate_ended": sms.median(runs, "rate_delivered"),
        "placed_of_bare": round(sms.median(runs, "rate_accepted") / bare_rate, 3),
        "rate_if_alone": sms.median(runs, "rate_if_alone"),
        "cpu_us_per_recipient": round(sms.median(runs, "cpu_total_s") / count * 1e6, 1),
        "bare_cpu_us_per_recipient": round(sms.median(bares, "cpu_s") / count * 1e6, 1),
        "answers": answers_of(held_runs), "bare_answers": answers_of(bare_answers),
        "answers_of_bare": round(sms.median(held_runs, "rate") / sms.median(bare_answers, "rate"), 3),
    }


def answers_of(runs):
    return {"rate": sms.median(runs, "rate"), "cpu_us": sms.median(runs, "cpu_us"),
            "xml_ms": {name: statistics.median(one["xml_ms"][name] for one in runs)
                       for name in ("mean", "p50", "p99", "max")}}


# ---- a large recording ----


def keep(path, sound):
    """What keeping a file takes at least: its hash, and to have it on the disk."""
    begun = time.monotonic()
    hashlib.sha256(sound).hexdigest()
    with open(path, "wb") as file:
        file.write(sound)
        file.flush()
        os.fsync(file.fileno())
    took = time.monotonic() - begun
    os.unlink(path)
    return took


def upload(stack, repeat):
    """WAV files of UPLOAD_MIB, one after the other, each by turns with hashing and writing alone."""
    pid = stack.processes["ingress"].pid
    took, bare_took, used = [], [], []
    stack.groups.forget_peaks()
    before = stack.groups.peaks()["ingress"]
    for _ in range(repeat):
        sound = recording(UPLOAD_MIB << 20, 48000, 2, 2)
        bare_took.append(keep(stack.dir / "sound", sound))
        cpu = cpu_ns(pid)
        took.append(upload_sound(stack, sound)[1])
        used.append((cpu_ns(pid) - cpu) / 1e9)
    return {"mib": UPLOAD_MIB, "mib_per_s": round(UPLOAD_MIB / statistics.median(took), 1),
            "bare_mib_per_s": round(UPLOAD_MIB / statistics.median(bare_took), 1),
            "cpu_s": round(statistics.median(used), 3), "before_mib": round(before, 1),
            "after_mib": round(stack.groups.peaks()["ingress"], 1)}
