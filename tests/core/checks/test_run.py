"""The runner: order, needs, waiting, and the verdict."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tui.core import checks
from tui.core.checks import REQUIRED, WARNING, Check, Facts, Report, Result, run
from tui.core.checks.finding import Finding, failed, not_needed, passed, pending, skipped
from tui.core.errors import ForbiddenError, UnreachableError, WizardError


class Clock:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def facts(clock: Clock) -> Any:
    forgotten: list[float] = []
    return SimpleNamespace(
        now=clock,
        interval_s=60.0,
        cluster=SimpleNamespace(context="lab", time_scale=1.0),
        forget=lambda: forgotten.append(clock.now),
        forgotten=forgotten,
    )


def run_with(clock: Clock, *given: Check, **options: Any) -> dict[str, Result]:
    report = run(facts(clock), sleep=clock.sleep, checks=given, **options)
    return {result.id: result for result in report.results}


def yes(_facts: Facts) -> Finding:
    return passed("well")


def no(_facts: Facts) -> Finding:
    return failed("broken", causes=("because",))


def test_what_needs_a_failed_check_is_skipped_naming_it(clock: Clock) -> None:
    results = run_with(
        clock,
        Check("a/one", REQUIRED, "One", no),
        Check("a/two", REQUIRED, "Two", yes, ("a/one",)),
        Check("a/three", REQUIRED, "Three", yes, ("a/two",)),
    )
    assert results["a/one"].status == "fail"
    assert "a/one" in results["a/two"].skipped_because
    assert "a/one" in results["a/three"].skipped_because
    assert results["a/three"].blocked_by == "a/one"


def test_what_is_not_needed_takes_nothing_from_the_proof(clock: Clock) -> None:
    results = run_with(
        clock,
        Check("a/one", REQUIRED, "One", lambda _f: not_needed("plain HTTP")),
        Check("a/two", REQUIRED, "Two", yes, ("a/one",)),
    )
    assert results["a/two"].status == "pass"
    assert Report(tuple(results.values()), ("lab",)).verdict == "pass"


def test_a_required_check_that_was_skipped_is_inconclusive_and_the_studio_is_still_asked(clock: Clock) -> None:
    results = run_with(
        clock,
        Check("etcd/fed", REQUIRED, "Fed", lambda _f: skipped("no exec", remedy="grant it")),
        Check("dataway/uploaded", REQUIRED, "Uploaded", yes, ("etcd/fed",)),
        Check("studio/series", REQUIRED, "Series", yes, ("etcd/fed",), proof=True),
    )
    assert results["dataway/uploaded"].status == "skip"
    assert results["dataway/uploaded"].remedy == "grant it"
    assert results["studio/series"].status == "pass"
    assert Report(tuple(results.values()), ("lab",)).verdict == "inconclusive"


def test_a_patient_check_is_asked_until_it_passes(clock: Clock) -> None:
    looks = iter([pending("not yet"), pending("not yet"), passed("there")])
    seen: list[str] = []
    results = run_with(
        clock,
        Check("a/one", REQUIRED, "One", lambda _f: next(looks), patient=True),
        wait_s=60.0,
        on_result=lambda result: seen.append(result.status),
    )
    assert results["a/one"].status == "pass"
    assert results["a/one"].first_seen is not None
    assert seen == ["pending", "pending", "pass"]


def test_waiting_ends_at_the_deadline_with_a_failure(clock: Clock) -> None:
    results = run_with(clock, Check("a/one", REQUIRED, "One", lambda _f: pending("never"), patient=True), wait_s=10.0)
    assert results["a/one"].status == "fail"
    assert results["a/one"].found == "never"
    assert 10_000 <= results["a/one"].elapsed_ms < 20_000


def test_what_is_due_later_is_waited_for_where_nobody_said_how_long(clock: Clock) -> None:
    due = clock.now + 480

    def look(_facts: Facts) -> Finding:
        left = due - clock.now
        return passed("there") if left <= 0 else pending("not yet", due_s=left)

    results = run_with(clock, Check("a/one", REQUIRED, "One", look, patient=True))
    assert results["a/one"].status == "pass"
    assert clock.now < due + 20


def test_what_is_due_after_the_deadline_is_undecided_and_no_failure(clock: Clock) -> None:
    one = Check("a/one", REQUIRED, "One", lambda _f: pending("in 5m", due_s=300.0), patient=True)
    report = run(facts(clock), sleep=clock.sleep, checks=[one], wait_s=10.0)
    assert report.results[0].status == "skip"
    assert report.results[0].skipped_because == "in 5m"
    assert report.verdict == "inconclusive"


def test_without_waiting_one_look_decides(clock: Clock) -> None:
    run_with(clock, Check("a/one", REQUIRED, "One", lambda _f: pending("never"), patient=True), wait_s=0)
    assert clock.now == 1000.0


def test_errors_become_findings(clock: Clock) -> None:
    def forbidden(_facts: Facts) -> Finding:
        raise ForbiddenError("may not get pods", remedy="ask")

    def broken(_facts: Facts) -> Finding:
        raise WizardError("it broke", why="reason\nmore")

    def dead(_facts: Facts) -> Finding:
        raise UnreachableError("refused")

    results = run_with(clock, Check("a/one", REQUIRED, "One", forbidden), Check("a/two", REQUIRED, "Two", broken))
    assert (results["a/one"].status, results["a/one"].remedy) == ("skip", "ask")
    assert (results["a/two"].status, results["a/two"].causes) == ("fail", ("reason", "more"))
    results = run_with(
        clock,
        Check("cluster/reachable", REQUIRED, "R", dead),
        Check("a/one", REQUIRED, "One", yes, ("cluster/reachable",)),
    )
    assert (results["cluster/reachable"].status, results["a/one"].status) == ("fail", "skip")


def test_once_a_required_check_failed_nothing_is_waited_for(clock: Clock) -> None:
    results = run_with(
        clock,
        Check("a/one", REQUIRED, "One", no),
        Check("a/two", REQUIRED, "Two", lambda _f: pending("not yet"), patient=True),
        wait_s=60.0,
    )
    assert results["a/two"].status == "fail"
    assert clock.now == 1000.0


def test_a_warning_never_fails_the_run(clock: Clock) -> None:
    results = run_with(clock, Check("a/one", WARNING, "One", no), Check("a/two", REQUIRED, "Two", yes))
    assert results["a/one"].status == "warn"
    assert Report(tuple(results.values()), ("lab",)).ok


def test_the_list_is_in_an_order_in_which_needs_come_first_and_ids_are_unique() -> None:
    seen: set[str] = set()
    for check in checks.CHECKS:
        assert set(check.needs) <= seen
        assert check.id not in seen
        seen.add(check.id)
    assert {"studio/series", "studio/cluster-tag", "studio/fresh"} <= {
        check.id for check in checks.CHECKS if check.severity == REQUIRED
    }


def test_nothing_checked_proves_nothing() -> None:
    assert Report((), ()).verdict == "inconclusive"
