"""How the values that arrived went, for the plots of a report."""

from __future__ import annotations

from tui.core import query
from tui.core.checks.facts import Facts
from tui.core.checks.model import Course

MOST_FIELDS = 8  # what a report shows, and the studio answers in one request
MOST_POINTS = 60


def courses(facts: Facts) -> tuple[Course, ...]:
    """The newest values of the fields that the conf sends, a course for each series; one request to the studio.

    Empty without a studio. Raises UnreachableError.
    """
    names = facts.probes[:MOST_FIELDS]
    if facts.studio is None or not names:
        return ()
    now = facts.now()
    answers = facts.studio.query(
        [query.latest(measurement, name, MOST_POINTS, by=("instance", "host")) for measurement, name in names],
        start_ms=int((now - MOST_POINTS * facts.interval_s) * 1000),
        end_ms=int((now + 60) * 1000),
    )
    found = []
    for (measurement, name), answer in zip(names, answers, strict=False):
        for series in answer:
            points = sorted(
                (row[0], row[1]) for row in series.rows if len(row) > 1 and row[0] is not None and row[1] is not None
            )
            member = series.tags.get("instance") or series.tags.get("host", "")
            if points:
                found.append(Course(facts.cluster.context, measurement, name, member, tuple(points), facts.interval_s))
    return tuple(found)
