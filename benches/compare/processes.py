"""What /proc says of a process and of those it started: CPU time, memory, where it listens."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def _stat(pid):
    """The fields of /proc/PID/stat behind the name, or None if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def family(pid):
    """The process and all its descendants."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := _stat(entry)):
            parents.setdefault(int(fields[1]), []).append(int(entry))
    found, queue = [], [pid]
    while queue:
        found.append(queue.pop())
        queue += parents.get(found[-1], [])
    return found


def cpu_seconds(pid):
    """User and system time of a process, its descendants, and those of them that have ended and were waited for."""
    return sum(sum(map(int, fields[11:15])) for p in family(pid) if (fields := _stat(p))) / TICKS


def memory_mib(pid):
    """(resident now, at most) of a process and its descendants."""
    now = most = 0
    for member in family(pid):
        try:
            lines = Path(f"/proc/{member}/status").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        values = dict(line.split(":", 1) for line in lines if line.startswith(("VmRSS", "VmHWM")))
        now += int(values.get("VmRSS", "0 kB").split()[0])
        most += int(values.get("VmHWM", "0 kB").split()[0])
    return now / 1024, most / 1024


def listens(pid, port):
    """Whether somebody listens on the port in the network namespace of the process."""
    try:
        lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    except OSError:
        return False
    return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in lines)
