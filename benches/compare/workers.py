"""Work done by several processes at once, timed from the moment all of them start to the end of the last.

Each worker is a forked process in a group of its own, so that a worker stuck in a filesystem, and what it started, can be
given up without harm to the run. What a worker returns comes back by a pipe.
"""

import os
import pickle
import resource
import select
import signal
import time
from dataclasses import dataclass

LIMIT_S = 120


class Stuck(Exception):
    """The work did not end within the limit; its processes were killed."""


@dataclass
class Outcome:
    """Seconds on the clock, CPU seconds of the workers, and what each of them returned."""

    seconds: float
    cpu_s: float
    answers: list


def together(count, work, limit_s=LIMIT_S):
    """Runs work(0) ... work(count - 1), each in a process of its own."""
    gate_read, gate_write = os.pipe()
    workers = {}  # answer pipe -> pid
    try:
        for index in range(count):
            read, write = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(read)
                os.close(gate_write)
                _child(work, index, gate_read, write)
            os.close(write)
            workers[read] = pid
        os.close(gate_write)  # the end of this pipe is the start
        gate_write = None
        return _collect(list(workers), limit_s)
    finally:
        for read, pid in workers.items():
            _kill(pid)
            os.waitpid(pid, 0)
            os.close(read)
        os.close(gate_read)
        if gate_write is not None:
            os.close(gate_write)


def _child(work, index, gate, answer):
    """The life of a worker; does not return."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.setpgid(0, 0)
    os.read(gate, 1)
    cpu, start = _cpu_s(), time.monotonic()
    try:
        result = (True, work(index))
    except Exception as error:
        result = (False, f"{type(error).__name__}: {error}")
    end = time.monotonic()
    with os.fdopen(answer, "wb") as pipe:
        pickle.dump((start, end, _cpu_s() - cpu, result), pipe)
    os._exit(0)


def _collect(pipes, limit_s):
    deadline = time.monotonic() + limit_s
    parts = {pipe: b"" for pipe in pipes}
    pending = set(pipes)
    while pending:
        ready, _, _ = select.select(list(pending), [], [], max(0, deadline - time.monotonic()))
        if not ready:
            raise Stuck(f"did not end within {limit_s} s")
        for pipe in ready:
            data = os.read(pipe, 1 << 20)
            parts[pipe] += data
            if not data:
                pending.discard(pipe)
    if not all(parts.values()):
        raise RuntimeError("a worker died")
    told = [pickle.loads(parts[pipe]) for pipe in pipes]
    for _, _, _, (good, answer) in told:
        if not good:
            raise RuntimeError(answer)
    seconds = max(end for _, end, _, _ in told) - min(start for start, _, _, _ in told)
    return Outcome(seconds, sum(cpu for _, _, cpu, _ in told), [answer for _, _, _, (_, answer) in told])


def _cpu_s():
    """Of this process and of the children it waited for."""
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses)


def _kill(pid):
    """The worker and what it started. It may have ended, and may not lead its group yet."""
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
