"""Random reads and writes of 4 KiB in one large file: the client's cache is cold, the servers' is warm.

No page is touched twice. The writes are overwrites, end with an fsync within the timed part, and are read back after a
remount.
"""

import os
import random
from functools import partial

from content import MIB, PAGE, Mismatch, check, piece

READS = 8192  # of one job; a file of 64 MiB and more has room for four
WRITES = 4096


def key(page, generation):
    return page + generation * 1_000_003


def shuffled(session, jobs, each):
    """Pages for each job, without any twice."""
    pages = list(range(session.options.size // 2 * MIB // PAGE))
    random.Random(jobs).shuffle(pages)
    each = min(each, len(pages) // jobs)
    return [pages[job * each : (job + 1) * each] for job in range(jobs)]


def fill(path, session):
    with open(path, "xb", buffering=0) as file:
        for page in range(0, session.options.size // 2 * MIB // PAGE):
            file.write(piece(key(page, 0), PAGE))
        os.fsync(file.fileno())


def read(path, plan, job):
    file = os.open(path, os.O_RDONLY)
    for page in plan[job]:
        if len(os.pread(file, PAGE, page * PAGE)) != PAGE:
            raise OSError("a short read")
    os.close(file)


def write(path, plan, job):
    file = os.open(path, os.O_WRONLY)
    for page in plan[job]:
        if os.pwrite(file, piece(key(page, 1), PAGE), page * PAGE) != PAGE:
            raise OSError("a short write")
    os.fsync(file)
    os.close(file)


def verify(path, session, written):
    with open(path, "rb", buffering=MIB) as file:
        for page in range(session.options.size // 2 * MIB // PAGE):
            found = file.read(PAGE)
            if len(found) != PAGE:
                raise Mismatch(f"the file ends in page {page}")
            check(found, key(page, int(page in written)), f"page {page}")


def group(jobs, session):
    reads, writes = f"randread-{jobs}", f"randwrite-{jobs}"
    with session.row(reads, writes):
        path = session.folder(f"pages-{jobs}") / "file"
        fill(path, session)
        with session.row(reads):
            plan = shuffled(session, jobs, READS)
            session.cluster.cold_client()
            session.cluster.warm_servers()
            seconds = session.measure(jobs, partial(read, path, plan)).check_warm().seconds
            session.tell(reads, sum(map(len, plan)) / seconds)
            verify(path, session, set())
        with session.row(writes):
            plan = shuffled(session, jobs, WRITES)
            session.cluster.cold_client()
            seconds = session.measure(jobs, partial(write, path, plan)).seconds
            session.tell(writes, sum(map(len, plan)) / seconds)
            session.cluster.cold_client()
            verify(path, session, set().union(*plan))


GROUPS = [((f"randread-{jobs}", f"randwrite-{jobs}"), partial(group, jobs)) for jobs in (1, 4)]
