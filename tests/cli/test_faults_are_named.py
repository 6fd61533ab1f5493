"""Each fault of the lab makes its own check the first that fails (or warns, where that is all it does), and no other.

pytest takes a fixed few; FAULT_MATRIX=all takes every fault.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from practice import Practice, practice

from tui import backend
from tui.core import checks
from tui.core.checks import CHECKS, INFO, REQUIRED, WARNING, Report, Result
from tui.core.checks.facts import Facts
from tui.lab.faults import FAULTS, Fault

WHOLE = os.environ.get("FAULT_MATRIX") == "all"
SAMPLE = {"no-cluster-tag", "stale-subpath", "expired-cert", "elected-on-worker", "dataway-down", "viewer-rights"}
DEADLINE_S = 90.0
# Who looks, and with which key, where that is the fault.
USERS = {"viewer-rights": "viewer"}


def strategy_of(fault: Fault) -> str:
    """The strategy under which the fault shows: the least that its cause needs."""
    if not fault.strategies:
        return "node-http"
    return "node-tls" if "node-tls" in fault.strategies else "tutorial"


STRATEGIES = ("node-http", "node-tls", "tutorial")
CHOSEN = [fault for fault in FAULTS if WHOLE or fault.name in SAMPLE]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    with practice(tmp_path_factory.mktemp("named")) as running:
        yield running


def look(lab: Practice, user: str = "admin") -> Report:
    """One run of the checks, in this process; a collection and an upload are waited for, as long as all is well."""
    made = backend.connect(lab.ready["kubeconfig"], lab.ready["time_scale"])
    cluster = made.clusters().connect(lab.ready["contexts"][user])
    key = Path(lab.ready["studio"]["api_key_file"]).read_text().strip()
    studio = made.studio(lab.ready["studio"]["endpoint"], key)
    return checks.run(Facts(made, cluster, namespace=lab.ready["namespace"], studio=studio), wait_s=4.0)


def first_not_well(report: Report, least: str = WARNING) -> Result | None:
    """The first check that failed or warned; where `least` is required, the first that warned only if none failed."""
    told = [r for r in report.results if r.status in ("fail", "warn") and r.severity != INFO]
    failures = [r for r in told if r.status == "fail"]
    return next(iter(failures if least == REQUIRED and failures else told), None)


def until(
    wanted: Callable[[Result | None], bool], lab: Practice, user: str = "admin", least: str = WARNING
) -> Result | None:
    """Look again and again until the first check that is not well is as wanted; what it was at the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    found: Result | None = None
    while time.monotonic() < deadline:
        found = first_not_well(look(lab, user), least)
        if wanted(found):
            return found
        time.sleep(0.5)  # the lab's own pace: a collection takes two seconds
    return found


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_each_fault_makes_its_own_check_the_first_that_is_not_well(
    lab: Practice, strategy: str, tmp_path: Path
) -> None:
    answers = tmp_path / "answers.toml"
    answers.write_text(lab.run("answers", "--strategy", strategy).out)
    applied = lab.run("apply", "-f", answers, "--yes", "--no-views")
    assert applied.status == 0, applied
    # The tutorial's text is not well by itself: its points lack the cluster's name.
    at_rest = "etcd/election-tag" if strategy == "tutorial" else None

    def rests(found: Result | None) -> bool:
        return (found.id if found else None) == at_rest

    severity = {check.id: check.severity for check in CHECKS}
    told = {}
    for fault in [fault for fault in CHOSEN if strategy_of(fault) == strategy]:
        assert rests(until(rests, lab)), f"before {fault.name}"
        done = lab.run("lab", "fault", "set", fault.name, "--lab", lab.ready["folder"])
        assert done.status == 0, done
        user, least = USERS.get(fault.name, "admin"), severity[fault.check]
        found = until(lambda found, wanted=fault.check: found is not None and found.id == wanted, lab, user, least)
        told[fault.name] = (fault.check, found.id if found else None)
        if found is not None and found.id == fault.check:
            assert found.remedy or found.command, fault.name
        done = lab.run("lab", "fault", "clear", fault.name, "--lab", lab.ready["folder"])
        assert done.status == 0, done
    assert {name: got for name, (_wanted, got) in told.items()} == {n: wanted for n, (wanted, _got) in told.items()}
    found = until(rests, lab)
    assert rests(found), f"after the last fault: {found}"


def test_every_fault_is_in_the_table() -> None:
    assert {strategy_of(fault) for fault in FAULTS} <= set(STRATEGIES)
    assert {fault.name for fault in FAULTS} >= SAMPLE
