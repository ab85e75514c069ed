#!/usr/bin/env python3
"""Walks single operations through threads and system calls: what `docs/performance.md` rests on.

A cluster of three chunkservers and one mount does the same operation many times; then it is counted, for one of them, how
often each thread went to sleep and how long it computed (/proc), which system calls each process made (strace, in a second
pass, since it slows everything down), and what the master was asked. Counts hold on a busy machine, times do not.

Usage: sudo MUSKOX=target/release/muskox benches/walk.py [--count N] [--dir DIR] [--calls] [WORK...]
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "compare"))

from muskox import Muskox  # noqa: E402
from place import Place  # noqa: E402

MIB = 1 << 20
PAGE = 4096
# Once in so many operations is noise: a heartbeat, a timer.
NOISE = 0.04


class Works:
    """Each method is a piece of work; the next one finds what the one before has left."""

    def __init__(self, cluster, count):
        self.cluster, self.count = cluster, count
        self.home = cluster.mountpoint / "walk"
        self.page, self.mib = random.randbytes(PAGE), random.randbytes(MIB)
        self.home.mkdir()

    def _names(self, prefix):
        return [str(self.home / f"{prefix}{number}") for number in range(self.count)]

    def create(self):
        """create and close"""
        for name in self._names("e"):
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))

    def stat(self):
        """stat, nothing cached"""
        for name in self._names("e"):
            os.stat(name)

    def rename(self):
        """rename, names not cached"""
        for old, new in zip(self._names("e"), self._names("n")):
            os.rename(old, new)

    def unlink(self):
        """unlink"""
        for name in self._names("n"):
            os.unlink(name)

    def small(self):
        """create, write 4 KiB, close"""
        for name in self._names("s"):
            file = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
            os.write(file, self.page)
            os.close(file)

    def smallread(self):
        """open, read 4 KiB, close, nothing cached by the client"""
        for name in self._names("s"):
            file = os.open(name, os.O_RDONLY)
            os.read(file, PAGE + 1)
            os.close(file)

    def write(self):
        """write of 1 MiB in order"""
        file = os.open(self.home / "large", os.O_CREAT | os.O_WRONLY, 0o644)
        for _ in range(self.count):
            os.write(file, self.mib)
        os.close(file)

    def read(self):
        """read of 1 MiB in order, servers warm"""
        buffer = bytearray(MIB)
        with open(self.home / "large", "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass

    def randread(self):
        """read of 4 KiB, servers warm"""
        file = os.open(self.home / "large", os.O_RDONLY)
        pages = random.Random(1).sample(range(self.count * MIB // PAGE), self.count)
        for page in pages:
            os.pread(file, PAGE, page * PAGE)
        os.close(file)

    def randwrite(self):
        """write of 4 KiB"""
        file = os.open(self.home / "large", os.O_WRONLY)
        for page in random.Random(2).sample(range(self.count * MIB // PAGE), self.count):
            os.pwrite(file, self.page, page * PAGE)
        os.close(file)

    def append(self):
        """append of 100 bytes"""
        file = os.open(self.home / "log", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
        for _ in range(self.count):
            os.write(file, self.page[:100])
        os.close(file)


COLD = ("stat", "rename", "smallread", "read", "randread")
ALL = ("create", "stat", "rename", "unlink", "small", "smallread", "write", "read", "randread", "randwrite", "append")


def role(name):
    return "chunkserver" if name.startswith("cs") else name


def threads(cluster):
    """(sleeps, nanoseconds of CPU) by role and thread."""
    sleeps, cpu = Counter(), Counter()
    for name, child in cluster.children.items():
        for task in Path(f"/proc/{child.pid}/task").iterdir():
            try:
                key = (role(name), (task / "comm").read_text().strip().rstrip("0123456789-"))
                status = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines())
                sleeps[key] += int(status["voluntary_ctxt_switches"])
                cpu[key] += int((task / "schedstat").read_text().split()[0])
            except FileNotFoundError:
                pass  # It ended meanwhile.
    return sleeps, cpu


def requests(cluster):
    return cluster.ask("status")["metadata"]["requests"]


def traced(cluster, work):
    """System calls of each role while the work is done."""
    tracers, calls = {}, {}
    for name, child in cluster.children.items():
        out = cluster.home / f"{name}.calls"
        command = ["strace", "-f", "-c", "-o", out, "-p", str(child.pid)]
        tracers[name] = (subprocess.Popen(command, stderr=subprocess.PIPE, text=True), out)
    for tracer, _ in tracers.values():
        tracer.stderr.readline()  # "Process ... attached"
    work()
    for name, (tracer, out) in tracers.items():
        tracer.send_signal(signal.SIGINT)
        tracer.communicate()
        of_role = calls.setdefault(role(name), Counter())
        for line in out.read_text().splitlines():
            fields = line.split()
            if len(fields) >= 5 and fields[0][0].isdigit() and fields[-1] != "total":
                of_role[fields[-1]] += int(fields[3])
    return calls


def once(cluster, works, name, calls):
    count, work = works.count, getattr(works, name)
    if name in COLD:
        cluster.cold_client()
    if calls:
        for who, made in traced(cluster, work).items():
            told = [f"{call} {n / count:.2f}" for call, n in made.most_common() if n / count > NOISE]
            print(f"  {who:12} {', '.join(told) or '-'}")
        return
    asked, (sleeps, cpu), start = requests(cluster), threads(cluster), time.monotonic()
    work()
    seconds, (sleeps_then, cpu_then) = time.monotonic() - start, threads(cluster)
    asked = requests(cluster) - asked
    print(f"{work.__doc__}: {seconds / count * 1e6:.0f} us, {asked / count:.2f} requests")
    for key in sorted(cpu_then):
        slept, us = (sleeps_then[key] - sleeps[key]) / count, (cpu_then[key] - cpu[key]) / count / 1e3
        if slept > NOISE or us > 1:
            print(f"  {key[0]:12} {key[1]:8} sleeps {slept:5.2f}   CPU {us:6.1f} us")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--count", type=int, default=500, help="operations of each kind")
    options.add_argument("--dir", default="/var/tmp", help="where the servers' data lie")
    options.add_argument("--calls", action="store_true", help="system calls instead of threads and times")
    options.add_argument("works", nargs="*", metavar="WORK", help=", ".join(ALL))
    options = options.parse_args()
    with Place(options.dir) as place:
        cluster = Muskox(place)
        try:
            cluster.start()
            works = Works(cluster, options.count)
            for name in ALL:
                if options.works and name not in options.works:
                    getattr(works, name)()
                    continue
                if options.calls:
                    print(f"{getattr(works, name).__doc__}:")
                once(cluster, works, name, options.calls)
        finally:
            cluster.stop()


if __name__ == "__main__":
    main()
