"""One round of one system: what a workload needs to do its work, and the values it leaves.

A workload asks for `measure` around the timed part and for `row` around everything that belongs to one line of the
table. A row that fails is kept as failed, with its reason, and the next one goes on.
"""

import contextlib
import os
import traceback
from dataclasses import dataclass
from pathlib import Path

import workers
from perf import Profile


# As /proc/diskstats has them: places in a line.
SECTORS_READ, FLUSHES = 5, 18
SECTOR_BYTES = 512
# What other programs, and the servers for themselves, may read meanwhile.
WARM_READ_BYTES_MAX = 1 << 20


class NotWarm(Exception):
    """The disk was read although all was to come from memory."""


@dataclass
class Measure:
    """One timed part: CPU seconds of all processes of the cluster and of the workers, flushes of the disk and what was read from it."""

    seconds: float
    cpu_s: float
    flushes: int
    read_bytes: int
    answers: list

    def check_warm(self):
        """The same; an error if the servers had to ask their disk."""
        if self.read_bytes > WARM_READ_BYTES_MAX:
            raise NotWarm(f"{self.read_bytes / 1e6:.1f} MB were read from the disk, although the servers had all in memory")
        return self


class Session:
    def __init__(self, cluster, options, wanted):
        self.cluster = cluster
        self.options = options
        self.wanted = wanted
        self.values = {}  # row -> number
        self.failures = {}  # row -> reason
        self.current = ()  # rows that are being measured
        self.parts = {}  # rows -> timed parts so far
        self.device = cluster.place.device()

    def folder(self, name):
        """A new folder on the mount."""
        path = self.cluster.mountpoint / name
        path.mkdir()
        return path

    def measure(self, count, work):
        """Does work(0) ... work(count - 1) at the same time. What came before is on the disk when it begins."""
        os.sync()
        try:
            with self._profile():
                cpu, disk = self.cluster.cpu_seconds(), self._disk()
                outcome = workers.together(count, work)
                cpu_s = self.cluster.cpu_seconds() - cpu + outcome.cpu_s
                flushes, sectors = (now - before for now, before in zip(self._disk(), disk))
        except workers.Stuck:
            self.cluster.cold_client()
            raise
        return Measure(outcome.seconds, cpu_s, flushes, sectors * SECTOR_BYTES, outcome.answers)

    def _profile(self):
        if self.options.profile is None:
            return contextlib.nullcontext()
        parts = self.parts[self.current] = self.parts.get(self.current, 0) + 1
        return Profile(self.options.profile, f"{self.current[0]}.{parts}")

    def tell(self, row, value):
        if row in self.wanted:
            self.values[row] = value

    def row(self, *rows):
        """A context: an error within is the failure of these rows."""
        return _Rows(self, rows)

    def _disk(self):
        """How many flushes the disk has had, and how many sectors were read from it."""
        if self.device is None:
            return 0, 0
        for line in Path("/proc/diskstats").read_text().splitlines():
            fields = line.split()
            if fields[2] == self.device:
                return int(fields[FLUSHES]), int(fields[SECTORS_READ])
        raise RuntimeError(f"/proc/diskstats does not speak of {self.device}")


class _Rows:
    def __init__(self, session, rows):
        self.session = session
        self.rows = rows

    def __enter__(self):
        self.before, self.session.current = self.session.current, self.rows
        return self

    def __exit__(self, kind, error, trace):
        self.session.current = self.before
        if error is None or not isinstance(error, Exception):
            return False
        place = traceback.extract_tb(trace)[-1]
        reason = f"{kind.__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
        for row in self.rows:
            if row in self.session.wanted:
                self.session.values.pop(row, None)
                self.session.failures[row] = reason
        return True
