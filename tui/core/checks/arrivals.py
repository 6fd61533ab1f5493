"""When what arrives was first seen in the studio: how long a scrape took to become something that can be queried."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from tui.core.ports import Series


@dataclass(frozen=True)
class Arrival:
    """One scrape of one member, as a run saw it: when it was made and when it was first seen, in unix seconds.

    `witnessed`: an earlier look had not found it yet. Otherwise it may have been there long before the first look.
    """

    scraped_s: float
    seen_s: float
    witnessed: bool

    @property
    def delay_s(self) -> float:
        """Seconds from the scrape until it was seen; at most that, where nobody saw it come."""
        return max(self.seen_s - self.scraped_s, 0.0)


class Arrivals:
    """The newest scrape of each member of a measurement that a run has seen; all points of one carry the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: dict[str, dict[str, Arrival]] = {}  # measurement -> member; there once somebody has looked

    def look(self, measurement: str, series: Iterable[Series], now_s: float) -> None:
        """Note the newest points of a measurement's series, as the studio has them at `now_s`."""
        with self._lock:
            looked = measurement in self._newest
            known = self._newest.setdefault(measurement, {})
            for one in series:
                member, scraped_s = member_of(one), newest_ms(one) / 1000
                before = known.get(member)
                if scraped_s and (before is None or before.scraped_s < scraped_s):
                    known[member] = Arrival(scraped_s, now_s, looked)

    def of(self, measurement: str, member: str) -> Arrival | None:
        """The newest one of a member, None where none was seen."""
        with self._lock:
            return self._newest.get(measurement, {}).get(member)


def member_of(series: Series) -> str:
    """What tells series of the same field apart, for people: the target's address, else its node."""
    tags = series.tags
    return tags.get("instance") or tags.get("host") or tags.get("node") or tags.get("node_name", "")


def newest_ms(series: Series) -> float:
    """The time of the newest row, 0 where rows carry none."""
    return max((row[0] for row in series.rows if row and row[0] is not None), default=0.0)
