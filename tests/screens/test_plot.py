"""The lines of the proof of arrival: course, newest value, growth a second, and when it was scraped."""

from __future__ import annotations

import time

import pytest
from rich.cells import cell_len

from tui.widgets.plot import Points, line

POINTS = [(1_760_000_000_000.0 + 2_000 * n, 100.0 + 3 * n) for n in range(5)]
CLOCK = time.strftime("%H:%M:%S", time.localtime(POINTS[-1][0] / 1000))


def text(name: str, points: Points, width: int) -> str:
    return "".join(part for part, _style in line(name, points, 12, width)).rstrip("\n")


def test_a_counter_has_its_growth_a_second_and_the_time_where_there_is_room() -> None:
    assert text("acts_total", POINTS, 80).endswith(f"112   +1.5/s  {CLOCK}")
    assert text("acts_total", POINTS, 58).endswith("112   +1.5/s")


def test_what_is_no_counter_has_no_growth_and_one_that_fell_has_none_either() -> None:
    assert "/s" not in text("leader", POINTS, 80)
    assert "/s" not in text("acts_total", [*POINTS, (POINTS[-1][0] + 2_000, 1.0)], 80)
    assert "/s" not in text("acts_total", POINTS[:1], 80)
    assert text("acts_total", [], 80).startswith("acts_total")


@pytest.mark.parametrize("width", [40, 58, 76, 120])
@pytest.mark.parametrize("name", ["leader", "acts_total"])
def test_it_fits(width: int, name: str) -> None:
    assert cell_len(text(name, POINTS, width)) < width
