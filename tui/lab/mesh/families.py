"""Metric families whose values follow from time alone, written down in the text files beside this module.

A line of such a file is one of

    gauge VALUE[~SHARE] PREFIX[{LABELS}] NAME...         SHARE: how far it breathes around VALUE
    counter VALUE[+PER_MINUTE] PREFIX[{LABELS}] NAME...
    histogram BOUNDS COUNT[+PER_MINUTE] MEDIAN SIGMA NAME[{LABELS}]     log-normal
    summary MEDIAN COUNT[+PER_MINUTE] NAME

where each NAME goes after PREFIX (`-`: none), a VALUE like `@uptime` is told when the text is made, and a line that
begins with blanks goes on from the one above. Minutes are the lab's.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tui.lab.standin import go_number

_PROXY = (
    *(0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000),
    math.inf,
)
BOUNDS: Mapping[str, Sequence[float]] = {
    "proxy": _PROXY,
    "push": (0.1, 0.5, 1, 3, 5, 10, 20, 30, math.inf),
    "send": (0.01, 0.1, 1, 3, 5, 10, 20, 30, math.inf),
    "size": (1, 10000, 1e6, 4e6, 1e7, 4e7, math.inf),
    "grpc": (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, math.inf),
}
_QUANTILES = (("0", 0.5), ("0.25", 0.8), ("0.5", 1.0), ("0.75", 1.5), ("1", 20.0))


@dataclass(frozen=True)
class LogNormal:
    """How the values of a histogram are spread."""

    median: float
    sigma: float

    @property
    def mean(self) -> float:
        return self.median * math.exp(self.sigma**2 / 2)

    def below(self, bound: float) -> float:
        """The share of values that are not above `bound`."""
        if math.isinf(bound):
            return 1.0
        return 0.5 * (1 + math.erf(math.log(bound / self.median) / (self.sigma * math.sqrt(2))))


@cache
def _shares(spread: LogNormal, bounds: str) -> tuple[tuple[str, float], ...]:
    return tuple((_bound(each), spread.below(each)) for each in BOUNDS[bounds])


def _bound(value: float) -> str:
    return "+Inf" if math.isinf(value) else go_number(float(value))


def histogram_lines(name: str, labels: str, count: int, spread: LogNormal, bounds: str = "proxy") -> list[str]:
    """The samples of a histogram after `count` values; `labels` without braces. Buckets never fall as `count` grows."""
    before = f"{labels}," if labels else ""
    lines = [f'{name}_bucket{{{before}le="{le}"}} {math.floor(count * share)}' for le, share in _shares(spread, bounds)]
    after = f"{{{labels}}}" if labels else ""
    return [*lines, f"{name}_sum{after} {go_number(count * spread.mean)}", f"{name}_count{after} {count}"]


@dataclass(frozen=True)
class _Row:
    """One gauge or counter, or one histogram or summary."""

    name: str
    labels: str  # without braces
    braces: bool
    value: float | str  # the name of one that is told
    per_minute: float = 0.0
    breath: float = 0.0
    bounds: str = ""
    spread: LogNormal = LogNormal(1, 1)


_HEAD = re.compile(r"([^{]*)(?:\{(.*)\})?$")


@cache
def _read(file: str) -> tuple[tuple[str, str, tuple[_Row, ...]], ...]:
    """(family, type, rows) of a file."""
    lines: list[str] = []
    for line in (Path(__file__).parent / file).read_text(encoding="utf-8").splitlines():
        if line.startswith(" "):
            lines[-1] += ("" if lines[-1].endswith(",") else " ") + line.strip()
        elif line and not line.startswith("#"):
            lines.append(line)
    kinds: dict[str, str] = {}
    rows: dict[str, list[_Row]] = {}
    for line in lines:
        kind, *words = line.split()
        for row in _rows(kind, words):
            kinds.setdefault(row.name, kind)
            rows.setdefault(row.name, []).append(row)
    return tuple((name, kind, tuple(rows[name])) for name, kind in kinds.items())


def _rows(kind: str, words: list[str]) -> list[_Row]:
    if kind == "histogram":
        bounds, count, median, sigma, name = words
        head, labels, braces = _split(name)
        value, rate, _ = _amount(count)
        return [_Row(head, labels, braces, value, rate, 0.0, bounds, LogNormal(float(median), float(sigma)))]
    if kind == "summary":
        median, count, name = words
        value, rate, _ = _amount(count)
        return [_Row(name, "", False, value, rate, spread=LogNormal(float(median), 0.5))]
    amount, prefix, *names = words
    value, rate, breath = _amount(amount)
    head, labels, braces = _split("" if prefix == "-" else prefix)
    return [_Row(head + name, labels, braces, value, rate, breath) for name in names]


def _split(name: str) -> tuple[str, str, bool]:
    match = _HEAD.match(name)
    assert match is not None
    return match[1], match[2] or "", match[2] is not None


def _amount(text: str) -> tuple[float | str, float, float]:
    if text.startswith("@"):
        return text[1:], 0.0, 0.0
    value, _, rate = text.partition("+")
    value, _, breath = value.partition("~")
    return float(value), float(rate or 0), float(breath or 0)


class Families:
    """The families of one process: `rng` gives it its own pace and breath."""

    def __init__(self, file: str, rng: random.Random) -> None:
        self._families = _read(file)
        self._pace = rng.uniform(0.7, 1.4)
        self._phase = rng.uniform(0, 2 * math.pi)

    def text(self, minutes: float, told: Mapping[str, float]) -> str:
        """The exposition `minutes` after the process began; `told` are the values that the file leaves open."""
        wave = math.sin(self._phase + minutes / 9)
        grown = minutes * self._pace
        lines: list[str] = []
        for name, kind, rows in self._families:
            lines.append(f"# TYPE {name} {kind}")
            for row in rows:
                if kind == "histogram":
                    count = math.floor(self._value(row, grown, wave, told))
                    lines += histogram_lines(name, row.labels, count, row.spread, row.bounds)
                elif kind == "summary":
                    lines += _summary_lines(row, math.floor(self._value(row, grown, wave, told)))
                else:
                    value = self._value(row, grown, wave, told)
                    whole = kind == "counter" and "seconds" not in name
                    shown = f"{{{row.labels}}}" if row.braces else ""
                    lines.append(f"{name}{shown} {go_number(float(math.floor(value)) if whole else value)}")
        return "\n".join(lines) + "\n"

    @staticmethod
    def _value(row: _Row, grown: float, wave: float, told: Mapping[str, float]) -> float:
        if isinstance(row.value, str):
            return float(told[row.value])
        if row.breath:
            return float(math.floor(row.value * (1 + row.breath * wave)))
        return row.value + row.per_minute * grown


def _summary_lines(row: _Row, count: int) -> list[str]:
    quantiles = [
        f'{row.name}{{quantile="{label}"}} {go_number(row.spread.median * factor)}' for label, factor in _QUANTILES
    ]
    total = go_number(count * row.spread.mean)
    return [*quantiles, f"{row.name}_sum {total}", f"{row.name}_count {count}"]
