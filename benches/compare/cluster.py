"""What both systems have in common: daemons and a mount that are started, watched, remounted and stopped.

A cluster lives for one round: it starts on blank disks and leaves nothing behind. All its processes are children of this
one, in its namespace, at the same priority (MooseFS puts itself at nice -19, so all of them are put there).
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import processes
from place import CHUNKSERVERS, PORT_MASTER

START_LIMIT_S = 60
STOP_LIMIT_S = 60
# A mount namespace that somebody else made meanwhile (a container, a test) holds our mount too, and its process stays
# until that one ends. Nothing is open in it, so nothing is lost with it.
GONE_LIMIT_S = 8
NICE = -19
REPLICAS = 2
LARGE_BYTES = 1 << 20


class Late(RuntimeError):
    """What was waited for did not come within the limit."""


class Cluster:
    """One master, some chunkservers and one mount. Subclasses say what they are called and how they are started."""

    name = ""
    # What `opened` changes, and what it is otherwise.
    hold_offs = ""
    # How long after its start the master heals nothing, unless `opened`.
    settle_s = 0

    def __init__(self, place, servers=3, opened=False):
        self.place = place
        self.addresses = CHUNKSERVERS[:servers]
        self.opened = opened  # healing waits for nothing, and may use all there is
        self.home = place.root / self.name
        self.mountpoint = self.home / "mnt"
        self.children = {}
        self.peaks = {}

    def daemons(self):
        """Makes directories and files; gives (name, command) of each daemon in the order of their start."""
        raise NotImplementedError

    def mount_command(self):
        """The command that mounts and stays in the foreground."""
        raise NotImplementedError

    def complete(self):
        """Whether all chunkservers serve; asked once it is mounted."""
        raise NotImplementedError

    def replicas(self, *paths):
        """How many good replicas each chunk of these files has, as a list; those on a disk that is to go do not count."""
        raise NotImplementedError

    def mark(self, name):
        """Marks the disk of a chunkserver for removal."""
        raise NotImplementedError

    def lacking(self, paths):
        """How many chunks of these files have fewer good replicas than they should."""
        return sum(count < REPLICAS for count in self.replicas(*paths))

    def start(self):
        self.started = time.monotonic()
        self.mountpoint.mkdir(parents=True)
        for name, command in self.daemons():
            self._spawn(name, command)
        self.until("the master", lambda: processes.listens(self.children["master"].pid, PORT_MASTER))
        self.mount()
        self.until("the chunkservers", self.complete)
        self._check_replicas()

    def _check_replicas(self):
        """What is written is stored as often on both systems: else the comparison would be none."""
        probe = self.mountpoint / "probe"
        with open(probe, "wb") as file:
            file.write(bytes(range(256)) * 4096)
            os.fsync(file.fileno())
        found = []

        def twice():
            found[:] = self.replicas(probe)
            return found == [REPLICAS]

        try:
            self.until(f"{REPLICAS} replicas of what was written", twice)
        except RuntimeError as error:
            raise RuntimeError(f"{error}; its chunks have {found}") from None
        probe.unlink()

    def mount(self):
        self._spawn("mount", self.mount_command())
        outside = self.home.stat().st_dev
        self.until("the mount", lambda: self.mountpoint.stat().st_dev != outside)

    def kill(self, name):
        """A daemon ends at once, and stays away."""
        child = self.children.pop(name)
        child.kill()
        child.wait()

    def disk(self, name):
        """The directory that a chunkserver stores in."""
        return self.home / f"{name}-disk"

    def unmount(self):
        """Leaves no mount behind, whatever state it is in."""
        if "mount" not in self.children:
            return
        self.note_memory()
        child = self.children.pop("mount")
        if child.poll() is None and not self._umount():
            child.kill()  # what waits in the mount gets an error
        ended(child, GONE_LIMIT_S)
        while self._umount("-l"):
            pass

    def cold_client(self):
        """Nothing is left in the client's memory; the servers' page cache is as it was."""
        self.unmount()
        self.mount()

    def cold_all(self):
        """Nothing is left in any page cache."""
        self.unmount()
        os.sync()
        Path("/proc/sys/vm/drop_caches").write_text("3")
        self.mount()

    def warm_servers(self):
        """Every file of every chunkserver's disk is in the page cache: one reading by a client warms the replicas that it happened to read."""
        buffer = bytearray(LARGE_BYTES)
        for number in range(1, len(self.addresses) + 1):
            for folder, _, names in os.walk(self.disk(f"cs{number}")):
                for name in names:
                    _read_whole(os.path.join(folder, name), buffer)

    def stop(self):
        self.note_memory()
        self.unmount()
        master = self.children.pop("master", None)
        for child in self.children.values():
            child.send_signal(signal.SIGTERM)
        for child in self.children.values():
            ended(child)
        self.children = {}
        if master is not None:
            master.send_signal(signal.SIGTERM)
            ended(master)
        self._empty()

    def _empty(self):
        """Gives the room of large files back. All files stay until the end of the run: ext4 is slow to make new ones where
        many were removed in the last minutes, and the next system would pay for it."""
        for folder, _, names in os.walk(self.home):
            for name in names:
                path = os.path.join(folder, name)
                if os.lstat(path).st_blocks * 512 >= LARGE_BYTES:
                    os.truncate(path, 0)
        self.home.rename(self.home.with_name(f"{self.name}-{time.monotonic_ns()}"))
        os.sync()

    def cpu_seconds(self):
        """Of all processes that live. A remount begins anew, so it is asked before and after a piece of work."""
        return sum(processes.cpu_seconds(child.pid) for child in self.children.values())

    def note_memory(self):
        """Keeps, for each process, what it holds now and the most it ever held, over all of its mounts."""
        for name, child in self.children.items():
            now, most = processes.memory_mib(child.pid)
            if most > 0:
                self.peaks[name] = (now, max(most, self.peaks.get(name, (0, 0))[1]))

    def log(self, name):
        return self.home / f"{name}.log"

    def _spawn(self, name, command):
        with open(self.log(name), "ab") as log:
            self.children[name] = subprocess.Popen(
                self.place.inside(["nice", "-n", NICE, *command]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C is for us; we stop them in order
            )

    def _umount(self, *options):
        try:
            done = subprocess.run(["umount", *options, self.mountpoint], capture_output=True, timeout=STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def until(self, what, condition, limit_s=START_LIMIT_S, pause_s=0.02):
        """Waits for a condition; an error if it takes longer, or a process ends meanwhile."""
        deadline = time.monotonic() + limit_s
        while True:
            for name, child in self.children.items():
                if child.poll() is not None:
                    text = self.log(name).read_text(errors="replace")[-400:].strip()
                    raise RuntimeError(f"{self.name}: {name} ended with {child.returncode}: {text}")
            if condition():
                return
            if time.monotonic() > deadline:
                raise Late(f"{self.name}: {what} did not come within {limit_s} s")
            time.sleep(pause_s)


def _read_whole(path, buffer):
    """It may go away meanwhile."""
    with contextlib.suppress(FileNotFoundError), open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def ended(child, limit_s=STOP_LIMIT_S):
    """Waits for a process that was asked to end, and insists after a while."""
    try:
        child.wait(limit_s)
    except subprocess.TimeoutExpired:
        print(f"did not end within {limit_s} s and is killed: {' '.join(child.args)}", file=sys.stderr)
        child.kill()
        child.wait()
