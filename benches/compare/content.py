"""Bytes whose every place is known: what is written can be compared after it was read, whatever the order of the writes.

All of it comes from one pool of random bytes made from a seed, so nothing is held per file and nothing compresses away.
"""

import random

MIB = 1 << 20
PAGE = 4096
POOL = random.Random(7).randbytes(17 * MIB)
STARTS = 16 * MIB // PAGE  # a piece of up to 1 MiB may start at each of these pages of the pool


def piece(key, length):
    """The bytes called `key`: another part of the pool for another key, as far as there are parts."""
    start = key * 2654435761 % STARTS * PAGE
    return memoryview(POOL)[start : start + length]


class Mismatch(Exception):
    """What was read is not what was written."""


def check(found, key, where):
    if found != piece(key, len(found)) or len(found) == 0:
        raise Mismatch(f"{where} does not hold what was written")
