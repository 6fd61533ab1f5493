"""The bench of the views works."""

from __future__ import annotations

from views_bench import PANELS, measure


def test_every_figure_can_be_measured() -> None:
    figures = list(measure(1))
    assert [one.name for one in figures[:2]] == ["seven templates, files and all", "import of the plotting library"]
    assert figures[-1].name == f"drawing {PANELS} panels"
    assert all(one.median > 0 for one in figures)
