"""Where the time of a timed part goes: `perf` looks at all processors meanwhile, and says it by thread and by function.

An idle processor is shown as the thread `swapper`: much of it means that the work waits for a disk or for an answer. What belongs to no
process of this run nor to the kernel is told apart: with much of it, other programs had the processors.
"""

import collections
import os
import re
import signal
import subprocess
from pathlib import Path

PER_SECOND = 997
THREADS, FUNCTIONS = 16, 40
IDLE = "swapper"
# What the summary tells of a part.
TOLD_THREADS, TOLD_FUNCTIONS, TOLD_OTHERS = 6, 5, 3
KERNEL_THREADS = 2  # the process that is the parent of all of them
BY = ("comm", "comm,symbol", "others")
SAMPLE = re.compile(r"\s*(.+?)\s+(\d+)/\d+\s*")
BORN = re.compile(r"PERF_RECORD_FORK\((\d+):\d+\):\((\d+):\d+\)")


class Profile:
    """A context around a timed part."""

    def __init__(self, folder, name):
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.data = Path(folder, f"{name}.data")
        self.text = Path(folder, f"{name}.txt")

    def __enter__(self):
        command = ["perf", "record", "--all-cpus", "-g", "--event", "cpu-clock", "--freq", str(PER_SECOND), "--quiet"]
        heard, told = os.pipe()
        ready, answer = os.pipe()
        control = ["--delay", "-1", "--control", f"fd:{heard},{answer}"]
        self.perf = subprocess.Popen(
            [*command, *control, "--output", self.data], stdin=subprocess.DEVNULL, pass_fds=(heard, answer)
        )
        os.close(heard)
        os.close(answer)
        # It takes a while to find all processes; the part begins when it has.
        self.pipes = os.fdopen(told, "wb", buffering=0), os.fdopen(ready, "rb")
        self.pipes[0].write(b"enable\n")
        if not self.pipes[1].readline():
            raise RuntimeError("perf ended before it began: see its message above")
        return self

    def __exit__(self, *_):
        self.perf.send_signal(signal.SIGINT)
        self.perf.wait()
        for pipe in self.pipes:
            pipe.close()
        parts = [self._report("comm", THREADS), self._report("comm,symbol", FUNCTIONS), self._others()]
        by = (f"by {what}\n{lines}\n" for what, lines in zip(BY, ["\n".join(part) for part in parts]))
        self.text.write_text("\n".join(by))

    def _report(self, sort, lines):
        command = ["perf", "report", "--stdio", "--no-children", "--call-graph", "none", "--sort", sort]
        return [line for line in self._said(*command) if line.strip() and not line.startswith("#")][:lines]

    def _said(self, *command):
        done = subprocess.run([*command, "--input", self.data], capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    def _others(self):
        """Programs that neither this process nor the kernel has started, with their shares. All daemons and workers are children of this process."""
        parents, samples = {}, []
        for line in self._said("perf", "script", "--show-task-events", "--fields", "comm,pid,tid"):
            if born := BORN.search(line):
                child, parent = map(int, born.groups())
                if child != parent:
                    parents[child] = parent
            elif sample := SAMPLE.fullmatch(line):
                samples.append((int(sample[2]), sample[1]))
        others = collections.Counter(name for pid, name in samples if _is_other(pid, parents))
        return [f"{count / len(samples):.2%}  {name}" for name, count in others.most_common()]


def _is_other(pid, parents):
    if pid == 0:
        return False  # an idle processor
    while pid in parents and pid not in (os.getpid(), KERNEL_THREADS):
        pid = parents[pid]
    return pid not in (os.getpid(), KERNEL_THREADS)


def summary(folder):
    """One line for each part that was profiled: how idle the processors were, then other programs, threads and functions, as shares
    of what they did."""
    lines = ["| part | idle | other programs | threads | functions |", "| --- | ---: | --- | --- | --- |"]
    for text in sorted(Path(folder).glob("*.txt")):
        threads, functions, others = (block.splitlines()[1:] for block in text.read_text().strip().split("\n\n"))
        threads, others = _shares(threads), _shares(others)
        idle = sum(share for name, share in threads if name == IDLE)
        busy = max(100 - idle, 0.01)
        told = [f"{name} {share / busy:.0%}" for name, share in threads if name != IDLE]
        told = f"{_strangers(others, busy)} | {', '.join(told[:TOLD_THREADS])} | {_functions(functions, busy)}"
        lines.append(f"| {text.stem} | {idle:.0f} % | {told} |")
    return "\n".join(lines)


def _shares(lines):
    return [(name, float(share.rstrip("%"))) for share, name in map(_columns, lines)]


def _strangers(others, busy):
    whole = f"{sum(share for _, share in others) / busy:.0%}"
    return f"{whole} ({', '.join(name for name, _ in others[:TOLD_OTHERS])})" if others else whole


def _columns(line):
    return re.split(r"\s{2,}", line.strip())


def _functions(lines, busy):
    """The same function on several threads is one."""
    shares = {}
    for share, name, function, *_ in map(_columns, lines):
        if name != IDLE:
            function = function.removeprefix("[k] ").removeprefix("[.] ")
            shares[function] = shares.get(function, 0) + float(share.rstrip("%")) / busy
    most = sorted(shares.items(), key=lambda item: -item[1])[:TOLD_FUNCTIONS]
    return ", ".join(f"`{function}` {share:.0%}" for function, share in most)
