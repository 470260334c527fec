"""The bare rate: what the unavoidable work alone would allow on these cores."""

import json

from machine import CORES
from stack import Simulator, free_port, run

# Libmicrohttpd's own loop, of which the receiver is made, stands still with some 200 of them.
CONNECTIONS = 64


def measure(stack, kind, count):
    """One run of bench_bare; its steps, CPU seconds and rate."""
    port = free_port()
    simulator = Simulator(stack, "simulator-bare", f"http://127.0.0.1:{port}/report",
                          CONNECTIONS)
    try:
        steps = json.loads(run(stack.tool("tests/bench/bench_bare"), kind, count, stack.bare_url,
                               simulator.url, port, stack.env["POSTGRES_PID"],
                               simulator.process.pid))
    finally:
        stack.end("simulator-bare")
    cpu = sum(sum(step["cpu_s"].values()) for step in steps)
    return {"kind": kind, "recipients": count, "steps": steps, "cpu_s": round(cpu, 2),
            "rate": round(count / (cpu / CORES))}
