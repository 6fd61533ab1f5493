"""The bench of the checks works: every route can be measured. Its figures are for people to read."""

from __future__ import annotations

from pathlib import Path

import pytest
from checks_bench import measure, told

from tui.core.checks import CONTAINER, ETCD, KUBERNETES


@pytest.mark.slow
def test_every_route_and_all_of_them_can_be_measured(tmp_path: Path) -> None:
    figures = list(measure(tmp_path, 1, mesh=False))  # which would take longer to come up than all the rest
    alone = [one.name for one in figures[:-2]]
    assert alone == [f"check, {route} alone" for route in (ETCD, CONTAINER, KUBERNETES)]
    assert all(one.median > 0 for one in figures)
    assert figures[-1].unit == "×"
    assert "at most 2×" in told(figures[-1])
