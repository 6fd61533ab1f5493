"""The bench of a large cluster works, and the first look costs as many requests and connections as it may.

300 nodes ask the same requests as 5,000: rows come in pages of 5,000, behind a first one of a hundred nodes.
"""

from __future__ import annotations

from pathlib import Path

from bench import line
from large_bench import measure

MOST_REQUESTS = 12


def test_the_first_look_and_every_figure(tmp_path: Path) -> None:
    found = list(measure(tmp_path, 1, 300))
    figures = {one.name: one for one, _look in found}
    assert set(figures) == {
        "one paged list",
        "cluster screen usable",
        "event loop late, p99",
        "key press answered, p99",
        "memory, rollout watched",
    }
    assert all(one.median > 0 for one in figures.values())
    assert "× that list, at most 2×" in line(figures["cluster screen usable"])
    (look,) = [look for _one, look in found if look is not None]
    assert len(look.requests) <= MOST_REQUESTS, look.requests
    assert look.connections == 1
    reviews = [path.rpartition("/")[2] for path in look.requests if path.startswith("post")]
    assert reviews == ["selfsubjectrulesreviews", "selfsubjectreviews"]
    assert not any("/exec" in path for path in look.requests)
