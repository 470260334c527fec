"""The ledger alone, against the bare SQL of any ledger; and its share of a campaign."""

import statistics

import sms
from stack import run

ACCOUNTS = (1, 16, 256)
WORKERS = (1, 8)
MOVES = ("hold", "capture", "transfer")


def rate(stack, what, accounts, workers, milliseconds):
    return float(run(stack.tool("tests/bench/bench_ledger"), stack.bare_url, what, accounts, workers,
                     milliseconds))


def moves(stack, repeat, milliseconds):
    """Floor and movements by turns, so that a slow minute strikes both; medians of the shares."""
    results = []
    for accounts in ACCOUNTS:
        for workers in WORKERS:
            floors, rates = [], {what: [] for what in MOVES}
            for _ in range(repeat):
                for what in MOVES:
                    floors.append(rate(stack, "floor", accounts, workers, milliseconds))
                    rates[what].append((rate(stack, what, accounts, workers, milliseconds),
                                        floors[-1]))
            results.append({
                "accounts": accounts, "workers": workers, "floor": round(statistics.median(floors)),
                **{what: round(statistics.median(r for r, _ in pairs))
                   for what, pairs in rates.items()},
                **{what + "_share": round(statistics.median(r / floor for r, floor in pairs), 3)
                   for what, pairs in rates.items()}})
    return results


SPENT = ("SELECT coalesce(sum(total_exec_time), 0), coalesce(sum(calls), 0) FROM pg_stat_statements"
         " WHERE query ~ '(ledger_entries|token_(balances|lots|holds|hold_lots))'")


def campaign(stack, kind, count):
    """What a campaign's statements on the ledger took, of its wall time."""
    stack.psql("SELECT pg_stat_statements_reset()")
    one = sms.run_one(stack, kind, count, "ledger", look=lambda: stack.psql(SPENT))
    [[spent_ms, calls]] = one["looked"]
    return {"kind": kind, "recipients": count, "wall_s": one["delivered_s"], "calls": int(calls),
            "ledger_s": round(float(spent_ms) / 1000, 3),
            "share": round(float(spent_ms) / 1000 / one["delivered_s"], 4)}
