"""What panels are drawn as: never wider or higher than they may be, in both sets of signs, CJK counted in cells."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from rich.cells import cell_len

from tui.core.panel_data import Course, PanelData, Share
from tui.widgets import bar_list, data_table, line_chart, number_card
from tui.widgets.glyphs import use_ascii
from tui.widgets.live_panel import drawn

BASE = 1_760_000_000_000.0


def course(name: str, unit: str = "percent", level: float = 50.0, points: int = 16, step: float = 60_000) -> Course:
    made = ((BASE + step * at, level * (1 + 0.3 * math.sin(at / 3))) for at in range(points))
    return Course(name, unit, tuple(made))


def text(lines: list[list[tuple[str, str]]]) -> list[str]:
    return ["".join(part for part, _style in line) for line in lines]


@pytest.fixture
def ascii_only() -> Iterator[None]:
    use_ascii(True)
    yield
    use_ascii(False)


SOME = (course("容器 nginx"), course("coredns", level=20), course("a-very-long-name-of-a-container-that-is-cut"))
TOP = tuple(Share(f"节点 {n}", 9.0 - n, "count") for n in range(9))
ZEROS = (Share("a", 0.0, "count"), Share("b", 0.0, "count"))
MANY = tuple(course(f"n{n}", level=n + 1) for n in range(30))
WIDE = ("top list", "table", "empty", "lines", "numbers")  # their texts are Chinese
PANELS = {
    "one line": PanelData("k", "t", "g", "sequence", courses=(course("", "bytes", 3e8),)),
    "lines": PanelData("k", "t", "g", "sequence", courses=SOME),
    "many lines": PanelData("k", "t", "g", "sequence", courses=MANY),
    "one point": PanelData("k", "t", "g", "sequence", courses=(course("x", points=1),)),
    "constant": PanelData("k", "t", "g", "sequence", courses=(course("x", level=0),)),
    "number": PanelData("k", "t", "g", "singlestat", courses=(course("", "bytes/s", 4e4),)),
    "numbers": PanelData("k", "t", "g", "singlestat", courses=SOME),
    "top list": PanelData("k", "t", "g", "toplist", shares=TOP),
    "nothing but zeros": PanelData("k", "t", "g", "toplist", shares=ZEROS),
    "pie": PanelData("k", "t", "g", "pie", shares=(Share("prod", 3.0, "count"), Share("kube-system", 1.0, "count"))),
    "table": PanelData("k", "t", "g", "table", heads=("名", "n"), rows=(("生产", "1"),) * 30, right=(False, True)),
    "empty": PanelData("k", "t", "g", "table", why="没有收到 kube_pod 的数据点。\nIt fills when: " + "x " * 60),
    "refused": PanelData("k", "t", "g", "table", error="unknown function exec: M::`etcd`:(exec(`up`))"),
}  # fmt: skip
SIZES = [(76, 18), (44, 11), (23, 6), (12, 4), (5, 1)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PANELS)
def test_a_panel_keeps_to_its_place(name: str, size: tuple[int, int]) -> None:
    width, height = size
    lines = text(drawn(PANELS[name], width, height))
    assert len(lines) <= height
    if width >= 12:
        assert not [line for line in lines if cell_len(line.rstrip()) > width]


@pytest.mark.usefixtures("ascii_only")
@pytest.mark.parametrize("name", [name for name in PANELS if name not in WIDE])
def test_ascii_is_kept_to(name: str) -> None:
    for width, height in SIZES:
        assert "\n".join(text(drawn(PANELS[name], width, height))).isascii()


def test_a_chart_has_unit_axes_and_newest_value() -> None:
    lines = text(line_chart.draw([course("", "bytes", 300 * 2**20)], 60, 12))
    assert lines[0].startswith("MiB")
    assert lines[0].endswith("MiB")  # the newest value, for no legend says it
    assert [line for line in lines if "400┤" in line]
    assert ":" in lines[-1]


def test_lines_are_told_by_letter_and_legend() -> None:
    lines = text(line_chart.draw([course("up", level=90), course("down", level=10)], 60, 14))
    assert lines[-1].startswith("A up")
    assert "B down" in lines[-1]
    ends = "".join(line[57:].strip() for line in lines[1:-3])
    assert ends == "AB"  # each at the end of its line, the higher one above


def test_lines_that_end_together_share_the_place() -> None:
    lines = text(line_chart.draw([course("a"), course("b")], 60, 14))
    assert any(line.endswith("AB") for line in lines)


@pytest.mark.usefixtures("ascii_only")
def test_in_ascii_lines_are_told_by_their_sign() -> None:
    lines = text(line_chart.draw([course("up", level=90), course("down", level=10)], 60, 14))
    plotted = "\n".join(lines[1:-3])
    assert plotted.count("*") > 20
    assert plotted.count("o") > 20
    assert lines[-1].startswith("* up")


def test_of_many_lines_the_highest_are_drawn_and_it_says_so() -> None:
    lines = text(line_chart.draw(PANELS["many lines"].courses, 40, 12))
    assert "the highest 8 of 30" in lines[0]
    assert "n29" in "".join(lines)
    assert "n3 " not in "".join(lines)


def test_a_line_is_broken_where_points_are_missing() -> None:
    points = course("").points
    assert [len(piece) for piece in line_chart._pieces([*points[:5], *points[10:]])] == [5, 6]
    assert [len(piece) for piece in line_chart._pieces(points[:2])] == [2]


def test_a_bar_is_as_long_as_its_value() -> None:
    assert bar_list.bar(0.5, 10) == "█████"
    assert bar_list.bar(0.55, 10) == "█████▌"
    assert bar_list.bar(1.0, 10) == "█" * 10
    assert bar_list.bar(0.0001, 10) == "▏"
    assert bar_list.bar(0.0, 10) == ""


def test_a_pie_has_shares() -> None:
    lines = text(bar_list.draw(PANELS["pie"].shares, 60, 9, pie=True))
    assert lines[0].endswith("3   75.0%")
    assert lines[1].endswith("1   25.0%")
    assert lines[0].count("█") > 2.5 * lines[1].count("█")


def test_what_has_no_place_is_counted() -> None:
    assert text(bar_list.draw(PANELS["top list"].shares, 60, 4, more=2))[-1].startswith("and 8 more")
    assert text(data_table.draw(("a",), [("x",)] * 30, (False,), 20, 10))[-1].startswith("and 22 more")


def test_numbers_of_a_table_stand_on_the_right() -> None:
    lines = text(data_table.draw(("name", "n"), [("a", "1"), ("b", "100")], (False, True), 40, 9))
    assert lines == ["name    n", "a       1", "b     100"]


def test_a_wide_table_is_cut_where_it_is_widest() -> None:
    [_head, row] = text(data_table.draw(("a", "image"), [("x", "registry/" + "y" * 60)], (False, False), 30, 9))
    assert row.startswith("x  registry/yyy")
    assert row.endswith("…")
    assert cell_len(row) == 30


def test_a_number_is_large() -> None:
    lines = text(number_card.draw([Course("", "count", ((BASE, 42.0),))], 30, 6))
    assert [line.strip() for line in lines if line.strip()] == ["╻ ╻╺━┓", "┗━┫┏━┛", "╹┗━╸"]


def test_an_error_is_shown_on_the_panel() -> None:
    lines = text(drawn(PANELS["refused"], 60, 8))
    assert "The studio refused this query:" in lines[1]
    assert "exec" in lines[2]
