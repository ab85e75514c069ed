"""The comparison from beginning to end: rounds in which both systems, one after the other, do all chosen work.

Each round starts each system anew on blank disks, so that no round inherits another's fragmentation, trash or caches,
and only one of them runs at a time; which one is first changes with each round. Everything is taken away at the end, also after a Ctrl-C.
"""

import argparse
import fnmatch
import json
import os
import shutil
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
    parser.add_argument("--rounds", type=int, help="rounds of both systems (default 3; a profile is of one)")
    parser.add_argument("--size", type=int, default=512, help="MiB of the sequential work (default 512)")
    parser.add_argument("--files", type=int, default=2000, help="files of the work on names (default 2000)")
    parser.add_argument("--rows", default="*", help="rows to measure, by name, with * and commas (default all)")
    parser.add_argument("--json", metavar="FILE", help="also write every value of every round to this file")
    parser.add_argument("--profile", metavar="DIR", help="MuskoxFS alone, one round, and a profile of each timed part in this empty or new directory")
    parser.add_argument("--dir", default="/var/tmp", help="directory on the disk to use (default /var/tmp)")
    parser.add_argument("--tree", default=sysconfig.get_path("stdlib"), help="source tree (default: Python's library)")
    chosen = parser.parse_args()
    patterns = chosen.rows.split(",")
    chosen.wanted = [name for name in ROWS if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]
    if not chosen.wanted:
        parser.error(f"no row is called {chosen.rows}; there are: {', '.join(ROWS)}")
    if chosen.profile is not None:
        refuse_profile(parser, chosen)
    if chosen.rounds is None:
        chosen.rounds = 3 if chosen.profile is None else 1
    if chosen.rounds < 1 or chosen.size < 8 or chosen.files < 200:
        parser.error("at least 1 round, 8 MiB and 200 files are needed")
    if os.geteuid() != 0:
        parser.error("mounting and the network namespace need root")
    return chosen


def refuse_profile(parser, chosen):
    """What would give no profile, or one that is mixed with another, is refused before anything is started."""
    if shutil.which("perf") is None:
        parser.error("--profile needs perf, which is not installed: apt-get install linux-perf")
    if chosen.rounds not in (None, 1):
        parser.error(f"a profile is of one round: leave out --rounds {chosen.rounds}")
    if os.path.isdir(chosen.profile) and os.listdir(chosen.profile):
        parser.error(f"{chosen.profile} has files in it, which would be taken for this profile's: name an empty directory")


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


def report_profile(rounds, options):
    """Says where the time went, and which rows have none to tell of; returns whether there are none of these."""
    print(summary(options.profile))
    failures = rounds[0][Muskox.name]["failures"]
    for row, reason in failures.items():
        print(f"FAILED {row}: {reason}")
    return not failures


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
            passed = report(rounds, facts, options) if options.profile is None else report_profile(rounds, options)
            if not passed:
                sys.exit(1)
    except KeyboardInterrupt:
        say("interrupted; all is taken away")
        sys.exit(130)


main()
