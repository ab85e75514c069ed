"""A disk is pulled (its directory is renamed away) while four processes write and four read.

A ninth process pulls it and watches. All of them share a page of memory: how much each has done, and whether to end. An error of any of
them, or a wrong byte, is the failure of the row.
"""

import mmap
import os
import random
import struct
import time

import workers
from content import MIB, Mismatch, check, piece
from works import bulk

WRITERS = READERS = 4
FILES = 8  # of each writer, written anew in turn
FILE_MIB = 8
READ_MIB = 4
POLL_S = 0.05
COUNTED_S = 2.5  # servers tell their counts every 2 s

# In the order in which they are shown.
FIGURES = {
    "noticed": "s until the master knows of the loss",
    "first": "s until the first copy is there",
    "healed": "s until all chunks are at their goal, under load",
    "rate": "MB/s of healing, from the notice to the end",
    "moved": "MB moved by healing",
    "writes-before": "MB/s written before, by four programs",
    "writes-slower": "% slower are they while it is healed",
    "reads-before": "MB/s read before, by four programs",
    "reads-slower": "% slower are they while it is healed",
    "longest-before": "s took the longest operation before (a write or a read of 1 MiB, an fsync of 8 MiB)",
    "longest": "s took the longest one since",
}


class Shared:
    """What each worker has done so far, in MiB, and the end of them all."""

    def __init__(self):
        self.memory = mmap.mmap(-1, mmap.PAGESIZE)

    def add(self, index):
        struct.pack_into("Q", self.memory, 8 * index, self.done(index) + 1)

    def done(self, index):
        return struct.unpack_from("Q", self.memory, 8 * index)[0]

    def end(self):
        self.memory[-1] = 1

    def is_over(self):
        return self.memory[-1] == 1

    def mark(self):
        """The time, and MiB written and read."""
        counts = [self.done(index) for index in range(WRITERS + READERS)]
        return time.monotonic(), sum(counts[:WRITERS]), sum(counts[WRITERS:])


class Timed:
    """The longest operations of one worker, each with its end."""

    def __init__(self):
        self.slow = []

    def __call__(self, operation, *arguments):
        begun = time.monotonic()
        done = operation(*arguments)
        end = time.monotonic()
        self.slow = sorted([*self.slow, (end - begun, end)], reverse=True)[:200]
        return done


def write(shared, folder, index):
    timed, contents = Timed(), {}
    for number in range(1 << 30):
        if shared.is_over():
            break
        path = folder / f"{index}-{number % FILES}"
        with open(path, "wb", buffering=0) as file:
            for block in range(FILE_MIB):
                if timed(file.write, piece(bulk.key(index, number + block), MIB)) != MIB:
                    raise OSError("a short write")
                shared.add(index)
            timed(os.fsync, file.fileno())
        contents[path] = (index, number)
    return timed.slow, contents


def read(shared, paths, index):
    timed, numbers = Timed(), random.Random(index)
    while not shared.is_over():
        number = numbers.randrange(len(paths))
        with open(paths[number], "rb", buffering=0) as file:
            blocks = os.fstat(file.fileno()).st_size // MIB
            first = numbers.randrange(max(1, blocks - READ_MIB))
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # it is read from the servers
            for block in range(first, min(blocks, first + READ_MIB)):
                data = timed(os.pread, file.fileno(), MIB, block * MIB)
                if len(data) != MIB:
                    raise Mismatch(f"a short read of {paths[number]}")
                check(data, bulk.key(number, block), f"MiB {block} of {paths[number]}")
                shared.add(index)
    return timed.slow, {}


def watch(shared, cluster, name, options):
    """Pulls the disk, and watches until all is well. Marks of three moments, and seconds until others."""
    def chunks(*what):
        status = cluster.ask("status")
        done = next((one["done"] for one in status["work"] if one["what"].startswith("healing")), 0)
        return sum(status["chunks"][word] for word in what), done

    try:
        _wait(lambda: all(shared.done(index) for index in range(WRITERS + READERS)), options.limit, "the load")
        begun = shared.mark()
        time.sleep(options.before)
        pulled = shared.mark()
        os.rename(cluster.disk(name), cluster.home / f"{name}-pulled")
        noticed = _wait(lambda: chunks("endangered")[0] > 0, options.limit, "the notice")
        worst = chunks("endangered")[0]

        def is_first():
            endangered, done = chunks("endangered")
            return done > 0 or endangered < worst

        first = _wait(is_first, options.limit, "the first copy")
        _wait(lambda: chunks("endangered", "undergoal", "missing")[0] == 0, options.limit, "the goal of all chunks")
        return begun, pulled, noticed, first, shared.mark()
    finally:
        shared.end()


def _wait(condition, limit_s, what):
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not come within {limit_s} s")
        time.sleep(POLL_S)
    return time.monotonic()


def pull(session, paths, name):
    """Tells all figures; the row fails with the first error of anybody."""
    cluster, options, shared = session.cluster, session.options, Shared()
    folder = session.folder("load")

    def work(index):
        try:
            if index < WRITERS:
                return write(shared, folder, index)
            if index < WRITERS + READERS:
                return read(shared, paths, index)
            return watch(shared, cluster, name, options)
        except Exception:
            shared.end()
            raise

    moved = moved_bytes(cluster)
    answers = workers.together(WRITERS + READERS + 1, work, 3 * options.limit).answers
    begun, pulled, noticed, first, healed = answers.pop()
    time.sleep(COUNTED_S)
    moved = moved_bytes(cluster) - moved
    for what, moment in (("noticed", noticed), ("first", first), ("healed", healed[0])):
        session.tell(what, moment - pulled[0])
    session.tell("moved", moved / 1e6)
    session.tell("rate", moved / 1e6 / (healed[0] - noticed))
    for what, at in (("writes", 1), ("reads", 2)):
        before, since = (rate(*marks, at) for marks in ((begun, pulled), (pulled, healed)))
        session.tell(f"{what}-before", before)
        session.tell(f"{what}-slower", (1 - since / before) * 100)
    slow = [one for slow, _ in answers for one in slow]
    session.tell("longest-before", max((took for took, end in slow if begun[0] < end < pulled[0]), default=0))
    session.tell("longest", max((took for took, end in slow if end >= pulled[0]), default=0))
    cluster.cold_client()
    for _, contents in answers:
        for path, (index, number) in contents.items():
            with open(path, "rb", buffering=0) as file:
                for block in range(FILE_MIB):
                    check(file.read(MIB), bulk.key(index, number + block), f"MiB {block} of {path}")


def rate(before, after, at):
    """MB/s between two marks."""
    return (after[at] - before[at]) * MIB / 1e6 / (after[0] - before[0])


def moved_bytes(cluster):
    return sum(disk["pulledBytes"] for disk in cluster.ask("status")["disks"])
