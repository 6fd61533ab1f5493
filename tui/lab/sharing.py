"""Objects that are much alike, as the pods of a DaemonSet are, kept as one copy where they are equal."""

from __future__ import annotations

import sys
from typing import Any


def share(value: Any, like: Any) -> Any:
    """`value` built of the parts of `like` that equal its own, with names that occur once in memory.

    Neither is changed, and the result must not be changed either: its parts belong to other objects too.
    """
    if value is like or (type(value) is type(like) and value == like):
        return like
    if isinstance(value, dict):
        known = like if isinstance(like, dict) else {}
        return {sys.intern(key): share(item, known.get(key)) for key, item in value.items()}
    if isinstance(value, list):
        others = like if isinstance(like, list) else []
        return [share(item, others[at] if at < len(others) else None) for at, item in enumerate(value)]
    return value
