"""The bench of the lab works: every figure can be measured. Its figures are for people to read."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import line
from lab_bench import measure


@pytest.mark.slow
def test_every_figure_can_be_measured(tmp_path: Path) -> None:
    figures = {one.name: one for one in measure(tmp_path, large=5, count=5, rest_s=0.1)}
    assert set(figures) == {
        "lab at rest, 4 nodes",
        "server-side apply, median",
        "server-side apply, 95 of 100",
        "lab in memory, 4 nodes",
        "lab ready, 5 nodes",
        "CPU until then, 5 nodes",
        "lab in memory, 5 nodes",
    }
    assert all(one.median > 0 for name, one in figures.items() if "rest" not in name)
    assert "MiB  at most 200" in line(figures["lab in memory, 5 nodes"])
