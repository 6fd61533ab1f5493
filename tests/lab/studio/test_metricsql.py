"""The views' PromQL on the practice studio and on VictoriaMetrics: the same data give the same numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import victoria
from meaning import Frame, Sample
from test_view_queries import BASE, CHOSEN, NOW, PANELS, ask, keep, raw
from victoria import Victoria, close_to

from tui.core.query import PromQL
from tui.core.view_schema import Panel, View
from tui.lab.studio.store import Store

pytestmark = pytest.mark.skipif(victoria.BINARY is None, reason="victoria-metrics is not installed")
DAY = 86_400_000
ASKED = [(view, panel) for view, panel in PANELS if any(isinstance(text, PromQL) for text in panel.queries({}))]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victoria]:
    with victoria.running(tmp_path_factory.mktemp("victoria")) as found:
        yield found


def longer(samples: list[Sample]) -> list[Sample]:
    """The samples, and the five minutes before them: what precedes a window counts for its rate."""
    found = []
    for sample in samples:
        first = sample.points[0]
        before = tuple((first[0] - step * 60_000, max(0.0, first[1] - 3.0 * step)) for step in range(5, 0, -1))
        found.append(replace(sample, points=(*before, *sample.points)))
    return found


@pytest.mark.parametrize("history", [False, True], ids=["begins", "goes on"])
@pytest.mark.parametrize("view", sorted({view.key for view, _panel in ASKED}))
def test_the_same_data_give_the_same_numbers(engine: Victoria, tmp_path: Path, view: str, history: bool) -> None:
    """Each panel has a day of its own in the engine, so that none sees what another one was given."""
    for at, (own, panel) in enumerate(ASKED):
        if own.key != view:
            continue
        days = (2 * at + history + 1) * DAY
        samples = [sample for sample in raw(panel) if "::" not in sample.source]
        samples = [moved(sample, -days) for sample in (longer(samples) if history else samples)]
        engine.load(samples)
        store = Store(str(tmp_path / f"{panel.key}.sqlite"), "wksp_x")
        try:
            keep(store, samples)
            assert compared(engine, store, own, panel, Frame(NOW - days - 900_000, NOW - days)), panel.key
        finally:
            store.close()


def moved(sample: Sample, by: int) -> Sample:
    return replace(sample, points=tuple((time + by, value) for time, value in sample.points))


def compared(engine: Victoria, store: Store, view: View, panel: Panel, frame: Frame) -> int:
    """Compare a panel's PromQL with nothing chosen, and with one value for each variable; how many numbers it was."""
    numbers = 0
    for values in ({}, {variable.code: CHOSEN for variable in view.variables}):
        for text in panel.queries(values):
            if isinstance(text, PromQL):
                there = engine.query(text, frame.end)
                assert ask(store, text, frame) == close_to(there), (panel.key, text)
                numbers += len(there)
    return numbers


# Forms that the views write in DQL, in PromQL, and what else a person may ask


FORMS = [
    "topk(2, m:f)",
    "bottomk(2, sum by (a) (m:f))",
    "sum(m:f) or vector(0)",
    'sum(m:f{a="nowhere"}) or vector(0)',
    'sum(m:f{a=~"x|y",b!="1"})',
    'sum(m:f{a!~"x.*"})',
    "avg by (a) (m:f)",
    "max by (a, b) (m:f) - min by (a, b) (m:f)",
    "count(m:f)",
    "sum by (a) (rate(m:f[5m]))",
    "sum(rate(m:f[2m])) / sum(rate(m:f[5m]))",
    "sum by (a) (irate(m:f[5m]))",
    "(sum by (a) (rate(m:f[5m])) or sum by (a) (m:f) * 0) / (sum by (a) (m:f) > 0)",
    "min(m:f) - time()",
    "sum(m:f) / 1000",
    "max_over_time(m:f[5m])",
    "histogram_quantile(0.9, sum by (a, le) (rate(m:h_bucket[5m])))",
    "m:f > 100",
]


@pytest.mark.parametrize("text", FORMS)
def test_forms(engine: Victoria, store: Store, text: str) -> None:
    there = engine.query(text, NOW)
    assert ask(store, text, promql=True) == close_to(there)
    assert there or "nowhere" in text


@pytest.fixture(scope="module")
def forms(engine: Victoria) -> list[Sample]:
    """Counters, one of which starts anew, and a histogram, all for ten minutes."""
    found = []
    for number, (a, b) in enumerate(("x1", "x2", "y1", "z3")):
        values = [float((number + 1) * 17 * step + step * step % 7) for step in range(10)]
        if a == "y":
            values[5:] = [3.0 * step for step in range(5)]
        points = tuple((BASE - 300_000 + step * 60_000 + number * 700, value) for step, value in enumerate(values))
        found.append(Sample("m", "f", {"a": a, "b": b}, points))
        for bound, share in (("0.1", 0.2), ("1", 0.7), ("10", 0.97), ("+Inf", 1.0)):
            own = tuple((time, value * share) for time, value in points)
            found.append(Sample("m", "h_bucket", {"a": a, "le": bound}, own) if b != "2" else found[-1])
    samples = list({id(sample): sample for sample in found}.values())
    engine.load(samples)
    return samples


@pytest.fixture
def store(forms: list[Sample], tmp_path: Path) -> Iterator[Store]:
    opened = Store(str(tmp_path / "s.sqlite"), "wksp_x")
    keep(opened, forms)
    yield opened
    opened.close()
