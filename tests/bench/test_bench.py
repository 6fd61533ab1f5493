"""The bench itself works: every figure can be measured. Its figures are for people to read."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import line, measure


@pytest.mark.slow
def test_every_figure_can_be_measured(tmp_path: Path) -> None:
    figures = {one.name: one for one in measure(tmp_path, 1, etcd=False)}
    assert set(figures) == {
        "python -c pass",
        "--help",
        "first frame, wizard",
        "memory at first frame, wizard",
        "first frame, demo",
        "memory at first frame, demo",
        "preview of an etcd scrape",
        "lab ready, stand-in",
        "dry run of one apply",
    }
    assert all(one.median > 0 for one in figures.values())
    assert "python -c pass, at most 20×" in line(figures["first frame, demo"])
