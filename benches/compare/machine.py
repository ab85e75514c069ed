"""The machine, the kernel and the versions: what a figure means nothing without."""

import contextlib
import mmap
import os
import subprocess
from pathlib import Path

# Free blocks of at least this order are given back to the host, if the kernel does that.
REPORTING = Path("/sys/module/page_reporting/parameters/page_reporting_order")
# No block is so large.
NEVER = "20"
# What the work of one round needs, and more.
WARM_BYTES = 8 << 30


@contextlib.contextmanager
def warm_memory():
    """In a virtual machine: its memory is the host's to give, at a cost that is many times that of using it. So that no row measures this,
    free memory is kept meanwhile, and as much as a round needs is touched before the first. Gives a fact to print."""
    before = None
    with contextlib.suppress(OSError):
        before = REPORTING.read_text()
        REPORTING.write_text(NEVER)
    try:
        touched = _touch(min(WARM_BYTES, _available_bytes() // 2))
        kept = "not given back to the host meanwhile" if before else "as the kernel keeps it"
        yield f"{touched >> 20} MiB touched before; {kept}"
    finally:
        if before:
            REPORTING.write_text(before)


def _touch(size):
    with mmap.mmap(-1, size) as memory:
        for at in range(0, size, mmap.PAGESIZE):
            memory[at] = 1
    return size


def _available_bytes():
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 0


def describe(directory):
    """Label -> text."""
    return {
        "machine": f"{os.cpu_count()} cores ({_processor()}), {_memory_gib():.0f} GiB, Linux {os.uname().release}",
        "disk": f"{_filesystem(directory)}; load at the start {os.getloadavg()[0]:.1f}",
        "muskox": _commit(),
        "moosefs": _said(["dpkg-query", "-W", "-f", "${Version}", "moosefs-master"]),
    }


def _said(command):
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def _processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return os.uname().machine


def _memory_gib():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)


def _filesystem(directory):
    return " on ".join(_said(["findmnt", "-n", "-f", "-o", "FSTYPE,SOURCE", "-T", str(directory)]).split())


def _commit():
    git = ["git", "-C", str(Path(__file__).parent)]
    diff = subprocess.run([*git, "diff", "--quiet", "HEAD"], capture_output=True)
    changed = "" if diff.returncode == 0 else " with changes"
    return _said([*git, "rev-parse", "--short", "HEAD"]) + changed
