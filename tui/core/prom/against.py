"""What an edit of a conf changes: two previews of one scrape, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tui.core import views
from tui.core.prom.collector import Point
from tui.core.prom.explain import FamilyOutcome
from tui.core.prom.preview import Preview


@dataclass(frozen=True)
class Renamed:
    """A family that both confs keep, and that has another measurement or other fields afterwards."""

    family: str
    before: FamilyOutcome
    after: FamilyOutcome


@dataclass(frozen=True)
class Filled:
    """How one view fares: the keys of its panels that are filled before and after, of so many."""

    view: str
    panels: int
    before: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def gained(self) -> list[str]:
        """Panels that are filled afterwards only."""
        return [key for key in self.after if key not in self.before]

    @property
    def lost(self) -> list[str]:
        """Panels that were filled before only."""
        return [key for key in self.before if key not in self.after]


@dataclass(frozen=True)
class Difference:
    """From `before` to `after`. A point whose name or tags change counts as one removed and one added.

    `gained` and `lost` are the families kept by one of the two alone; `tags_added` and `tags_removed` the keys that
    points have under one of the two alone.
    """

    before: Preview
    after: Preview
    added: list[Point]
    removed: list[Point]
    gained: list[FamilyOutcome]
    lost: list[FamilyOutcome]
    renamed: list[Renamed]
    tags_added: list[str]
    tags_removed: list[str]
    views: list[Filled]

    @property
    def same(self) -> bool:
        """Whether both send the same points and reports."""
        return not (self.added or self.removed) and self.before.up == self.after.up


def compare(before: Preview, after: Preview) -> Difference:
    """What changes from one preview to the other; both must be of the same scrape, tags of the agent and time."""
    old, new = Counter(map(_key, before.points)), Counter(map(_key, after.points))
    was = {(one.family, one.type): one for one in before.picture.families if one.kept}
    now = {(one.family, one.type): one for one in after.picture.families if one.kept}
    tags = [{key for point in each.points for key in point.tags} for each in (before, after)]
    return Difference(
        before,
        after,
        added=list(_left(after.points, new - old)),
        removed=list(_left(before.points, old - new)),
        gained=[one for key, one in now.items() if key not in was],
        lost=[one for key, one in was.items() if key not in now],
        renamed=[
            Renamed(one.family, was[key], one)
            for key, one in now.items()
            if key in was and (was[key].name.measurement, was[key].fields) != (one.name.measurement, one.fields)
        ],
        tags_added=sorted(tags[1] - tags[0]),
        tags_removed=sorted(tags[0] - tags[1]),
        views=[
            Filled(one.view, one.panels, one.filled, two.filled)
            for one, two in zip(filled(before.picture.fields), filled(after.picture.fields), strict=True)
        ],
    )


@dataclass(frozen=True)
class View:
    """How many panels a view has, and the keys of those that are filled."""

    view: str
    panels: int
    filled: tuple[str, ...]


def filled(fields: Mapping[str, frozenset[str]]) -> list[View]:
    """Which panels of each view these fields fill; views without panels are left out."""
    found = []
    for view in views.catalogue():
        fills = views.fillable(view, fields)
        if fills:
            found.append(View(view.key, len(fills), tuple(fill.panel.key for fill in fills if fill.ok)))
    return found


def _key(point: Point) -> tuple[object, ...]:
    fields = tuple(sorted((key, str(value)) for key, value in point.fields.items()))
    return (point.measurement, tuple(sorted(point.tags.items())), fields, point.time_ms, point.category)


def _left(points: list[Point], wanted: Counter[tuple[object, ...]]) -> Iterator[Point]:
    left = wanted.copy()
    for point in points:
        key = _key(point)
        if left[key] > 0:
            left[key] -= 1
            yield point
