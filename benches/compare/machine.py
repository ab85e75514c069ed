"""The machine, the kernel and the versions: what a figure means nothing without."""

import os
import subprocess
from pathlib import Path


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
