"""One run of the checks: what all routes share in order, then the routes at the same time, each in its own order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tui.core.checks.arrivals import member_of
from tui.core.checks.catalogue import CHECKS
from tui.core.checks.facts import Facts
from tui.core.checks.finding import Finding, failed, undecided
from tui.core.checks.model import CLUSTER, INFO, MESH, REQUIRED, WARNING, Check, Report, Result, Samples
from tui.core.errors import ForbiddenError, WizardError
from tui.core.parallel import each
from tui.i18n import _

OnResult = Callable[[Result], None]


def default_wait_s(facts: Facts) -> float:
    """How long `check` asks again where it is not told: three collections and an upload, in this cluster's time."""
    try:
        interval_s = facts.interval_s
    except WizardError:  # nothing is to be seen here, so nothing will come: the check says why
        return 0.0
    return max(5.0, 3 * interval_s + 30 / facts.cluster.time_scale)


def run(
    facts: Facts,
    *,
    wait_s: float | None = None,
    on_result: OnResult | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    sleep: Callable[[float], None] = time.sleep,
    samples: Samples | None = None,
    checks: Sequence[Check] = CHECKS,
    also: Sequence[Check] = (),
) -> Report:
    """Run every check, then those in `also`, and return the report, in the order of `checks`.

    `on_result` gets each result, and "pending" ones on the way; it is called from several threads, one at a time. A
    patient check is asked again until it passes or `wait_s` (for the whole run, seconds) has gone by, as long as no
    required check of its route failed; what needs a check that did not pass is skipped, naming it. `samples` collects
    etcd's values while the studio is asked.
    """
    lock = threading.Lock()

    def tell(result: Result) -> None:
        if on_result:
            with lock:
                on_result(result)

    def walk(of_route: Facts, before: dict[str, Result]) -> _Walk:
        patience = wait_s is None
        return _Walk(of_route, wait_s, facts.now(), tell, cancelled, sleep, samples, dict(before), patience=patience)

    shared = walk(facts, {})
    shared.run([check for check in checks if check.route == CLUSTER])
    routes = list(dict.fromkeys(check.route for check in checks if check.route != CLUSTER))
    if not set(routes).isdisjoint(MESH) and not _has_mesh(facts):
        routes = [name for name in routes if name not in MESH]

    def route(name: str) -> dict[str, Result]:
        one = walk(facts if len(routes) == 1 else facts.fork(), shared.results)
        one.broken = shared.broken
        one.run([check for check in checks if check.route == name])
        return one.results

    found = dict(shared.results)
    for answer in each(routes, route):
        if isinstance(answer, WizardError):  # a walk makes findings of errors
            raise answer
        found |= answer
    last = walk(facts, found)
    last.broken = True  # what is compared at the end is looked at once
    last.run(also)
    ordered = [check.id for check in (*checks, *also)]
    results = tuple(last.results[id] for id in ordered if id in last.results)
    return Report(results, (facts.cluster.context,))


def chosen(*, mesh: bool) -> tuple[Check, ...]:
    """The checks that a run makes in a cluster with a mesh, or without."""
    return tuple(check for check in CHECKS if mesh or check.route not in MESH)


def _has_mesh(facts: Facts) -> bool:
    """Whether there is a mesh; where even DataKit was not found, that has been told already."""
    try:
        return bool(facts.survey.mesh)
    except WizardError:
        return False


@dataclass
class _Walk:
    """Checks one after the other. `broken`: a required one failed, so nothing is waited for any more; `patience`:
    nobody said how long to wait, so what is due later is waited for."""

    facts: Facts
    wait_s: float | None
    started: float
    tell: OnResult
    cancelled: Callable[[], bool]
    sleep: Callable[[float], None]
    samples: Samples | None
    results: dict[str, Result]
    broken: bool = False
    patience: bool = False

    def run(self, checks: Sequence[Check]) -> None:
        """Run them all, in order, into `results`."""
        for check in checks:
            if self.cancelled():
                break
            result = self._one(check)
            self.results[check.id] = result
            # Once a required check failed the verdict stands: what follows is looked at once, not waited for.
            self.broken = self.broken or (result.status == "fail" and result.severity == REQUIRED)
            self.tell(result)
            if self.samples is not None and check.id == "studio/fresh" and result.status == "pass":
                sample(self.facts, self.samples)

    def _one(self, check: Check) -> Result:
        facts = self.facts
        begun = facts.now()
        finding = _blocked(check, self.results)
        while finding is None:
            if self.wait_s is None and check.patient:
                self.wait_s = default_wait_s(facts)
            finding = _look(check, facts)
            if finding.status != "pending":
                break
            self.tell(_result(check, finding, facts, begun))
            if self.patience and finding.due_s > 0:
                self.wait_s = max(self.wait_s or 0.0, facts.now() - self.started + finding.due_s)
            if self.broken or self.cancelled() or facts.now() - self.started >= (self.wait_s or 0):
                finding = undecided(finding)
                break
            # What is due in minutes is not asked for every few seconds: the studio counts requests.
            pause = min(max(facts.interval_s / 4, 0.25), 10.0 if finding.due_s > 30 else 3.0)
            finding = None
            self.sleep(pause)
            facts.forget()
        return _result(check, finding, facts, begun)


def _blocked(check: Check, results: dict[str, Result]) -> Finding | None:
    """The skip of a check whose need did not pass, else None. A need that was skipped as not needed is met."""
    for need in check.needs:
        before = results.get(need)
        if before is None or before.status in ("pass", "warn"):
            continue
        if before.status == "skip" and before.severity == INFO:
            continue
        # The studio can prove the whole way by itself, whatever could not be looked at in the cluster.
        if before.status == "skip" and check.proof and not need.startswith("studio/"):
            continue
        root = before.blocked_by or need
        if results[root].status == "fail":
            return Finding("skip", skipped_because=_("{id} failed.").format(id=root), blocked_by=root)
        why = _("{id} was skipped: {why}").format(id=root, why=results[root].skipped_because)
        return Finding("skip", skipped_because=why, remedy=before.remedy, blocked_by=root)
    return None


def _look(check: Check, facts: Facts) -> Finding:
    """One look. An error becomes the check's finding: a missing right its skip, anything else its failure."""
    try:
        return check.test(facts)
    except ForbiddenError as error:
        return Finding(
            "skip",
            skipped_because=error.what,
            object=error.object,
            remedy=error.remedy,
            command=error.command,
        )
    except WizardError as error:
        return _failure(error)


def _failure(error: WizardError) -> Finding:
    return failed(
        error.what,
        object=error.object,
        causes=tuple(error.why.splitlines()),
        remedy=error.remedy,
        command=error.command,
    )


def _result(check: Check, finding: Finding, facts: Facts, begun: float) -> Result:
    passed = finding.status == "pass"
    now = facts.now()
    return Result(
        id=check.id,
        context=facts.cluster.context,
        route=check.route,
        category=check.category,
        severity=check.severity if finding.needed else WARNING if finding.status == "warn" else INFO,
        status="warn" if finding.status == "fail" and check.severity != REQUIRED else finding.status,
        title=_(check.title),
        looked_at=finding.looked_at,
        found=finding.found,
        causes=finding.causes,
        object=finding.object,
        remedy=finding.remedy,
        command=finding.command,
        skipped_because=finding.skipped_because,
        blocked_by=finding.blocked_by,
        first_seen=datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds") if passed else None,
        elapsed_ms=int((now - begun) * 1000),
    )


def sample(facts: Facts, samples: Samples) -> bool:
    """Read the newest value of each field that the conf sends, for a plot; True if any is new."""
    names = facts.probes[:8]
    values: dict[tuple[str, str], tuple[float, float]] = {}
    for (measurement, name), answer in zip(names, facts.newest_points(names), strict=False):
        for series in answer:
            member = member_of(series)
            arrival = facts.arrivals.of(measurement, member)
            if arrival is not None and arrival.witnessed:
                samples.delays[member] = arrival.delay_s
            for row in series.rows:
                if row[0] is not None and len(row) > 1 and row[1] is not None:
                    values[name, member] = (row[0], row[1])
    return samples.add(values)
