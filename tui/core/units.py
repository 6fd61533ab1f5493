"""Numbers with their units as a person reads them: in the panels of a view, and along the axes of its charts.

Units are the keys of `view_schema.UNITS`.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from tui.i18n import _

_BYTES = ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B"))
_NUMBERS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1.0, ""))  # five digits are still read at a glance
_WHOLE = frozenset({"count", "times"})  # no half of them on an axis
_SECONDS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
# How far apart the times on an axis may be, in seconds.
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


@dataclass(frozen=True)
class Scale:
    """Shown number = value / `factor`, followed by `word`."""

    factor: float
    word: str


def scale(value: float, unit: str) -> Scale:
    """In what a value of this size is shown."""
    size = abs(value)
    if unit in ("bytes", "bytes/s"):
        factor, word = next(((f, w) for f, w in _BYTES if size >= f), _BYTES[-1])
        return Scale(factor, word + ("/s" if unit == "bytes/s" else ""))
    if unit in ("percent", "fraction"):
        return Scale(0.01 if unit == "fraction" else 1.0, "%")
    if unit in ("seconds", "milliseconds", "days"):
        base = {"seconds": 1.0, "milliseconds": 1e3, "days": 1 / 86400}[unit]
        if not size:
            return Scale(1.0, {"seconds": "s", "milliseconds": "ms", "days": "d"}[unit])
        factor, word = next(((f, w) for f, w in _SECONDS if size / base >= f), _SECONDS[-1])
        return Scale(factor * base, word)
    factor, word = next(((f, w) for f, w in _NUMBERS if size >= f), _NUMBERS[-1])
    if unit == "millicores":
        return Scale(1000.0, _("cores")) if size >= 1000 else Scale(1.0, "m")
    more = {"cores": _("cores"), "requests/s": _("req/s"), "operations/s": _("ops/s")}.get(unit, "")
    return Scale(factor, f"{word} {more}".strip() if more else word)


def number(value: float) -> str:
    """A number in few digits: three that count, and all of those before the point."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    places = min(max(2 - math.floor(math.log10(size)), 0), 6)
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def shown(value: float, unit: str) -> str:
    """A value with its unit: 1572864 bytes are "1.5 MiB", 0.25 as a fraction is "25%"."""
    found = scale(value, unit)
    if found.word == "%" and 90 < value / found.factor < 100:  # where a hundredth counts; what lacks any is not 100
        return f"{math.floor(value / found.factor * 100) / 100:.4g}%"
    if found.word in ("%", "m", "T", "G", "M"):
        return number(value / found.factor) + found.word
    return f"{number(value / found.factor)} {found.word}".strip()


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high`, with (value, text) marks; `word` is the unit of all its texts."""

    low: float
    high: float
    marks: tuple[tuple[float, str], ...]
    word: str = ""


def axis(low: float, high: float, unit: str, most: int) -> Axis:
    """A vertical axis for values between `low` and `high` with at most `most` (and at least two) marks at round
    numbers. It begins at zero unless the values lie far from it.
    """
    if high - low <= 1e-9 * max(abs(low), abs(high)) or high - low < 1e-12:
        high = low = 0.0 if abs(low) < 1e-12 else low
    if low >= 0 and (low < 0.75 * high or low == high):
        low = 0.0
    if high <= 0 and low == high:
        high = 0.0
    if low == high:
        high = low + 1.0
    found = scale(max(abs(low), abs(high)), unit)
    least = found.factor if unit in _WHOLE and found.factor == 1 else 0.0
    step = max(_round_step((high - low) / found.factor / max(most - 1, 1)) * found.factor, least)
    while math.ceil(round(high / step, 9)) - math.floor(round(low / step, 9)) + 1 > max(most, 2):
        step = _round_step(step / found.factor * 1.01) * found.factor
    first, last = math.floor(round(low / step, 9)), math.ceil(round(high / step, 9))
    places = _places(step / found.factor)
    if places > 2 and found.factor > 1 and unit not in ("bytes", "bytes/s"):  # 1.23450 M is no easier than 1,234,500
        found, places = Scale(1.0, found.word.lstrip("TGM ")), _places(step)
    marks = tuple((at * step, f"{at * step / found.factor:,.{places}f}") for at in range(first, last + 1))
    return Axis(marks[0][0], marks[-1][0], marks, found.word)


def _places(step: float) -> int:
    """How many digits after the point tell multiples of a round step apart."""
    return max(0, -math.floor(math.log10(step) + 1e-9))


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is at least this."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= least * 0.999999)


def time_axis(start_ms: float, end_ms: float, most: int) -> Axis:
    """A horizontal axis of local time with at most `most` marks at round times."""
    span = max((end_ms - start_ms) / 1000, 1.0)
    step = next((step for step in _STEPS if span / step <= most), _STEPS[-1] * math.ceil(span / most / _STEPS[-1]))
    form = "%H:%M:%S" if step < 60 else "%H:%M" if step < 86400 else "%m-%d"
    offset = time.localtime(end_ms / 1000).tm_gmtoff or 0
    at = math.ceil((start_ms / 1000 + offset) / step) * step - offset
    marks = []
    while at * 1000 <= end_ms:
        marks.append((at * 1000.0, time.strftime(form, time.localtime(at))))
        at += step
    return Axis(start_ms, end_ms, tuple(marks))
