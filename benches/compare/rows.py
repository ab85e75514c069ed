"""The rows of the table: what each measures, in which unit, and the ratio to MooseFS it is to reach.

`goal` is where we want to be, `floor` what is required; without a floor of its own a row must not fall below FLOOR.
`counted` rows enter the geometric mean. A row may fall below its floor for one `excuse`: MooseFS answered from a cache
that may be stale, or acknowledged what had not reached a disk. A row with a floor of its own has none.
"""

from dataclasses import dataclass

FLOOR = 0.8
MEAN = 1.5
UNSYNCED = "MooseFS's fsync reaches no disk"
CACHE = "MooseFS's cache may be stale"


@dataclass(frozen=True)
class Row:
    name: str
    what: str
    unit: str
    goal: float | None = None
    floor: float = FLOOR
    more_is_better: bool = True
    counted: bool = True
    excuse: str | None = None

    def ratio(self, moosefs, muskox):
        """Above 1: this system is faster."""
        above, below = (muskox, moosefs) if self.more_is_better else (moosefs, muskox)
        return above / below if below > 0 and above > 0 else None


def _rows():
    for jobs, text in ((1, "1 job"), (4, "4 jobs")):
        yield Row(f"write-{jobs}", f"sequential write, fsync at the end, {text}", "MB/s", 1.8, 1.4)
        yield Row(f"read-cold-{jobs}", f"sequential read, client and servers cold, {text}", "MB/s", 2)
        yield Row(f"read-warm-{jobs}", f"sequential read, client cold, servers warm, {text}", "MB/s", 2.5, 1.7)
    yield Row("write-cpu", "CPU of all processes, sequential write", "s/GiB", 2.2, more_is_better=False)
    yield Row("read-cpu", "CPU of all processes, sequential read, servers warm", "s/GiB", 2.5, more_is_better=False)
    for jobs, text, goal in ((1, "1 job", 3), (4, "4 jobs", 4)):
        yield Row(f"randread-{jobs}", f"4 KiB random read, servers warm, {text}", "op/s", goal)
        yield Row(f"randwrite-{jobs}", f"4 KiB random write, fsync at the end, {text}", "op/s", 5, excuse=UNSYNCED)
    for directories, where in ((1, "one directory"), (50, "50 directories")):
        for jobs, who in ((1, "1 process"), (4, "4 processes")):
            place = f"{where}, {who}"
            end = f"-{directories}dir-{jobs}"
            yield Row(f"create{end}", f"create, {place}", "op/s", 1.5 if jobs == 1 else 2)
            yield Row(f"stat{end}", f"stat, client cold, {place}", "op/s")
            yield Row(f"list{end}", f"list with attributes, client cold, {place}", "op/s")
            yield Row(f"rename{end}", f"rename, {place}", "op/s", 1.3)
            yield Row(f"unlink{end}", f"unlink, {place}", "op/s", 1.3)
    yield Row("stat-again-50dir-1", "stat again, 50 directories, 1 process", "op/s", 10, counted=False, excuse=CACHE)
    yield Row("list-again-50dir-1", "list again, 50 directories, 1 process", "op/s", 10, counted=False, excuse=CACHE)
    for jobs, who in ((1, "1 process"), (4, "4 processes")):
        yield Row(f"small-write-{jobs}", f"4 KiB files written, {who}", "op/s", 4)
        yield Row(f"small-read-{jobs}", f"4 KiB files read, all cold, {who}", "op/s", 3)
    yield Row("untar", "tar -x of a source tree", "s", 4, more_is_better=False)
    yield Row("cp", "cp -r of the tree", "s", 4, more_is_better=False)
    yield Row("grep", "grep -r in the tree, client cold", "s", more_is_better=False)
    yield Row("git", "git init, add, commit, status", "s", 2.5, more_is_better=False, excuse=UNSYNCED)
    yield Row("rm", "rm -rf of the tree", "s", more_is_better=False)
    yield Row("dbench", "dbench, 4 clients", "MB/s", excuse=UNSYNCED)
    yield Row("fsync", "4 KiB append + fsync", "us", 1.5, more_is_better=False, counted=False, excuse=UNSYNCED)
    yield Row("fsync-flushes", "flushes of the disk for each of them", "", counted=False)
    yield Row("fdatasync", "the same on the local disk, with fdatasync", "us", counted=False)
    yield Row("sqlite", "SQLite transactions, one insert each", "1/s", 3, counted=False, excuse=UNSYNCED)
    yield Row("sqlite-flushes", "flushes of the disk for each of them", "", counted=False)


ROWS = {row.name: row for row in _rows()}
BESIDE = ("fsync-flushes", "fdatasync", "sqlite-flushes")  # shown for both, but no race
