"""Checks as data: what each one says, what it needs first, and what came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tui.core.checks.arrivals import Arrival
from tui.core.checks.facts import Facts
from tui.core.checks.finding import Finding

REQUIRED, WARNING, INFO = "required", "warning", "info"


# The ways that data takes to the studio; what all of them share is of the route "cluster".
CLUSTER, ETCD, CONTAINER, KUBERNETES = "cluster", "etcd", "container", "kubernetes"
MESH = ISTIOD, GATEWAYS, SIDECARS = "istiod", "gateways", "sidecars"  # the parts of an Istio mesh


# Where one of these fails first, nothing can be looked at: exit status 3.
OUT_OF_REACH = ("cluster/reachable", "studio/key")


@dataclass(frozen=True)
class Check:
    """One check. `title` is a msgid, `needs` are ids that must have passed; a `patient` one is asked again.

    A `proof` sees in the studio what came the whole way: what could not be looked at before it does not keep it back.
    """

    id: str
    severity: str
    title: str
    test: Callable[[Facts], Finding]
    needs: tuple[str, ...] = ()
    patient: bool = False
    route: str = ETCD
    proof: bool = False

    @property
    def category(self) -> str:
        """The part of the id before the slash."""
        return self.id.split("/")[0]


@dataclass(frozen=True)
class Result:
    """One check's outcome; `status` is "pass", "warn", "fail", "skip" or, while it is asked again, "pending".

    `blocked_by` is the id of the check without which this one could not be made, "" where it was looked at.
    """

    id: str
    context: str
    route: str
    category: str
    severity: str
    status: str
    title: str
    looked_at: str = ""
    found: str = ""
    causes: tuple[str, ...] = ()
    object: str = ""
    remedy: str = ""
    command: str = ""
    skipped_because: str = ""
    first_seen: str | None = None
    elapsed_ms: int = 0
    blocked_by: str = ""


@dataclass(frozen=True)
class Course:
    """How one field of one series went: (unix ms, value) in order of time. `member` tells the series apart.

    It is collected every `interval_s` seconds. `fed_s` is when the agent last handed points of its input on, None where
    that could not be asked; `arrival` is when the run first saw the newest scrape.
    """

    context: str
    measurement: str
    field: str
    member: str
    points: tuple[tuple[float, float], ...]
    interval_s: float = 60.0
    fed_s: float | None = None
    arrival: Arrival | None = None

    @property
    def newest_s(self) -> float:
        """When the newest value was collected, in unix seconds."""
        return self.points[-1][0] / 1000

    @property
    def due_s(self) -> float:
        """When the next one is due, in unix seconds."""
        return self.newest_s + self.interval_s

    @property
    def per_second(self) -> float | None:
        """By how much a counter grew in a second between its last two values; None for what is no counter, or fell."""
        if not self.field.endswith(("_total", "_count", "_sum")) or len(self.points) < 2:
            return None
        (before, low), (then, high) = self.points[-2:]
        return (high - low) / (then - before) * 1000 if high >= low and then > before else None


@dataclass(frozen=True)
class Expiry:
    """When a certificate that was looked at on a node ends, in unix seconds."""

    context: str
    node: str
    path: str
    not_after_s: float


@dataclass(frozen=True)
class Report:
    """One run over one or more contexts; `courses` are there where somebody asked for them (`checks.courses`)."""

    results: tuple[Result, ...]
    contexts: tuple[str, ...]
    expiries: tuple[Expiry, ...] = ()
    courses: tuple[Course, ...] = ()

    @staticmethod
    def joined(reports: Sequence[Report]) -> Report:
        """The reports of several contexts as one, in their order."""
        return Report(
            tuple(result for report in reports for result in report.results),
            tuple(context for report in reports for context in report.contexts),
            tuple(expiry for report in reports for expiry in report.expiries),
            tuple(course for report in reports for course in report.courses),
        )

    @property
    def verdict(self) -> str:
        """It is "fail", "inconclusive" (a required check was skipped, or none was made) or "pass"."""
        required = [result for result in self.results if result.severity == REQUIRED]
        if any(result.status == "fail" for result in required):
            return "fail"
        if not required or any(result.status in ("skip", "pending") for result in required):
            return "inconclusive"
        return "pass"

    @property
    def ok(self) -> bool:
        """Whether every required check of the chosen route passed."""
        return self.verdict == "pass"

    @property
    def first_failure(self) -> Result | None:
        """The first required check that failed: the first broken hop."""
        return next((r for r in self.results if r.status == "fail" and r.severity == REQUIRED), None)


@dataclass
class Samples:
    """Values as they arrive, for a plot: field -> member -> [(unix ms, value)], in order of time.

    `delays` are the seconds that a member's newest scrape took until it could be queried, where it was seen to come.
    """

    series: dict[str, dict[str, list[tuple[float, float]]]] = field(default_factory=dict)
    delays: dict[str, float] = field(default_factory=dict)

    def add(self, values: Mapping[tuple[str, str], tuple[float, float]]) -> bool:
        """Add one reading by (field, member); an unchanged time is not a new value. True if any was new."""
        new = False
        for (name, member), (time_ms, value) in values.items():
            points = self.series.setdefault(name, {}).setdefault(member, [])
            if not points or points[-1][0] < time_ms:
                points.append((time_ms, value))
                del points[:-240]
                new = True
        return new
