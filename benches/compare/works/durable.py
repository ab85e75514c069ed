"""What waits for stable storage: 4 KiB appended and fsynced, and SQLite's transactions, one insert each.

They are shown beside what the machine's disk takes for the same append with fdatasync, and beside the flushes that
reached the disk, for a system that answers an fsync without any has not done the same work.
"""

import os
import sqlite3
import statistics
import time
from functools import partial

from content import PAGE, Mismatch, check, piece

APPENDS = 300
TRANSACTIONS = 150


def append(path, sync, _job):
    """Seconds of each append."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    taken = []
    for number in range(APPENDS):
        start = time.monotonic()
        os.write(file, piece(number, PAGE))
        sync(file)
        taken.append(time.monotonic() - start)
    os.close(file)
    return taken


def transactions(path, _job):
    """In the default journal mode, with `synchronous = FULL`, SQLite's defaults."""
    base = sqlite3.connect(path, isolation_level=None)
    for number in range(TRANSACTIONS):
        base.execute("INSERT INTO t VALUES (?, ?)", (number, bytes(piece(number, 100))))
    base.close()


def fsync(session):
    rows = ("fsync", "fsync-flushes", "fdatasync")
    with session.row(*rows):
        own = session.measure(1, partial(append, session.cluster.home / "own", os.fdatasync))
        session.tell("fdatasync", statistics.median(own.answers[0]) * 1e6)
        path = session.folder("fsync") / "file"
        done = session.measure(1, partial(append, path, os.fsync))
        session.tell("fsync", statistics.median(done.answers[0]) * 1e6)
        session.tell("fsync-flushes", done.flushes / APPENDS)
        session.cluster.cold_client()
        with open(path, "rb") as file:
            for number in range(APPENDS):
                check(file.read(PAGE), number, f"append {number}")


def sqlite(session):
    with session.row("sqlite", "sqlite-flushes"):
        path = session.folder("sqlite") / "base"
        base = sqlite3.connect(path)
        base.execute("CREATE TABLE t (number INTEGER PRIMARY KEY, bytes BLOB)")
        base.close()
        done = session.measure(1, partial(transactions, path))
        session.tell("sqlite", TRANSACTIONS / done.seconds)
        session.tell("sqlite-flushes", done.flushes / TRANSACTIONS)
        session.cluster.cold_client()
        base = sqlite3.connect(path)
        sound = base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = base.execute("SELECT number, bytes FROM t ORDER BY number").fetchall()
        base.close()
        if not sound or rows != [(n, bytes(piece(n, 100))) for n in range(TRANSACTIONS)]:
            raise Mismatch("the database does not hold what was committed")


GROUPS = [(("fsync", "fsync-flushes", "fdatasync"), fsync), (("sqlite", "sqlite-flushes"), sqlite)]
