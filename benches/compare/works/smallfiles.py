"""Files of 4 KiB: created, written and closed; then read with nothing in any cache."""

import os
from functools import partial

from content import PAGE, Mismatch, check, piece


def paths(folder, job, each):
    return [f"{folder}/{job}-{number}" for number in range(each)]


def write(folder, each, job):
    for number, path in enumerate(paths(folder, job, each)):
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        os.write(file, piece(job * each + number, PAGE))
        os.close(file)


def read(folder, each, job):
    """What was read, to be compared later."""
    found = []
    for path in paths(folder, job, each):
        file = os.open(path, os.O_RDONLY)
        found.append(os.read(file, PAGE + 1))
        os.close(file)
    return found


def group(jobs, session):
    writes, reads = f"small-write-{jobs}", f"small-read-{jobs}"
    with session.row(writes, reads):
        folder = session.folder(f"small-{jobs}")
        each = session.options.files // 2 // jobs
        seconds = session.measure(jobs, partial(write, folder, each)).seconds
        session.tell(writes, each * jobs / seconds)
        with session.row(reads):
            session.cluster.cold_all()
            done = session.measure(jobs, partial(read, folder, each))
            session.tell(reads, each * jobs / done.seconds)
            for number, found in enumerate(f for answer in done.answers for f in answer):
                if len(found) != PAGE:
                    raise Mismatch(f"small file {number} has {len(found)} bytes")
                check(found, number, f"small file {number}")


GROUPS = [((f"small-write-{jobs}", f"small-read-{jobs}"), partial(group, jobs)) for jobs in (1, 4)]
