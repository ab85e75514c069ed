"""The comparison from beginning to end: rounds in which both systems, one after the other, do all chosen work.

Each round starts each system anew on blank disks, so that no round inherits another's fragmentation, trash or caches,
and only one of them runs at a time; which one is first changes with each round. Everything is taken away at the end, also after a Ctrl-C.
"""

import argparse
import fnmatch
import json
import os
import signal
import sys
import sysconfig

import machine
import table
from console import heed_signals, interrupted, say
from moosefs import MooseFs
from muskox import Muskox
from perf import summary
from place import Place
from rows import ROWS
from session import Session
from works import GROUPS


def arguments():
    parser = argparse.ArgumentParser(prog="run", description="MuskoxFS beside MooseFS: the same work on both, in turn.")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of both systems (default 3)")
    parser.add_argument("--size", type=int, default=512, help="MiB of the sequential work (default 512)")
    parser.add_argument("--files", type=int, default=2000, help="files of the work on names (default 2000)")
    parser.add_argument("--rows", default="*", help="rows to measure, by name, with * and commas (default all)")
    parser.add_argument("--json", metavar="FILE", help="also write every value of every round to this file")
    parser.add_argument("--profile", metavar="DIR", help="MuskoxFS alone, and a profile of each timed part in this directory")
    parser.add_argument("--dir", default="/var/tmp", help="directory on the disk to use (default /var/tmp)")
    parser.add_argument("--tree", default=sysconfig.get_path("stdlib"), help="source tree (default: Python's library)")
    chosen = parser.parse_args()
    patterns = chosen.rows.split(",")
    chosen.wanted = [name for name in ROWS if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]
    if not chosen.wanted:
        parser.error(f"no row is called {chosen.rows}; there are: {', '.join(ROWS)}")
    if chosen.rounds < 1 or chosen.size < 8 or chosen.files < 200:
        parser.error("at least 1 round, 8 MiB and 200 files are needed")
    if os.geteuid() != 0:
        parser.error("mounting and the network namespace need root")
    return chosen


def one(system, place, options):
    """A system's part of a round."""
    machine.warm_memory()
    session = Session(system(place), options, options.wanted)
    try:
        with session.row(*options.wanted):
            session.cluster.start()
            for rows, group in GROUPS:
                if set(rows) & set(options.wanted):
                    say(f"  {session.cluster.name} {rows[0]}")
                    group(session)
    finally:
        session.cluster.stop()
    return {"values": session.values, "failures": session.failures, "memory": session.cluster.peaks}


def report(rounds, facts, options):
    """Says it all; returns whether it is what is required."""
    lines = table.lines(rounds, options.wanted)
    memory = table.memories(rounds)
    for label, fact in facts.items():
        print(f"{label:8} {fact}")
    print(f"command  benches/compare/run {' '.join(sys.argv[1:])}".rstrip(), end="\n\n")
    print("\n".join(table.text(lines, memory)), end="\n\n")
    print("\n".join(table.verdict(lines)), flush=True)
    if options.json:
        whole = {"facts": facts, "rows": {line.row.name: line.as_json() for line in lines}, "memory": memory}
        with open(options.json, "w") as file:
            json.dump(whole, file, indent=1)
    return table.passes(lines)


def main():
    options = arguments()
    heed_signals(interrupted)
    facts = machine.describe(options.dir, Muskox.binary)
    rounds = []
    try:
        with machine.kept_memory() as facts["memory"], Place(options.dir) as place:
            for number in range(1, options.rounds + 1):
                say(f"round {number} of {options.rounds}")
                systems = (MooseFs, Muskox) if number % 2 else (Muskox, MooseFs)
                systems = systems if options.profile is None else (Muskox,)
                rounds.append({system.name: one(system, place, options) for system in systems})
            heed_signals(signal.SIG_IGN)
            if options.profile is not None:
                print(summary(options.profile))
            elif not report(rounds, facts, options):
                sys.exit(1)
    except KeyboardInterrupt:
        say("interrupted; all is taken away")
        sys.exit(130)


main()
