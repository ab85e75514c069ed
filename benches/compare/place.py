"""Where a comparison takes place: one directory on one disk, and one network namespace with an address for each server.

Both systems use the same addresses and the same directories, one system after the other. The namespace is entered with
`nsenter --net`, which leaves the table of mounts alone, so what is mounted from within is seen from without. MooseFS
refuses 127.0.0.0/8 between its daemons; that is why there are other addresses at all.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

MASTER = "10.77.0.1"
PORT_MASTER = 9421  # both systems' clients find their master there
CHUNKSERVERS = ["10.77.0.11", "10.77.0.12", "10.77.0.13", "10.77.0.14"]  # at most so many


class Place:
    """The namespace and the directory; a context, so that neither outlives the run."""

    def __init__(self, parent):
        self.namespace = f"compare-{os.getpid()}"
        self.parent = parent

    def __enter__(self):
        self.root = Path(tempfile.mkdtemp(prefix="compare-", dir=self.parent))
        self.root.chmod(0o755)  # MooseFS's daemons run as a user of their own
        subprocess.run(["ip", "netns", "add", self.namespace], check=True)
        self._ip("link", "set", "lo", "up")
        for address in [MASTER, *CHUNKSERVERS]:
            self._ip("addr", "add", f"{address}/24", "dev", "lo")
        return self

    def __exit__(self, *_):
        subprocess.run(["ip", "netns", "delete", self.namespace], check=False)
        shutil.rmtree(self.root, ignore_errors=True)

    def inside(self, command):
        """The same command, within the namespace and with the same process id."""
        return ["nsenter", f"--net=/run/netns/{self.namespace}", "--", *map(str, command)]

    def device(self):
        """The name of the block device below the directory, as /proc/diskstats has it; None on a tmpfs."""
        number = os.stat(self.root).st_dev
        path = f"/sys/dev/block/{os.major(number)}:{os.minor(number)}"
        return os.path.basename(os.path.realpath(path)) if os.path.exists(path) else None

    def _ip(self, *arguments):
        subprocess.run(["ip", "-n", self.namespace, *arguments], check=True)
