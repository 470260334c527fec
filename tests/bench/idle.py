"""What the programs take when there is nothing to do."""

import time

from machine import cpu_ns, children_of
from stack import STAGES

SETTLE_S = 3


def idle(stack, seconds):
    """Memory, and CPU over some seconds, of each process of ours; CPU of the servers."""
    time.sleep(SETTLE_S)
    groups_before = stack.groups.cpu()
    pids = {(name, pid): cpu_ns(pid) for name in [*STAGES, "ingress"]
            for pid in children_of(stack.processes[name].pid)}
    time.sleep(seconds)
    found = []
    for (name, pid), before in pids.items():
        used_ms = (cpu_ns(pid) - before) / 1e6
        rss, pss = next((rss, pss) for at, rss, pss in stack.groups.sizes(name) if at == pid)
        role = "supervisor" if pid == stack.processes[name].pid and name != "ingress" else "worker"
        found.append({"program": name, "role": role, "rss_mib": round(rss, 1),
                      "pss_mib": round(pss, 1), "cpu_ms": round(used_ms, 1),
                      "cpu_percent": round(used_ms / seconds / 10, 3)})
    groups_after = stack.groups.cpu()
    servers = {name: round((groups_after[name] - groups_before[name]) / seconds * 100, 2)
               for name in ("postgres", "rabbitmq", "simulator")}
    return {"seconds": seconds, "processes": found, "servers_cpu_percent": servers}
