"""Where the time goes: perf over all our processes, and PostgreSQL's own count of its statements."""

import re
import shutil
import signal
import subprocess

FREQUENCY = 397  # no divisor of the kernel's ticks
SYMBOLS = 20
STATEMENTS = 12


class Profile:
    """Records while in the with statement; report() afterwards."""

    def __init__(self, stack, name):
        self.stack, self.data = stack, stack.dir / f"perf-{name}.data"
        self.process, self.pids = None, []

    def __enter__(self):
        self.stack.psql("SELECT pg_stat_statements_reset()")
        if shutil.which("perf"):
            # All processors, not a list of processes: counters that are exchanged at each switch
            # from one of them to another cost a tenth of what is measured.
            self.process = subprocess.Popen(
                ["perf", "record", "-q", "-a", "-g", "-F", str(FREQUENCY), "-o", str(self.data)],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.send_signal(signal.SIGINT)
            self.process.wait()
            groups = self.stack.groups
            self.pids = [pid for name in groups.roots for pid in groups.pids(name)]

    def _perf(self, *keys):
        shown = subprocess.run(
            ["perf", "report", "-i", str(self.data), "--no-children", "--pid",
             ",".join(map(str, self.pids)),
             "-g", "none", "--stdio", "-F", "overhead," + ",".join(keys), "--percent-limit", "0.05"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
        return [line.strip() for line in shown.splitlines() if re.match(r"\s+\d+\.\d+%", line)]

    def report(self):
        """Lines of text."""
        lines = []
        if self.process:
            lines.append("share of the processors by thread name (perf):")
            programs = self._perf("comm")
            lines += ["  " + line for line in programs[:20]]
            shown = {}
            for line in self._perf("comm", "dso", "symbol"):
                share, program, rest = re.match(r"(\S+)\s+(\S+)\s+(.*)", line).groups()
                shown.setdefault(program, []).append(f"  {share:>7} {' '.join(rest.split())}")
            homes = self._perf("comm", "dso")
            for program in [line.split()[1] for line in programs[:12]]:
                at = [line.split() for line in homes if line.split()[1] == program]
                lines.append(f"{program}: " + ", ".join(f"{home} {share}" for share, _, home in
                                                        [words[:3] for words in at[:6]]))
                lines += shown.get(program, [])[:SYMBOLS]
        lines.append("statements by time (pg_stat_statements): ms in all, calls, ms a call, rows, "
                     "statement")
        for row in self.stack.psql(
                "SELECT round(total_exec_time), calls, round(mean_exec_time::numeric, 3), rows, "
                "left(regexp_replace(query, '\\s+', ' ', 'g'), 110) FROM pg_stat_statements "
                f"ORDER BY total_exec_time DESC LIMIT {STATEMENTS}"):
            lines.append("  " + "  ".join(row))
        return lines
