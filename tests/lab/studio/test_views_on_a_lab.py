"""The views on what a lab really reported: which panels fill, and whether they show what the raw samples say."""

from __future__ import annotations

import fcntl
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import victoria
from meaning import Frame, Sample, meets, shown
from recorded import Recorded, record
from test_view_queries import ask, keep
from victoria import close_to

from tui.core import views
from tui.core.query import PromQL
from tui.core.view_schema import Panel, View
from tui.lab.studio.store import Store

# The panels that stay empty with what is proposed, and why; all others fill.
SIZES = "histograms of sizes double what a sidecar costs, so the lean filter leaves them out"
LACKING = {
    "docker": {"D5": "the lab's runtime is containerd, which reports no block traffic"},
    "kubernetes": {},
    "etcd": {
        "E14f": "needs grpc_server_handled_total, which the recommended filter leaves out for its 697 series a member",
        "E16": "there is one member, which has no peers",
        "E16p": "there is one member, which has no peers",
    },
    "istio-mesh": {},
    "istio-control-plane": {"C8r": "needs envoy_server_hot_restart_epoch, which the lean filter leaves out"},
    "istio-service": dict.fromkeys(("S10q", "S10s", "S13q", "S13s"), SIZES),
    "istio-workload": dict.fromkeys(("W8", "W8s", "W11q", "W11s"), SIZES),
}
VIEWS = views.catalogue()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Recorded:
    """One lab for all tests of this module, whichever process they run in."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "views-on-a-lab"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return record(folder)


@pytest.fixture(scope="module")
def samples(recorded: Recorded) -> list[Sample]:
    return recorded.samples()


@pytest.fixture
def store(recorded: Recorded) -> Iterator[Store]:
    opened = Store(str(recorded.database), "wksp_x")
    yield opened
    opened.close()


def chosen(view: View, samples: list[Sample]) -> Iterator[dict[str, str]]:
    """Ways to choose the view's variables: the cluster alone, and one value for each, every one among those that the
    ones before leave.
    """
    yield {"cluster_name_k8s": "lab"}
    found = {"cluster_name_k8s": "lab"}
    for variable in view.variables:
        bound = [one for each in variable.where if (one := each.bound(found)) is not None]
        there = {
            sample.tags[variable.tag]
            for sample in samples
            if sample.source == variable.measurement
            and variable.tag in sample.tags
            and all(meets(condition, sample.tags) for condition in bound)
        }
        if there and variable.code not in found:
            found[variable.code] = sorted(there)[-1]
    yield found


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.key)
def test_every_panel_shows_what_the_samples_say(
    view: View, store: Store, samples: list[Sample], recorded: Recorded
) -> None:
    numbers = 0
    for values in chosen(view, samples):
        for panel in view.panels:
            wanted = shown(panel, values, samples, recorded.frame)
            for text, expected in zip(panel.queries(values), wanted, strict=True):
                got = ask(store, text, recorded.frame)
                assert got == {
                    by: value if isinstance(value, str) else pytest.approx(value) for by, value in expected.items()
                }, (panel.key, text)
                numbers += len(expected)
    assert numbers > len(view.panels)


@pytest.mark.skipif(victoria.BINARY is None, reason="victoria-metrics is not installed")
def test_another_engine_shows_the_same(samples: list[Sample], recorded: Recorded, tmp_path: Path) -> None:
    """Its windows are the clock's, so the points are put as far apart as they would be without the lab's hurry."""
    frame = Frame(recorded.now - 900_000, recorded.now)
    slow = [
        replace(sample, points=tuple((stretched(time, recorded), value) for time, value in sample.points))
        for sample in samples
        if "::" not in sample.source
    ]
    store, compared = Store(str(tmp_path / "slow.sqlite"), "wksp_x"), 0
    try:
        keep(store, slow)
        with victoria.running(tmp_path) as engine:
            engine.load(slow)
            for view in VIEWS:
                for values, panel in itertools.product(chosen(view, samples), view.panels):
                    for text in panel.queries(values):
                        if isinstance(text, PromQL):
                            there = engine.query(text, frame.end)
                            assert ask(store, text, frame) == close_to(there), (panel.key, text)
                            compared += len(there)
    finally:
        store.close()
    assert compared > 5


def stretched(time: int, recorded: Recorded) -> int:
    return round(recorded.now - (recorded.now - time) * recorded.scale)


def empty(panel: Panel, samples: list[Sample], frame: Frame) -> bool:
    return not all(shown(panel, {"cluster_name_k8s": "lab"}, samples, frame))


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.key)
def test_every_panel_fills_but_those_that_cannot(view: View, samples: list[Sample], recorded: Recorded) -> None:
    assert {panel.key for panel in view.panels if empty(panel, samples, recorded.frame)} == set(LACKING[view.key])
