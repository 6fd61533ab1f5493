"""What several threads of a run read once for all of them: each thing under a name, for as long as it is new enough."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Shared:
    """Values by name, each read by one thread while the others that want it wait; what is read may want others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._kept: dict[str, tuple[float, object]] = {}

    def once(self, name: str, read: Callable[[], T], *, now_s: float = 0.0, age_s: float = float("inf")) -> T:
        """The value of that name; it is read where there is none, or only one from more than `age_s` before `now_s`.

        What `read` raises is raised, and nothing kept.
        """
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            kept = self._kept.get(name)
            if kept is None or now_s - kept[0] > age_s:
                kept = self._kept[name] = (now_s, read())
            return kept[1]  # type: ignore[return-value]
