"""Timestamps as the API writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

_MICRO = "2006-01-02T15:04:05.000000Z07:00"  # the form that Go reads and writes


def now() -> str:
    """The time now as `metav1.Time` writes it: RFC 3339 in UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """A RFC 3339 timestamp; raises ValueError."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00") if text.endswith("Z") else text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment.astimezone(UTC)


@lru_cache(maxsize=512)  # an object is read again and again, and many were made in the same second
def canonical_time(text: str, *, micro: bool = False) -> str:
    """`text` in the form the server stores: seconds, or microseconds for a MicroTime; ValueError in Go's words."""
    try:
        moment = parse_time(text)
    except ValueError:
        form = _MICRO if micro else "2006-01-02T15:04:05Z07:00"
        raise ValueError(f'parsing time "{text}" as "{form}": cannot parse "{text}" as "2006"') from None
    if micro and "." not in text:
        rest = text[19:]
        raise ValueError(f'parsing time "{text}" as "{_MICRO}": cannot parse "{rest}" as ".000000"')
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ")
