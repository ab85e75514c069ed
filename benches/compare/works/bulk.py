"""Large files in order: written with fsync at the end, read with nothing cached, read with the servers' caches warm.

The bytes are compared after each reading, outside of the timed part. With four jobs each has a quarter of the bytes.
"""

import os
from functools import partial

from content import MIB, check, piece


def blocks(session, jobs):
    """MiB for each job."""
    return max(1, session.options.size // jobs)


def key(job, block):
    return job * 100_003 + block


def write(session, folder, jobs, job):
    with open(folder / str(job), "xb", buffering=0) as file:
        for block in range(blocks(session, jobs)):
            if file.write(piece(key(job, block), MIB)) != MIB:
                raise OSError("a short write")
        os.fsync(file.fileno())


def read(folder, job):
    buffer = bytearray(MIB)
    with open(folder / str(job), "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def verify(session, folder, jobs):
    for job in range(jobs):
        with open(folder / str(job), "rb", buffering=0) as file:
            for block in range(blocks(session, jobs)):
                check(file.read(MIB), key(job, block), f"MiB {block} of file {job}")


def group(jobs, session):
    folder = session.folder(f"bulk-{jobs}")
    total = blocks(session, jobs) * jobs * MIB
    rows = {what: f"{what}-{jobs}" for what in ("write", "read-cold", "read-warm")}

    def tell(measure, row, cpu_row=None):
        session.tell(row, total / 1e6 / measure.seconds)
        if jobs == 1 and cpu_row is not None:
            session.tell(cpu_row, measure.cpu_s / (total / (1 << 30)))

    with session.row(*rows.values(), "write-cpu", "read-cpu"):
        tell(session.measure(jobs, partial(write, session, folder, jobs)), rows["write"], "write-cpu")
        with session.row(rows["read-cold"]):
            session.cluster.cold_all()
            tell(session.measure(jobs, partial(read, folder)), rows["read-cold"])
            verify(session, folder, jobs)
        with session.row(rows["read-warm"], "read-cpu"):
            session.cluster.cold_client()
            session.cluster.warm_servers()
            tell(session.measure(jobs, partial(read, folder)).check_warm(), rows["read-warm"], "read-cpu")
            verify(session, folder, jobs)


GROUPS = [
    (("write-1", "read-cold-1", "read-warm-1", "write-cpu", "read-cpu"), partial(group, 1)),
    (("write-4", "read-cold-4", "read-warm-4"), partial(group, 4)),
]
