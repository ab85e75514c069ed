"""Healing measured: how long a lost server and a disk that is to go keep chunks below their goal, here and with MooseFS; and what a
disk that is pulled under load costs those who work.

Four chunkservers with one disk each, two replicas. Each row starts its cluster anew on blank disks and writes the data; at its
end the server that went is killed, if it is not, and all data are compared, read by a client that has nothing.
"""

import argparse
import fnmatch
import json
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "compare"))

import machine  # noqa: E402
import table  # noqa: E402
from cluster import REPLICAS, Late  # noqa: E402
from console import heed_signals, interrupted, say  # noqa: E402
from moosefs import MooseFs  # noqa: E402
from muskox import Muskox  # noqa: E402
from place import Place  # noqa: E402
from pull import FIGURES, pull  # noqa: E402
from rows import Row  # noqa: E402
from session import Session  # noqa: E402
from works import bulk  # noqa: E402

SERVERS = 4
GONE = "cs1"
POLL_S = 0.1
LOSS = "a chunkserver is killed, until all chunks are at their goal"
REMOVAL = "a disk is marked for removal, until all chunks are at their goal elsewhere"
# Name, what, the least ratio, and which of the systems wait for nothing and have their limits opened.
CASES = (
    ("loss", f"{LOSS}; both as they come", 0, ()),
    ("loss-at-once", f"{LOSS}; MooseFS as it comes, MuskoxFS without hold-offs", 5, (Muskox,)),
    ("loss-opened", f"{LOSS}; both opened", 2, (MooseFs, Muskox)),
    ("removal", f"{REMOVAL}; both as they come", 5, ()),
    ("removal-opened", f"{REMOVAL}; both opened", 2, (MooseFs, Muskox)),
)
ROWS = {name: Row(name, what, "s", least or None, least, more_is_better=False) for name, what, least, _ in CASES}
OPENED = {name: systems for name, _, _, systems in CASES}
PULL = "pull"


def arguments():
    parser = argparse.ArgumentParser(prog="run", description="How long lost replicas are missed, here and with MooseFS.")
    parser.add_argument("--size", type=int, default=2048, help="MiB of data (default 2048)")
    parser.add_argument("--file", type=int, default=64, help="MiB of each file; a chunk has 64 (default 64)")
    parser.add_argument("--rows", default="*", help=f"rows to measure: {', '.join(ROWS)}, {PULL} (default all)")
    parser.add_argument("--rounds", type=int, default=1, help="rounds of both systems (default 1)")
    parser.add_argument("--limit", type=int, default=420, help="seconds that one event is waited for (default 420)")
    parser.add_argument("--before", type=int, default=15, help="seconds of load before a disk is pulled (default 15)")
    parser.add_argument("--json", metavar="FILE", help="also write every value of every round to this file")
    parser.add_argument("--dir", default="/var/tmp", help="directory on the disk to use (default /var/tmp)")
    chosen = parser.parse_args()
    patterns = chosen.rows.split(",")
    chosen.wanted = [n for n in (*ROWS, PULL) if any(fnmatch.fnmatch(n, pattern) for pattern in patterns)]
    if not chosen.wanted:
        parser.error(f"no row is called {chosen.rows}; there are: {', '.join(ROWS)}, {PULL}")
    if chosen.rounds < 1 or chosen.file < 1 or chosen.size < 4 * chosen.file:
        parser.error("at least 1 round and 4 files of 1 MiB are needed")
    if os.geteuid() != 0:
        parser.error("mounting and the network namespace need root")
    chosen.profile = None
    return chosen


def one(system, name, place, options):
    """One row of one system: a session with its values or its failure."""
    say(f"  {system.name} {name}")
    machine.warm_memory()
    session = Session(system(place, SERVERS, system in OPENED.get(name, ())), options, (name, *FIGURES))
    cluster, files = session.cluster, options.size // options.file
    try:
        with session.row(name):
            cluster.start()
            folder = session.folder("data")
            for file in range(files):
                bulk.write(session, folder, files, file)
            paths = [folder / str(file) for file in range(files)]
            cluster.until("the goal of all chunks", lambda: cluster.lacking(paths) == 0)
            if not cluster.opened:
                settled = cluster.started + cluster.settle_s
                cluster.until("the end of what a start delays", lambda: time.monotonic() > settled, 2 * cluster.settle_s + 1)
            if name == PULL:
                pull(session, paths, GONE)
            else:
                session.tell(name, healed(session, paths, cluster.kill if name.startswith("loss") else cluster.mark))
            if GONE in cluster.children:
                cluster.kill(GONE)
            cluster.cold_client()
            bulk.verify(session, folder, files)
    finally:
        cluster.stop()
    return session


def healed(session, paths, event):
    """Seconds from the event until all chunks have what they should; the limit if it came first."""
    cluster, begun = session.cluster, time.monotonic()
    wait = partial(cluster.until, limit_s=session.options.limit, pause_s=POLL_S)
    event(GONE)
    try:
        wait("that anybody notices", lambda: cluster.lacking(paths) > 0)
        noticed = time.monotonic() - begun
        wait("the goal of all chunks", lambda: cluster.lacking(paths) == 0)
    except Late as late:
        say(f"    {late}: {cluster.lacking(paths)} chunks are below it; the limit stands in the table")
        return session.options.limit
    seconds = time.monotonic() - begun
    if min(cluster.replicas(*paths)) < REPLICAS:
        raise RuntimeError("a chunk is said to be at its goal and is not")
    say(f"    noticed after {noticed:.1f} s, done after {seconds:.1f} s")
    return seconds


def round_of(number, place, options):
    """System -> its values and failures."""
    systems = (MooseFs, Muskox) if number % 2 else (Muskox, MooseFs)
    found = {system.name: {"values": {}, "failures": {}, "memory": {}} for system in systems}
    for name in options.wanted:
        for system in systems if name in ROWS else (Muskox,):
            session = one(system, name, place, options)
            found[system.name]["values"] |= session.values
            found[system.name]["failures"] |= session.failures
    return found


def report(rounds, facts, options):
    """Says it all; returns whether it is what is required."""
    lines = [table.Line(row, rounds) for name, row in ROWS.items() if name in options.wanted]
    for label, fact in facts.items():
        print(f"{label:8} {fact}")
    for system in (MooseFs, Muskox):
        print(f"{system.name:8} without hold-offs: {system.hold_offs}")
    print(f"command  benches/heal/run {' '.join(sys.argv[1:])}".rstrip(), end="\n\n")
    if lines:
        print("\n".join(table.text(lines, {})), end="\n\n")
        low = [line.row.name for line in lines if line.below()]
        print(f"below what is required: {', '.join(low) or 'none'}")
    failed = False
    if PULL in options.wanted:
        for number, values in enumerate(rounds, 1):
            ours = values[Muskox.name]
            failed |= PULL in ours["failures"]
            print(f"\na disk pulled under load, round {number}: {ours['failures'].get(PULL, '')}".rstrip(" :"))
            for name, what in FIGURES.items():
                if name in ours["values"]:
                    print(f"  {ours['values'][name]:8.2f}  {what}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"facts": facts, "rounds": rounds}, file, indent=1)
    return not failed and not any(line.below() or any(line.failures.values()) for line in lines)


def main():
    options = arguments()
    heed_signals(interrupted)
    facts = machine.describe(options.dir, Muskox.binary)
    rounds = []
    try:
        with machine.kept_memory() as facts["memory"], Place(options.dir) as place:
            for number in range(1, options.rounds + 1):
                say(f"round {number} of {options.rounds}")
                rounds.append(round_of(number, place, options))
            heed_signals(signal.SIG_IGN)
            if not report(rounds, facts, options):
                sys.exit(1)
    except KeyboardInterrupt:
        say("interrupted; all is taken away")
        sys.exit(130)


main()
