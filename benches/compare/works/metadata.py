"""Empty files created, looked at, listed, renamed and unlinked, in one directory and in fifty, by one process and by four.

Stat and list begin with a cold client, as a program does that comes to a tree; `-again` is the same at once a second
time. List is what `ls -l` does: names and attributes. With four processes each has a quarter of the files, but in
one directory all of them list the same. What rename and unlink left is looked at by a cold client.
"""

import os
from functools import partial
from stat import S_ISREG

from content import Mismatch

WHATS = ("create", "stat", "list", "rename", "unlink")


class Files:
    """The names of one group: whose they are and where."""

    def __init__(self, root, directories, jobs, count):
        self.directories = [root / f"d{number}" for number in range(directories)]
        self.jobs = jobs
        each = count // jobs
        self.names = [[f"f{job}-{n}" for n in range(each)] for job in range(jobs)]
        self.count = each * jobs

    def paths(self, job, prefix=""):
        home = [str(directory) for directory in self.directories]
        return [f"{home[n % len(home)]}/{prefix}{name}" for n, name in enumerate(self.names[job])]

    def lists(self, job):
        return self.directories[job :: self.jobs] if len(self.directories) > 1 else self.directories

    def listed(self):
        """How many entries all jobs see together when each lists its share."""
        return self.count if len(self.directories) > 1 else self.count * self.jobs

    def expect(self, prefix):
        """All names are there with this prefix, and no other; with None the directories are empty."""
        found = {f"{d}/{name}" for d in self.directories for name in os.listdir(d)}
        wanted = set() if prefix is None else {p for job in range(self.jobs) for p in self.paths(job, prefix)}
        if found != wanted:
            raise Mismatch(f"{len(found ^ wanted)} names are wrong of {len(wanted)}")


def create(files, job):
    for path in files.paths(job):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))


def stat(files, job):
    for path in files.paths(job):
        os.stat(path)


def listing(files, job):
    """How many entries it saw, and looked at."""
    return sum(S_ISREG(e.stat(follow_symlinks=False).st_mode) for d in files.lists(job) for e in os.scandir(d))


def rename(files, job):
    for old, new in zip(files.paths(job), files.paths(job, "new-")):
        os.rename(old, new)


def unlink(files, job):
    for path in files.paths(job, "new-"):
        os.unlink(path)


def group(directories, jobs, session):
    name = suffix(directories, jobs)
    files = Files(session.folder(f"metadata{name}"), directories, jobs, session.options.files)
    for directory in files.directories:
        directory.mkdir()

    def timed(what, work, cold, prefix):
        with session.row(what + name):
            if cold:
                session.cluster.cold_client()
            done = session.measure(jobs, partial(work, files))
            count = files.count
            if work is listing:
                count = files.listed()
                if sum(done.answers) != count:
                    raise Mismatch(f"{sum(done.answers)} entries were listed of {count}")
            session.tell(what + name, count / done.seconds)
            if work in (rename, unlink):
                # What this client believes is not what the servers have.
                session.cluster.cold_client()
            files.expect(prefix)

    timed("create", create, False, "")
    timed("stat", stat, True, "")
    timed("stat-again", stat, False, "")
    timed("list", listing, True, "")
    timed("list-again", listing, False, "")
    timed("rename", rename, False, "new-")
    timed("unlink", unlink, False, None)


def suffix(directories, jobs):
    return f"-{directories}dir-{jobs}"


def rows(directories, jobs):
    again = ("stat-again", "list-again") if (directories, jobs) == (50, 1) else ()
    return tuple(what + suffix(directories, jobs) for what in (*WHATS, *again))


GROUPS = [(rows(d, j), partial(group, d, j)) for d in (1, 50) for j in (1, 4)]
