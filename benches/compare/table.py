"""Medians, ratios and the verdict, as text and as JSON.

A result is a list of rounds; a round maps a system's name to its values, failures and memory. A row that failed in any
round of a system is shown as failed for it: a speed that comes with failures is no speed.
"""

import math
import statistics

from rows import BESIDE, MEAN, ROWS

SYSTEMS = ("moosefs", "muskox")


class Line:
    """One row over all rounds."""

    def __init__(self, row, rounds):
        self.row = row
        self.values = {s: [r[s]["values"].get(row.name) for r in rounds] for s in SYSTEMS}
        told = {s: [r[s]["failures"].get(row.name) for r in rounds] for s in SYSTEMS}
        self.failures = {s: next(filter(None, told[s]), None) for s in SYSTEMS}
        self.medians = {s: self._median(s) for s in SYSTEMS}
        self.ratio = self._ratio(*(self.medians[s] for s in SYSTEMS))
        each = [self._ratio(*pair) for pair in zip(*(self.values[s] for s in SYSTEMS))]
        self.range = (min(each), max(each)) if each and None not in each else None

    def _median(self, system):
        values = self.values[system]
        return statistics.median(values) if values and None not in values else None

    def _ratio(self, moosefs, muskox):
        if moosefs is None or muskox is None or self.row.name in BESIDE:
            return None
        return self.row.ratio(moosefs, muskox)

    def below(self):
        """Whether the row is below what is required of it."""
        return self.row.name not in BESIDE and (self.ratio is None or self.ratio < self.row.floor)

    def as_json(self):
        names = ("values", "failures", "medians", "ratio", "range")
        return {"what": self.row.what, "unit": self.row.unit, **{name: getattr(self, name) for name in names}}


def lines(rounds, wanted):
    return [Line(row, rounds) for name, row in ROWS.items() if name in wanted]


def mean(table):
    """Of the counted rows that have a ratio; None if there are none."""
    good = [line.ratio for line in table if line.row.counted and line.ratio is not None]
    return math.exp(statistics.fmean(map(math.log, good))) if good else None


def passes(table):
    """Whether no row failed and none is below what is required; the mean is judged where all counted rows are there."""
    if any(reason for line in table for reason in line.failures.values()):
        return False
    counted = [line for line in table if line.row.counted]
    whole = len(counted) == sum(row.counted for row in ROWS.values())
    low = any(line.below() and not line.row.excuse for line in counted)
    return not low and not (whole and mean(table) < MEAN)


def verdict(table):
    """Sentences: what is required of the whole."""
    counted = [line for line in table if line.row.counted]
    good = sum(line.ratio is not None for line in counted)
    if good:
        yield f"geometric mean of {good} of {len(counted)} counted rows: {mean(table):.2f} (required: {MEAN})"
    failed = ", ".join(line.row.name for line in counted if line.ratio is None)
    if failed:
        yield f"FAILED, so that the mean says nothing: {failed}"
    for excused in (False, True):
        low = [line for line in counted if line.below() and bool(line.row.excuse) == excused]
        names = ", ".join(f"{line.row.name} {_number(line.ratio)} (of {line.row.floor})" for line in low)
        yield f"below what is required{', with an excuse' if excused else ''}: {names or 'none'}"
    behind = [line for line in counted if line.row.goal and not line.below() and line.ratio < line.row.goal]
    names = ", ".join(f"{line.row.name} {_number(line.ratio)} (of {line.row.goal})" for line in behind)
    yield f"below its goal only: {names or 'none'}"
    beside = [line for line in table if not line.row.counted and line.row.goal]
    low = [line for line in beside if line.ratio is None or line.ratio < line.row.goal]
    names = ", ".join(f"{line.row.name} {_number(line.ratio)} (of {line.row.goal})" for line in low)
    yield f"not counted, and below its goal: {names or 'none'}"


def text(table, memory):
    """The table as Markdown, as it stands in the README."""
    yield "| row | work | unit | MooseFS | MuskoxFS | ratio | rounds | goal |"
    yield "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for line in table:
        row = line.row
        cells = [_cell(line, system) for system in SYSTEMS]
        spread = "-".join(map(_number, line.range)) if line.range else ""
        ratio = "" if row.name in BESIDE else _number(line.ratio) + (" **low**" if line.below() else "")
        yield f"| {row.name} | {row.what} | {row.unit} | {' | '.join(cells)} | {ratio} | {spread} | {row.goal or ''} |"
    for line in table:
        for system, reason in line.failures.items():
            if reason:
                yield f"\n{line.row.name} failed on {system}: {reason}"
    if not any(memory.values()):
        return
    yield ""
    yield "| resident memory at the end (at most), MiB | " + " | ".join(SYSTEMS) + " |"
    yield "| --- | ---: | ---: |"
    for name in next(iter(memory.values()), {}):
        cells = [f"{memory[s][name][0]:.0f} ({memory[s][name][1]:.0f})" if name in memory[s] else "" for s in SYSTEMS]
        yield f"| {name} | {' | '.join(cells)} |"


def memories(rounds):
    """System -> process -> medians over the rounds."""
    found = {}
    for system in SYSTEMS:
        told = [r[system]["memory"] for r in rounds if r[system]["memory"]]
        names = [name for name in (told[0] if told else {}) if all(name in t for t in told)]
        found[system] = {n: [statistics.median(t[n][part] for t in told) for part in (0, 1)] for n in names}
    return found


def _cell(line, system):
    return "failed" if line.failures[system] else _number(line.medians[system])


def _number(value):
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"
