"""Durations as Go writes them (`90s`, `1h30m`), and as people say them."""

from __future__ import annotations

import re

from tui.i18n import _, ngettext

NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, the micro sign
    "μs": 1_000,  # U+03BC, the Greek letter
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}

_LIMIT = 1 << 63
_PART = re.compile(r"([0-9]*)(?:(\.)([0-9]*))?([^0-9.]*)", re.ASCII)


def parse_ns(text: str) -> int:
    """`text` in nanoseconds, by the rules of Go's time.ParseDuration. ValueError says what is wrong.

    A unit is required except for a bare `0`; signs, fractions and several parts in any order are allowed.
    What does not fit into 64 bits is refused.
    """
    negative = text[:1] == "-"
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0
    if not rest:
        raise ValueError(_("{text!r} is no duration").format(text=text))
    total = 0
    while rest:
        match = _PART.match(rest)
        assert match is not None
        whole, dot, fraction, unit = match.groups()
        if not whole and not fraction:
            raise ValueError(_("{text!r} is no duration").format(text=text))
        if not unit:
            raise ValueError(_("the duration {text!r} lacks a unit, such as s or m").format(text=text))
        if unit not in NANOSECONDS:
            raise ValueError(
                _("{unit!r} in the duration {text!r} is no unit; the units are {units}").format(
                    unit=unit, text=text, units="ns us ms s m h"
                )
            )
        total += int(whole or "0") * NANOSECONDS[unit]
        if dot and fraction:
            total += _fraction(fraction, NANOSECONDS[unit])
        rest = rest[match.end() :]
    if total > _LIMIT or (total == _LIMIT and not negative):
        raise ValueError(_("the duration {text!r} is too long").format(text=text))
    return -total if negative else total


def _fraction(digits: str, unit: int) -> int:
    """The nanoseconds of `.digits` of a unit; like Go in floating point, without the digits that overflow 64 bits."""
    value, scale = 0, 1.0
    for digit in digits:
        if value > (_LIMIT - 1) // 10 or value * 10 + int(digit) > _LIMIT:
            break
        value, scale = value * 10 + int(digit), scale * 10
    return int(value * (unit / scale))


def parse(text: str) -> float:
    """`text` in seconds; see `parse_ns`."""
    return parse_ns(text) / NANOSECONDS["s"]


def exact(seconds: float) -> str:
    """Seconds as Go writes them, without parts that are zero: `1h30m`, `90s` as `1m30s`, `500ms`, `0s`."""
    nanoseconds = round(abs(seconds) * NANOSECONDS["s"])
    parts = []
    for unit in ("h", "m"):
        whole, nanoseconds = divmod(nanoseconds, NANOSECONDS[unit])
        parts += [f"{whole}{unit}"] if whole else []
    if nanoseconds:
        unit = "s"
        if not parts:
            unit = next(u for u in ("s", "ms", "us", "ns") if nanoseconds >= NANOSECONDS[u])
        size = NANOSECONDS[unit]
        fraction = f"{nanoseconds % size:0{len(str(size)) - 1}d}".rstrip("0") if nanoseconds % size else ""
        parts.append(f"{nanoseconds // size}{'.' + fraction if fraction else ''}{unit}")
    return ("-" if seconds < 0 and parts else "") + ("".join(parts) or "0s")


def about(seconds: float) -> str:
    """An estimate for people: `about 40 s`, `about 19 min`, `about 2.5 h`."""
    if seconds < 1:
        return _("less than a second")
    if seconds < 90:
        return _("about {n} s").format(n=round(seconds))
    if seconds < 90 * 60:
        return _("about {n} min").format(n=round(seconds / 60))
    if seconds < 36 * 3600:
        return _("about {n} h").format(n=f"{seconds / 3600:.1f}".removesuffix(".0"))
    days = round(seconds / 86400)
    return ngettext("about {n} day", "about {n} days", days).format(n=days)
