"""The bench of the preview works, and its large scrape is as large as it says."""

from __future__ import annotations

from bench import line
from preview_bench import SERIES, full, large_scrape, measure

from tui.core.prom.exposition import parse


def test_every_figure_can_be_measured() -> None:
    figures = {one.name: one for one in measure(1, 6_000)}
    assert set(figures) == {
        f"{what}, {name}"
        for what in ("full preview", "prometheus_client alone", "after an edit")
        for name in ("etcd", "API server")
    } | {"memory added, API server"}
    assert all(one.median > 0 for one in figures.values())
    assert "parser alone, at most 3×" in line(figures["full preview, API server"])


def test_the_large_scrape_is_large() -> None:
    read = parse(large_scrape(6_000), 1)
    assert read.error == ""
    assert sum(len(s.parts) + 2 for batch in read.batches for f in batch.values() for s in f.series) == 6_000
    body = large_scrape()
    assert body.count(b"\n") - body.count(b"#") == SERIES
    assert 10e6 < len(body) < 15e6
    assert full(b"etcd_a_b 1\n") == 1
