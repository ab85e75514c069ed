"""A real tree (the sources of Python's standard library, or what --tree names) under the tools that people use.

Unpacked, copied, searched with a cold client, committed with git, removed; each compared with the tree on the local
disk outside of the timed part.
"""

import hashlib
import os
import subprocess
from functools import partial
from pathlib import Path

from content import Mismatch

ROWS = ("untar", "cp", "grep", "git", "rm")
WORD = "return"


def local(session):
    """The tree on the local disk and its archive, made once in a run."""
    home = session.cluster.place.root / "tree"
    archive = home.with_suffix(".tar")
    if not archive.exists():
        home.mkdir()
        source = Path(session.options.tree)
        files = sorted(p for p in source.rglob("*.py") if p.is_file() and "site-packages" not in p.parts)
        for path in files:
            target = home / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
        subprocess.run(["tar", "-cf", archive, "-C", home, "."], check=True)
    return home, archive


def digest(root):
    """Of names and bytes."""
    total = hashlib.sha256()
    for directory, below, names in os.walk(root):
        below[:] = sorted(name for name in below if name != ".git")
        for name in sorted(names):
            path = Path(directory) / name
            total.update(f"{path.relative_to(root)}\0".encode())
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def call(*command, job=0):
    subprocess.run([*map(str, command)], check=True, capture_output=True)


def found(root):
    """How many lines hold the word."""
    done = subprocess.run(["grep", "-rhFc", WORD, root], capture_output=True, text=True)
    if done.returncode > 1:
        raise OSError(done.stderr)
    return sum(map(int, done.stdout.split()))


def commit(tree):
    git = ["git", "-C", tree, "-c", "user.name=b", "-c", "user.email=b@b", "-c", "gc.auto=0"]
    call(*git, "init", "-q")
    call(*git, "add", "-A")
    call(*git, "commit", "-qm", "all")
    if subprocess.run([*git, "status", "--porcelain"], check=True, capture_output=True).stdout:
        raise Mismatch("git status is not clean")


def timed(session, row, work):
    done = session.measure(1, lambda _: work())
    session.tell(row, done.seconds)
    return done.answers[0]


def same(session, path, wanted):
    session.cluster.cold_client()
    if digest(path) != wanted:
        raise Mismatch(f"{path.name} is not the tree that was stored")


def group(session):
    with session.row(*ROWS):
        home, archive = local(session)
        wanted = digest(home)
        folder = session.folder("tree")
        unpacked, copied = folder / "unpacked", folder / "copied"
        unpacked.mkdir()
        timed(session, "untar", partial(call, "tar", "-xf", archive, "-C", unpacked))
        same(session, unpacked, wanted)
        with session.row("cp", "grep", "git", "rm"):
            session.cluster.cold_client()
            timed(session, "cp", partial(call, "cp", "-r", unpacked, copied))
            same(session, copied, wanted)
            with session.row("grep"):
                session.cluster.cold_client()
                if timed(session, "grep", partial(found, copied)) != found(home):
                    raise Mismatch("grep found another number of lines")
            with session.row("git"):
                session.cluster.cold_client()
                timed(session, "git", partial(commit, unpacked))
                session.cluster.cold_client()
                call("git", "-C", unpacked, "fsck", "--full", "--strict")
            with session.row("rm"):
                session.cluster.cold_client()
                timed(session, "rm", partial(call, "rm", "-rf", copied))
                if copied.exists():
                    raise Mismatch("the tree is still there")


GROUPS = [(ROWS, group)]
