"""Tables of what was measured, and how it compares with what we aim at."""

from stack import STAGES

MEMORY_MIB = 200
IDLE_MIB = 15
IDLE_PERCENT = 0.1  # of a core: a tick a second is no more
P99_MS = 100
SHARE = 0.5
MILLION_RATIO = 0.8
LEDGER_SHARE = 0.05  # of a campaign's wall time
SERVERS = ("postgres", "rabbitmq")
GROUPS = ["ingress", *STAGES, "postgres", "rabbitmq", "simulator"]


def machine(result):
    facts = result["machine"]
    print(f"{result['date']}: {facts['cores']} cores ({facts['cpu']}), {facts['memory_gib']} GiB, "
          f"Linux {facts['kernel']}, load before {facts['load_before']}")


def run(one):
    """A campaign's times and what each process used."""
    print(f"\n{one['kind']}, {one['recipients']:,} recipients: uploaded {one['answered_s']} s, "
          f"{one['words'][0]} {one['accepted_s']} s ({one['rate_accepted']:,}/s), {one['words'][1]} "
          f"{one['delivered_s']} s ({one['rate_delivered']:,}/s)")
    print("  marks: " + ", ".join(f"{name.removesuffix('_at')} {at}"
                                  for name, at in one["marks_s"].items()))
    print(f"  {'process':<16} {'CPU s':>8} {'us each':>8} {'peak MiB':>9}")
    for name in GROUPS:
        print(f"  {name:<16} {one['cpu_s'][name]:>8.2f} "
              f"{one['cpu_s'][name] / one['recipients'] * 1e6:>8.1f} {one['peak_mib'][name]:>9.1f}")
    print(f"  {'all':<16} {one['cpu_total_s']:>8.2f} "
          f"{one['cpu_total_s'] / one['recipients'] * 1e6:>8.1f}   cores busy: {one['busy']:.0%}")
    print("  postgres, us each: " + ", ".join(f"{name} {seconds / one['recipients'] * 1e6:.1f}"
                                             for name, seconds in one["postgres_cpu_s"].items()))


def bare(one):
    print(f"\nbare {one['kind']}: {one['rate']:,}/s, {one['cpu_s']} CPU s")
    for step in one["steps"]:
        parts = ", ".join(f"{name} {cpu:.2f}" for name, cpu in step["cpu_s"].items())
        print(f"  {step['step']:<17} wall {step['wall_s']:>7.3f} s   CPU s: {parts}")


def sms(results):
    for result in results:
        by_rate = sorted(result["runs"], key=lambda one: one["rate_delivered"])
        run(by_rate[len(by_rate) // 2])
        bare(sorted(result["bare_runs"], key=lambda one: one["rate"])[len(by_rate) // 2])
    print(f"\n{'':<14}{'bare/s':>10}{'accepted/s':>12}{'delivered/s':>13}{'of bare':>9}"
          f"{'CPU us':>9}{'bare us':>9}{'alone/s':>10}")
    for result in results:
        print(f"{result['kind']:<14}{result['bare_rate']:>10,.0f}{result['rate_accepted']:>12,.0f}"
              f"{result['rate_delivered']:>13,.0f}{result['share_of_bare']:>9.0%}"
              f"{result['cpu_us_per_recipient']:>9.1f}{result['bare_cpu_us_per_recipient']:>9.1f}"
              f"{result['rate_if_alone']:>10,.0f}")
    print("alone/s: what the CPU time would allow if nothing else ran and no core ever waited")


def voice(results):
    for result in results:
        by_rate = sorted(result["runs"], key=lambda one: one["rate_delivered"])
        one = by_rate[len(by_rate) // 2]
        run(one)
        print(f"  live calls answered meanwhile: {_xml(one['calls']['xml_ms'])}; from "
              + _sources(one["sources"])
              + f"; most at once {one['calls']['live_max']:,}, posts repeated "
              f"{one['calls']['posts_repeated']}, dropped {one['calls']['dropped']}")
        held = sorted(result["held_runs"], key=lambda one: one["rate"])
        print(f"  all live at once: from {_sources(held[len(held) // 2]['sources'])}")
    print(f"\n{'':<14}{'bare/s':>10}{'placed/s':>10}{'of bare':>9}{'ended/s':>10}{'CPU us':>9}"
          f"{'bare us':>9}{'alone/s':>10}")
    for result in results:
        print(f"{result['kind']:<14}{result['bare_rate']:>10,.0f}{result['rate_placed']:>10,.0f}"
              f"{result['placed_of_bare']:>9.1%}{result['rate_ended']:>10,.0f}"
              f"{result['cpu_us_per_recipient']:>9.1f}{result['bare_cpu_us_per_recipient']:>9.1f}"
              f"{result['rate_if_alone']:>10,.0f}")
    print("all calls live at once, their posts answered:")
    for result in results:
        for name, one in ("ingress", result["answers"]), ("constant", result["bare_answers"]):
            print(f"  {result['kind']:<14}{name:<10}{one['rate']:>8,.0f}/s {_xml(one['xml_ms'])}, "
                  f"{one['cpu_us']:.1f} us of its CPU each")
        print(f"  {'':<14}{'':<10}{result['answers_of_bare']:.0%} of the constant's rate")


def _xml(times):
    return ", ".join(f"{name} {times[name]:.2f} ms" for name in ("p50", "p99", "max"))


def _sources(counts):
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())) or "nowhere"


def upload(result):
    print(f"\na WAV file of {result['mib']} MiB: {result['mib_per_s']:,.0f} MiB/s, {result['cpu_s']} s of the "
          f"ingress's CPU; hashing and writing alone {result['bare_mib_per_s']:,.0f} MiB/s; the "
          f"ingress's memory at its peak {result['before_mib']} MiB before, {result['after_mib']} "
          f"MiB after")


def ledger(result):
    print(f"\nmovements a second, and of the floor (an UPDATE and an INSERT)\n{'accounts':<10}"
          f"{'workers':>8}{'floor':>9}{'hold':>9}{'':>6}{'capture':>9}{'':>6}{'transfer':>9}")
    for row in result["moves"]:
        print(f"{row['accounts']:<10}{row['workers']:>8}{row['floor']:>9,}"
              + "".join(f"{row[what]:>9,}{row[what + '_share']:>6.0%}"
                        for what in ("hold", "capture", "transfer")))
    for one in result["campaigns"]:
        print(f"{one['kind']}, {one['recipients']:,} recipients: {one['calls']:,} statements on the ledger took "
              f"{one['ledger_s']} s of {one['wall_s']} s ({one['share']:.1%})")


def latency(results):
    for one in results:
        print(f"\nhigh-priority message during {one['campaigns']} {one['kind']} campaign(s) of "
              f"{one['recipients']:,}: to the provider p50 {one['p50_ms']} ms, p99 {one['p99_ms']} "
              f"ms, most {one['max_ms']} ms; to our answer p50 {one['answered_p50_ms']} ms, "
              f"p99 {one['answered_p99_ms']} ms ({one['samples']} messages)")


def idle(result):
    print(f"\nidle, over {result['seconds']} s")
    print(f"  {'program':<16} {'':<10} {'RSS MiB':>8} {'PSS MiB':>8} {'CPU ms':>8} {'% core':>7}")
    for one in result["processes"]:
        print(f"  {one['program']:<16} {one['role']:<10} {one['rss_mib']:>8} {one['pss_mib']:>8} "
              f"{one['cpu_ms']:>8} {one['cpu_percent']:>7.3f}")
    print("  servers, % of a core: " + ", ".join(f"{name} {percent}" for name, percent
                                                  in result["servers_cpu_percent"].items()))


def million(runs, results):
    for one in runs:
        run(one)
        small = next((result for result in results or [] if result["kind"] == one["kind"]), None)
        if small:
            print(f"  {one['rate_delivered'] / small['rate_delivered']:.0%} of the rate with "
                  f"{small['recipients']:,}")


def _sms_aims(result):
    for one in result.get("sms", []):
        yield (f"{one['kind']}: {one['share_of_bare']:.0%} of the bare rate",
               one["share_of_bare"] >= SHARE)


def _million_aims(result):
    for one in result.get("million", []):
        name, peak = max(((name, peak) for name, peak in one["peak_mib"].items()
                          if name not in SERVERS), key=lambda pair: pair[1])
        yield (f"{one['kind']} {one['recipients']:,}: largest process {name}, {peak} MiB",
               peak <= MEMORY_MIB)
        small = next((small for small in result.get("sms", []) if small["kind"] == one["kind"]),
                     None)
        if small:
            ratio = one["rate_delivered"] / small["rate_delivered"]
            yield (f"{one['kind']} {one['recipients']:,}: {ratio:.0%} of the smaller run's rate",
                   ratio >= MILLION_RATIO)


def _idle_aims(result):
    stages = [one for one in result.get("idle", {}).get("processes", [])
              if one["program"] != "ingress"]
    if stages:
        largest = max(stages, key=lambda one: one["rss_mib"])
        busiest = max(stages, key=lambda one: one["cpu_percent"])
        yield (f"idle: largest stage process {largest['program']}, RSS {largest['rss_mib']} MiB",
               largest["rss_mib"] < IDLE_MIB)
        yield (f"idle: busiest stage process {busiest['program']}, {busiest['cpu_percent']} %",
               busiest["cpu_percent"] <= IDLE_PERCENT)


def _latency_aims(result):
    for one in result.get("latency", []):
        yield (f"high priority during {one['kind']}: p99 {one['p99_ms']} ms",
               one["p99_ms"] < P99_MS)


def _ledger_aims(result):
    for one in result.get("ledger", {}).get("campaigns", []):
        yield (f"the ledger takes under {LEDGER_SHARE:.0%} of a {one['kind']} campaign: {one['share']:.1%}",
               one["share"] < LEDGER_SHARE)


def aims(result):
    """Prints each aim with what became of it; the missed ones."""
    found = [pair for aim in (_sms_aims, _latency_aims, _million_aims, _idle_aims, _ledger_aims)
             for pair in aim(result)]
    if found:
        print()
    for text, met in found:
        print(f"{'met   ' if met else 'MISSED'}  {text}")
    return [text for text, met in found if not met]
