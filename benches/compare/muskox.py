"""This project's cluster, started by the commands a user would give."""

import json
import os
import subprocess

from cluster import Cluster
from place import CHUNKSERVERS, MASTER, PORT_MASTER

PORT_CHUNKSERVER = 9422


class Muskox(Cluster):
    name = "muskox"
    binary = os.environ.get("MUSKOX", "muskox")
    master = f"{MASTER}:{PORT_MASTER}"

    def daemons(self):
        yield "master", [
            self.binary, "master", "--listen", self.master, "--data", self._made("master"), "--name", "master", "--insecure",
        ]  # fmt: skip
        for number, address in enumerate(CHUNKSERVERS, 1):
            name = f"cs{number}"
            yield name, [
                self.binary, "chunkserver", "--listen", f"{address}:{PORT_CHUNKSERVER}", "--master", self.master,
                "--data", self._made(name), "--disk", self._made(f"{name}-disk"), "--format", "--name", name, "--insecure",
            ]  # fmt: skip

    def mount_command(self):
        return [self.binary, "mount", self.master, self.mountpoint]

    def complete(self):
        command = self.place.inside([self.binary, "status", "--json", "--master", self.master])
        answer = subprocess.run(command, capture_output=True, text=True)
        try:
            disks = json.loads(answer.stdout)["disks"]
        except (ValueError, KeyError):
            return False
        return len(disks) == len(CHUNKSERVERS)

    def replicas(self, path):
        command = self.place.inside([self.binary, "file", "info", "--json", str(path), "--master", self.master])
        answer = subprocess.run(command, capture_output=True, text=True)
        try:
            chunks = json.loads(answer.stdout)["chunks"]
        except (ValueError, KeyError):
            return []
        return [len(chunk["replicas"]) for chunk in chunks]

    def _made(self, name):
        path = self.home / name
        path.mkdir()
        return path
