"""dbench: the file operations of an office server, by four clients at once. It checks its own sizes and names."""

import re
import subprocess

LOADFILE = "/usr/share/dbench/client.txt"
CLIENTS = 4
SECONDS = 8


def run(folder):
    command = ["dbench", "-c", LOADFILE, "-D", str(folder), "-t", str(SECONDS), str(CLIENTS)]
    done = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"^Throughput ([0-9.]+) MB/sec", done.stdout, re.MULTILINE)
    if done.returncode != 0 or found is None:
        raise OSError(f"dbench: {(done.stdout + done.stderr)[-300:].strip()}")
    return float(found.group(1))


def group(session):
    with session.row("dbench"):
        folder = session.folder("dbench")
        session.tell("dbench", session.measure(1, lambda _: run(folder)).answers[0])


GROUPS = [(("dbench",), group)]
