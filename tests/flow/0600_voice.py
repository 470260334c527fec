"""Voice: from a recording or a text to answered calls, keys and tokens."""

import json

from chain import expect, check, msisdn
from voice import Caller, recording

SETTINGS = {
    "SIM_FAULTS": json.dumps({"speed": 50, "ring_min_ms": 20000, "ring_max_ms": 50000}),
}
COUNT = 150


def books(campaign, row):
    """Tokens held, taken and given back, and the calls that were answered."""
    [sums] = campaign.chain.sql(
        "SELECT h.amount, h.captured, h.released,"
        "       (SELECT coalesce(sum(tokens), 0) FROM calls c WHERE c.campaign_id = h.id) AS calls"
        "  FROM token_holds h WHERE h.id = %d" % campaign.id)
    expect(sums["captured"], sums["calls"], "tokens captured, by the calls")
    expect(sums["amount"], sums["captured"] + sums["released"], "tokens held")
    expect(row["captured"], sums["captured"], "tokens of the campaign")


def test_a_recording_is_heard_by_everybody(chain):
    caller = Caller(chain)
    asset = caller.upload(recording(65))
    phones = chain.phones(COUNT)
    before = chain.simulator.stats()["voice"]
    campaign = caller.call(phones, audioAssetId=asset)
    row = campaign.wait_for("completed", seconds=60)
    expect((row["planned"], row["delivered"], row["segments"]), (COUNT, COUNT, 2 * COUNT), "row")
    books(campaign, row)
    expect(row["captured"], 2 * COUNT, "two started minutes each")
    after = chain.simulator.stats()["voice"]
    expect(after["calls"] - before["calls"], COUNT, "calls")
    expect(after["xml"]["malformed"], 0, "malformed documents")
    stats = caller.stats(campaign)
    expect((stats["voice"]["calls"], stats["voice"]["answered"]), (COUNT, COUNT), "stats: %r" % stats)


def test_a_text_is_spoken_to_each(chain):
    caller = Caller(chain)
    phones = chain.phones(4)
    names = ["Asha", "Ng'ang'a & <Sons>", "Zoë", '"Bo"']
    campaign = caller.call([{"phone": phone, "name": name} for phone, name in zip(phones, names)],
                           sayTemplate="Habari {{name}}, karibu.", voice="woman")
    row = campaign.wait_for("completed")
    expect(row["delivered"], 4, "delivered")
    books(campaign, row)
    for phone, name in zip(phones, names):
        [call] = caller.heard(phone)
        expect(call["heard_ms"], 60 * len("Habari %s, karibu." % name), "heard by " + name)


def test_who_does_not_answer_is_called_again(chain):
    caller = Caller(chain)
    phones = chain.phones(40)
    chain.simulator.faults(call_no_answer=0.3, call_busy=0.2, call_unreachable=0.1,
                           call_fate_times=1, no_answer_ms=2000)
    campaign = caller.call(phones, sayTemplate="Habari")
    row = campaign.wait_for("completed", seconds=60)
    expect(row["delivered"], 40, "delivered")
    books(campaign, row)
    [calls] = chain.sql("SELECT count(*) AS n, count(DISTINCT seq) AS who FROM calls"
                        " WHERE campaign_id = %d" % campaign.id)
    check(calls["n"] > 40 and calls["who"] == 40, "calls: %r" % calls)
    chain.simulator.faults(call_no_answer=0, call_busy=0, call_unreachable=0, call_fate_times=0)


def test_who_never_answers_is_given_up(chain):
    caller = Caller(chain)
    phones = chain.phones(6)
    chain.simulator.faults(call_no_answer=1, no_answer_ms=1000)
    campaign = caller.call(phones, sayTemplate="Habari", retries={"attempts": 2})
    row = campaign.wait_for("completed", seconds=60)
    chain.simulator.faults(call_no_answer=0)
    expect((row["delivered"], row["failed"], row["captured"]), (0, 6, 0), "row")
    books(campaign, row)
    for phone in phones:
        expect(len(caller.heard(phone)), 2, "calls to " + phone)
    expect({recipient["reason"] for recipient in campaign.recipients()}, {"no_answer"}, "reasons")


def test_keys_are_answers_and_9_stops(chain):
    caller = Caller(chain)
    phones = chain.phones(20)
    endings = {phones[i][-4:]: "press_%s" % key for i, key in
               enumerate(["1"] * 5 + ["2"] * 5 + ["9"] * 3 + ["7"] * 2 + ["undefined"] * 2)}
    chain.simulator.faults(force=",".join("%s:%s" % pair for pair in endings.items()),
                           press_times=5)
    campaign = caller.call(phones, sayTemplate="Je, utakuja?", keys={
        "repeat": "1", "repeats": 2, "stop": "9", "waitSeconds": 5,
        "answers": {"2": "Ndiyo", "3": "Hapana"}})
    row = campaign.wait_for("completed", seconds=60)
    chain.simulator.faults(force="", press_times=1)
    expect(row["delivered"], 20, "delivered")
    books(campaign, row)
    voice = caller.stats(campaign)["voice"]
    expect((voice["answers"]["2"]["recipients"], voice["answers"]["3"]["recipients"],
            voice["stopped"]), (5, 0, 3), "answers: %r" % voice)
    stopped = chain.sql("SELECT msisdn FROM suppressions WHERE reason = 'pressed_stop' ORDER BY 1")
    expect([entry["msisdn"] for entry in stopped], [msisdn(phone) for phone in phones[10:13]],
           "suppressed")


def test_callbacks_twice_early_late_and_out_of_order(chain):
    caller = Caller(chain)
    phones = chain.phones(COUNT)
    chain.simulator.faults(call_doubled=0.3, call_early=0.2, call_reordered=0.2, early_ms=200)
    campaign = caller.call(phones, sayTemplate="Habari tena")
    row = campaign.wait_for("completed", seconds=60)
    chain.simulator.faults(call_doubled=0, call_early=0, call_reordered=0)
    expect(row["delivered"] + row["failed"], COUNT, "ended")
    books(campaign, row)
