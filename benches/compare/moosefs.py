"""MooseFS as Debian ships it: its defaults, but for addresses and directories. Two replicas are its default goal.

It keeps its other defaults too: the changelog is written by a process in the background, no daemon syncs anything, and
what was unlinked stays in the trash for a day.
"""

import os
import shutil
import signal
import subprocess

from cluster import Cluster
from place import MASTER

EMPTY_METADATA = "/var/lib/mfs/metadata.mfs.empty"
USER = "mfs"
# Healing that waits for nothing: of its limits the highest that it takes.
OPENED = """REPLICATIONS_DELAY_INIT = 0
CHUNKS_LOOP_MIN_TIME = 60
CHUNKS_LOOP_MAX_CPS = 1000000
CHUNKS_WRITE_REP_LIMIT = 100
CHUNKS_READ_REP_LIMIT = 100
"""


class MooseFs(Cluster):
    name = "moosefs"
    hold_offs = "REPLICATIONS_DELAY_INIT 0 (default 60 s from the start of the master); it has none after a loss"
    settle_s = 60

    def daemons(self):
        data = self._made("master")
        shutil.copy(EMPTY_METADATA, data / "metadata.mfs")
        shutil.chown(data / "metadata.mfs", USER, USER)
        exports = self._file("mfsexports.cfg", "* / rw,alldirs,admin,maproot=0:0\n* . rw\n")
        hosts = "".join(f"MATO{who}_LISTEN_HOST = {MASTER}\n" for who in ["ML", "CS", "CL"])
        opened = OPENED if self.opened else ""
        config = self._file("mfsmaster.cfg", f"DATA_PATH = {data}\nEXPORTS_FILENAME = {exports}\n{hosts}{opened}")
        yield "master", ["mfsmaster", "-f", "-c", config, "start"]
        for number, address in enumerate(self.addresses, 1):
            name = f"cs{number}"
            disks = self._file(f"{name}.hdd.cfg", f"{self._made(self.disk(name).name)}\n")
            config = self._file(
                f"{name}.cfg",
                f"DATA_PATH = {self._made(name)}\nHDD_CONF_FILENAME = {disks}\nBIND_HOST = {address}\n"
                f"CSSERV_LISTEN_HOST = {address}\nMASTER_HOST = {MASTER}\nMASTER_RECONNECTION_DELAY = 1\n",
            )
            yield name, ["mfschunkserver", "-f", "-c", config, "start"]

    def mount_command(self):
        return ["mfsmount", "-f", "-H", MASTER, self.mountpoint]

    def complete(self):
        """The size of the mount is the sum of what its chunkservers told; each tells most of the one disk below them."""
        whole, disk = os.statvfs(self.mountpoint), os.statvfs(self.home)
        share = whole.f_blocks * whole.f_frsize / (disk.f_bavail * disk.f_frsize)
        return share > len(self.addresses) - 0.5

    def replicas(self, *paths):
        """`mfsfileinfo` has a line for each chunk, and one for each copy of it."""
        answer = subprocess.run(self.place.inside(["mfsfileinfo", *paths]), capture_output=True, text=True)
        counts = []
        for line in answer.stdout.splitlines():
            words = line.split()
            if words[:1] == ["chunk"]:
                counts.append(0)
            elif words[:1] == ["copy"] and counts and "status:VALID" in line:
                counts[-1] += 1
        return counts

    def mark(self, name):
        """An asterisk before the directory, and the chunkserver reads its list anew."""
        self._file(f"{name}.hdd.cfg", f"*{self.disk(name)}\n")
        self.children[name].send_signal(signal.SIGHUP)

    def _made(self, name):
        path = self.home / name
        path.mkdir()
        shutil.chown(path, USER, USER)
        return path

    def _file(self, name, text):
        path = self.home / name
        path.write_text(text)
        return path
