"""This project's cluster, started by the commands a user would give."""

import json
import os
import subprocess

from cluster import Cluster
from place import MASTER, PORT_MASTER

PORT_CHUNKSERVER = 9422
AT_ONCE = "".join(f"heal-after{which}-seconds = 0\n" for which in ("", "-endangered", "-together"))


class Muskox(Cluster):
    name = "muskox"
    binary = os.environ.get("MUSKOX", "muskox")
    master = f"{MASTER}:{PORT_MASTER}"
    hold_offs = "heal-after-endangered 0 (default 10 s), heal-after 0 (60 s)"

    def daemons(self):
        config = self.home / "muskox.toml"
        config.write_text(f"[master]\n{AT_ONCE if self.opened else ''}")
        yield "master", [
            self.binary, "master", "--config", config, "--listen", self.master, "--data", self._made("master"),
            "--name", "master", "--insecure",
        ]  # fmt: skip
        for number, address in enumerate(self.addresses, 1):
            name = f"cs{number}"
            yield name, [
                self.binary, "chunkserver", "--listen", f"{address}:{PORT_CHUNKSERVER}", "--master", self.master,
                "--data", self._made(name), "--disk", self._made(self.disk(name).name), "--format", "--name", name, "--insecure",
            ]  # fmt: skip

    def mount_command(self):
        return [self.binary, "mount", self.master, self.mountpoint]

    def ask(self, *words):
        """The answer of a command as JSON; an empty one if it has none."""
        command = self.place.inside([self.binary, *words, "--json", "--master", self.master])
        answer = subprocess.run(command, capture_output=True, text=True)
        try:
            return json.loads(answer.stdout)
        except ValueError:
            return {}

    def complete(self):
        return len(self.ask("status").get("disks", [])) == len(self.addresses)

    def replicas(self, *paths):
        going = {disk["path"] for disk in self.ask("status").get("disks", []) if disk["removal"]}
        chunks = [chunk for path in paths for chunk in self.ask("file", "info", path).get("chunks", [])]
        return [sum(one["diskPath"] not in going for one in chunk["replicas"]) for chunk in chunks]

    def lacking(self, paths):
        """Of all files: there are no others, and one question is enough."""
        chunks = self.ask("status").get("chunks", {})
        return sum(chunks[what] for what in ("missing", "endangered", "undergoal", "leaving")) if chunks else 1

    def mark(self, name):
        self.ask("disk", "remove", f"{name}:{self.disk(name)}")

    def _made(self, name):
        path = self.home / name
        path.mkdir()
        return path
