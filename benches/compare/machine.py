"""The machine, the kernel and the versions: what a figure means nothing without."""

import contextlib
import hashlib
import mmap
import os
import shutil
import subprocess
import time
from pathlib import Path

# How the kernel gives free memory back to the host, and what keeps it from that: only the largest blocks, only after a minute. Not every kernel
# has both.
PARAMETERS = Path("/sys/module/page_reporting/parameters")
KEEP = {"page_reporting_order": "10", "min_free_ms": "60000"}
# What the work of one system's part of a round needs, and more.
WARM_BYTES = 8 << 30


@contextlib.contextmanager
def kept_memory():
    """In a virtual machine: its memory is the host's to give, at a cost that is many times that of using it. So that no row measures this,
    free memory is kept meanwhile, as far as the kernel lets itself be told. Gives a fact to print."""
    before, kept = {}, []
    for name, value in KEEP.items():
        with contextlib.suppress(OSError):
            before[name] = (PARAMETERS / name).read_text()
            (PARAMETERS / name).write_text(value)
        with contextlib.suppress(OSError):
            kept.append(f"{name} {(PARAMETERS / name).read_text().strip()}")
    try:
        touched = f"{_warm_bytes() >> 20} MiB touched before each system's part of a round"
        yield f"{touched}; {', '.join(kept) or 'given back as the kernel likes'}"
    finally:
        for name, value in before.items():
            with contextlib.suppress(OSError):
                (PARAMETERS / name).write_text(value)


def warm_memory():
    """So that the host has given what the next part needs."""
    _touch(_warm_bytes())


def _warm_bytes():
    return min(WARM_BYTES, _available_bytes() // 2)


def _touch(size):
    with mmap.mmap(-1, size) as memory:
        for at in range(0, size, mmap.PAGESIZE):
            memory[at] = 1


def _available_bytes():
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 0


def describe(directory, binary):
    """Label -> text; `binary` is the muskox that is run."""
    return {
        "machine": f"{os.cpu_count()} cores ({_processor()}), {_memory_gib():.0f} GiB, Linux {os.uname().release}",
        "disk": f"{_filesystem(directory)}; load at the start {os.getloadavg()[0]:.1f}",
        "muskox": _binary(binary),
        "scripts": _commit(),
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


def _binary(path):
    """Which one it is, for who runs another one than that of the commit: path, version, age and the hash of its bytes."""
    found = shutil.which(path)
    if found is None:
        return f"{path}, which is not there"
    found = Path(found).resolve()
    made = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(found.stat().st_mtime))
    digest = hashlib.sha256(found.read_bytes()).hexdigest()[:12]
    return f"{found}, {_said([str(found), '--version'])}, built {made} UTC, sha256 {digest}"


def _commit():
    git = ["git", "-C", str(Path(__file__).parent)]
    diff = subprocess.run([*git, "diff", "--quiet", "HEAD"], capture_output=True)
    changed = "" if diff.returncode == 0 else " with changes"
    return _said([*git, "rev-parse", "--short", "HEAD"]) + changed
