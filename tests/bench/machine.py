"""What processes use: CPU time and memory out of /proc, by groups of processes."""

import glob
import os
import platform

TICKS = os.sysconf("SC_CLK_TCK")
CORES = os.cpu_count()


def _read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""


def children_of(pid):
    """All processes below pid, pid first."""
    found = [pid]
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        for child in _read(path).split():
            found += children_of(int(child))
    return found


def _ticks(pid):
    """User and system time of a process and of the ended children it has waited for."""
    stat = _read(f"/proc/{pid}/stat")
    if not stat:
        return 0
    fields = stat.rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15])


def cpu_s(pid):
    """User and system time of a process, in seconds."""
    return _ticks(pid) / TICKS


def _status_kib(pid, name):
    for line in _read(f"/proc/{pid}/status").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    return 0


def _rollup_kib(pid, name):
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    return 0


def cpu_ns(pid):
    """CPU time of a process's living threads, to the nanosecond."""
    return sum(int((_read(path).split() or ["0"])[0])
               for path in glob.glob(f"/proc/{pid}/task/*/schedstat"))


class Groups:
    """Named groups of processes, each the tree below some pids."""

    def __init__(self, roots):
        self.roots = roots  # name -> [pid]

    def pids(self, name):
        return [pid for root in self.roots[name] for pid in children_of(root)]

    def cpu(self):
        """Seconds used so far, by group."""
        return {name: sum(_ticks(pid) for pid in self.pids(name)) / TICKS for name in self.roots}

    def forget_peaks(self):
        """Peak memory counts from now on."""
        for name in self.roots:
            for pid in self.pids(name):
                try:
                    with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as file:
                        file.write("5")
                except (OSError, ProcessLookupError):
                    pass  # ended meanwhile

    def peaks(self):
        """MiB of the largest process of each group at its peak (VmHWM)."""
        return {name: max((_status_kib(pid, "VmHWM") for pid in self.pids(name)), default=0) / 1024
                for name in self.roots}

    def sizes(self, name):
        """(pid, RSS MiB, PSS MiB) of each process of a group."""
        return [(pid, _rollup_kib(pid, "Rss") / 1024, _rollup_kib(pid, "Pss") / 1024)
                for pid in self.pids(name)]


def facts():
    model = next((line.split(":", 1)[1].strip() for line in _read("/proc/cpuinfo").splitlines()
                  if line.startswith("model name")), platform.machine())
    memory = next((int(line.split()[1]) for line in _read("/proc/meminfo").splitlines()
                   if line.startswith("MemTotal")), 0)
    return {"cores": CORES, "cpu": model, "memory_gib": round(memory / 1048576, 1),
            "kernel": platform.release(), "load_before": round(os.getloadavg()[0], 2)}
