"""Campaigns of many recipients: how fast, at what cost, compared with the bare rate."""

import statistics
import time

import bare
import campaigns
from machine import CORES, cpu_s

WARM_UP = 5000


def backends(stack):
    """CPU seconds so far of each process of PostgreSQL, by pid and by what it serves."""
    return {(int(pid), name): cpu_s(int(pid)) for pid, name in stack.psql(
        "SELECT pid, CASE backend_type WHEN 'client backend' THEN application_name "
        "ELSE backend_type END FROM pg_stat_activity")}


def used_by_backends(stack, before):
    """Seconds used since before by what it serves, the largest first."""
    used = {}
    for (pid, name), now in backends(stack).items():
        group = name.partition("/")[0]
        used[group] = used.get(group, 0) + now - before.get((pid, name), 0)
    return {name: round(seconds, 2)
            for name, seconds in sorted(used.items(), key=lambda pair: -pair[1]) if seconds > 0.005}


def run_one(stack, kind, count, number, look=None, channel=campaigns.Messages):
    """One campaign from its upload to its last report stored; look is asked before it is verified."""
    path = stack.dir / f"{kind}-{count}.csv"
    campaigns.write_csv(path, kind, count)
    stack.simulator.reset()
    stack.psql("CHECKPOINT")
    stack.groups.forget_peaks()
    before, backends_before = stack.groups.cpu(), backends(stack)
    row, begun, answered = channel.upload(stack, kind, number, path)
    seen = campaigns.await_delivered(stack, row, count)
    after = stack.groups.cpu()
    served = used_by_backends(stack, backends_before)
    peaks = stack.groups.peaks()
    campaigns.await_completed(stack, row)
    accepted = channel.last_accepted_s(stack)
    marks = campaigns.finish_times(stack, row)
    looked = look() if look else None
    stack.verify()
    cpu = {name: round(after[name] - before[name], 2) for name in after}
    return {
        "kind": kind, "recipients": count, "words": channel.words,
        "answered_s": round(answered - begun, 3),
        "marks_s": {name: round(at - begun, 3) for name, at in marks.items()},
        "accepted_s": round(accepted - begun, 3), "delivered_s": round(seen - begun, 3),
        "rate_accepted": round(count / (accepted - begun)),
        "rate_delivered": round(count / (seen - begun)),
        "cpu_s": cpu, "postgres_cpu_s": served, "cpu_total_s": round(sum(cpu.values()), 2),
        "rate_if_alone": round(count / (sum(cpu.values()) / CORES)),
        "busy": round(sum(cpu.values()) / (seen - begun) / CORES, 2),
        "peak_mib": {name: round(peak, 1) for name, peak in peaks.items()},
        **({"looked": looked} if look else {}),
    }


def warm_up(stack):
    """Connections opened, statements prepared, tables with statistics, as after some use."""
    for number, kind in enumerate(campaigns.TEXTS):
        run_one(stack, kind, WARM_UP, f"warm {number}")


def median(runs, key):
    return statistics.median(run[key] for run in runs)


def sms(stack, kinds, count, repeat):
    """Campaigns and bare runs by turns; the medians, and all runs."""
    results = []
    for kind in kinds:
        runs, bares = [], []
        for number in range(repeat):
            bares.append(bare.measure(stack, kind, count))
            time.sleep(stack.options.pause_s)
            runs.append(run_one(stack, kind, count, number))
        bare_rate = median(bares, "rate")
        results.append({
            "kind": kind, "recipients": count, "runs": runs, "bare_runs": bares,
            "bare_rate": bare_rate, "rate_accepted": median(runs, "rate_accepted"),
            "rate_delivered": median(runs, "rate_delivered"),
            "rate_if_alone": median(runs, "rate_if_alone"),
            "share_of_bare": round(median(runs, "rate_delivered") / bare_rate, 3),
            "cpu_us_per_recipient": round(median(runs, "cpu_total_s") / count * 1e6, 1),
            "bare_cpu_us_per_recipient": round(median(bares, "cpu_s") / count * 1e6, 1),
        })
    return results
