"""Where the time of a timed part goes: `perf` looks at all processors meanwhile, and says it by thread and by function.

An idle processor is shown as the thread `swapper`: much of it means that the work waits for a disk or for an answer.
"""

import signal
import subprocess
from pathlib import Path

PER_SECOND = 997
THREADS, FUNCTIONS = 16, 40


class Profile:
    """A context around a timed part."""

    def __init__(self, folder, name):
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.data = Path(folder, f"{name}.data")
        self.text = Path(folder, f"{name}.txt")

    def __enter__(self):
        command = ["perf", "record", "--all-cpus", "-g", "--event", "cpu-clock", "--freq", str(PER_SECOND), "--quiet"]
        self.perf = subprocess.Popen([*command, "--output", self.data], stdin=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        self.perf.send_signal(signal.SIGINT)
        self.perf.wait()
        parts = [self._report("comm", THREADS), self._report("comm,symbol", FUNCTIONS)]
        self.text.write_text("\n".join(parts))

    def _report(self, sort, lines):
        command = ["perf", "report", "--stdio", "--no-children", "--call-graph", "none", "--sort", sort]
        done = subprocess.run([*command, "--input", self.data], capture_output=True, text=True, check=True)
        shares = [line for line in done.stdout.splitlines() if line.strip() and not line.startswith("#")]
        return "\n".join([f"by {sort}", *shares[:lines], ""])
