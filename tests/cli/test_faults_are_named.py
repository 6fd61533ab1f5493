"""Each fault of the lab makes its own check the first that fails (or warns, where that is all it does), and no other.

In the run, in JSON, in text and on the screen.

pytest takes a fixed few; with FAULT_MATRIX=all, as .ci/run has it, every fault.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from practice import Practice, practice
from test_mesh import WHOLE as WHOLE_MESH
from test_mesh import picked
from test_walk import answers as given
from textual.app import App, ComposeResult

from tui import backend
from tui.core import checks
from tui.core.checks import CHECKS, INFO, REQUIRED, WARNING, Report, Result
from tui.core.checks.facts import Facts
from tui.core.reports import as_json, as_text
from tui.lab.faults import FAULTS, Fault
from tui.widgets.check_table import CheckTable

WHOLE = os.environ.get("FAULT_MATRIX") == "all"
SAMPLE = {"no-cluster-tag", "stale-subpath", "expired-cert", "elected-on-worker", "dataway-down", "viewer-rights"}
SAMPLE |= {"istiod-not-collected"}
DEADLINE_S = 90.0
# Who looks, and with which key, where that is the fault.
USERS = {"viewer-rights": "viewer"}


def strategy_of(fault: Fault) -> str:
    """The strategy under which the fault shows: the least that its cause needs."""
    if not fault.strategies:
        return "node-http"  # the mesh's own, too
    return "node-tls" if "node-tls" in fault.strategies else "tutorial"


STRATEGIES = ("node-http", "node-tls", "tutorial")
CHOSEN = [fault for fault in FAULTS if WHOLE or fault.name in SAMPLE]
OF_MESH = [fault for fault in CHOSEN if fault.needs_mesh]


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
) -> tuple[Result | None, Report]:
    """Look again and again until the first check that is not well is as wanted; what it was at the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        report = look(lab, user)
        found = first_not_well(report, least)
        if wanted(found) or time.monotonic() > deadline:
            return found, report
        time.sleep(0.5)  # the lab's own pace: a collection takes two seconds


def first_told(report: Report, least: str) -> dict[str, str | None]:
    """The check that each rendering tells first: its id, on the screen its title."""
    document = json.loads(as_json(report))["checks"]
    signs = ("×", "‼")
    failed = [one for one in document if one["status"] == "fail"]
    fatal = least == REQUIRED and bool(failed)
    told = failed if fatal else [one for one in document if one["status"] in ("fail", "warn")]
    marked = signs[:1] if fatal else signs
    lines = [line for line in as_text(report).splitlines() if line.startswith(marked) and line.endswith("]")]
    shown = [line.strip() for line in asyncio.run(on_screen(report)) if line.strip().startswith(marked)]
    titles = [one.title for one in report.results]
    return {
        "json": next((one["id"] for one in told if one["severity"] != INFO), None),
        "text": next((i for line in lines if severity(report, i := line.rpartition("[")[2][:-1]) != INFO), None),
        "screen": next((t for line in shown for t in titles if f" {t}:" in line), None),
    }


def severity(report: Report, id: str) -> str:
    return next(one.severity for one in report.results if one.id == id)


async def on_screen(report: Report) -> list[str]:
    """The lines of the last screen's table of checks."""

    class Screen(App[None]):
        def compose(self) -> ComposeResult:
            yield CheckTable()

    app = Screen()
    async with app.run_test(size=(200, 400)):
        table = app.query_one(CheckTable)
        table.show([one for one in report.results if one.severity != INFO or one.status == "pass"])
        return str(table.content).splitlines()


@pytest.mark.parametrize(
    "strategy", [STRATEGIES[0], *(pytest.param(other, marks=pytest.mark.slow) for other in STRATEGIES[1:])]
)
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

    play([fault for fault in CHOSEN if strategy_of(fault) == strategy and not fault.needs_mesh], lab, rests)


@pytest.mark.slow
def test_each_fault_of_the_mesh_makes_its_own_check_the_first_that_is_not_well(tmp_path: Path) -> None:
    with practice(tmp_path, mesh=True) as lab:
        answers = picked(given(lab, tmp_path), *WHOLE_MESH)
        applied = lab.run("apply", "-f", answers, "--yes", "--no-views")
        assert applied.status == 0, applied
        play(OF_MESH, lab, lambda found: found is None)


def play(faults: list[Fault], lab: Practice, rests: Callable[[Result | None], bool]) -> None:
    """Set and clear each of them; the lab is as it was before, between and after them."""
    severities = {check.id: check.severity for check in CHECKS}
    wanted, told = {}, {}
    for fault in faults:
        assert rests(until(rests, lab)[0]), f"before {fault.name}"
        done = lab.run("lab", "fault", "set", fault.name, "--lab", lab.ready["folder"])
        assert done.status == 0, done
        user, least = USERS.get(fault.name, "admin"), severities[fault.check]
        found, report = until(lambda found, id=fault.check: found is not None and found.id == id, lab, user, least)
        if found is not None and found.id == fault.check:
            assert found.remedy or found.command, fault.name
        title = next(check.title for check in CHECKS if check.id == fault.check)
        wanted[fault.name] = {"run": fault.check, "json": fault.check, "text": fault.check, "screen": title}
        told[fault.name] = {"run": found.id if found else None, **first_told(report, least)}
        done = lab.run("lab", "fault", "clear", fault.name, "--lab", lab.ready["folder"])
        assert done.status == 0, done
    assert told == wanted
    found, _report = until(rests, lab)
    assert rests(found), f"after the last fault: {found}"


def test_every_fault_is_in_the_table() -> None:
    assert {strategy_of(fault) for fault in FAULTS} <= set(STRATEGIES)
    assert {fault.name for fault in FAULTS} >= SAMPLE
