"""Where prose is broken: between Chinese characters too, never before what closes nor after what opens."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.content import Content

from tui.widgets.prose import CLOSING, OPENING, Prose, breaks, wrapped

CASES = [
    # text, cells, lines
    ("使 etcd 的指标到达观测云", 10, ["使 etcd 的", "指标到达观", "测云"]),
    ("指标到达，然后", 8, ["指标到", "达，然后"]),
    ("指标到达，然后", 10, ["指标到达，", "然后"]),
    ("指标（见下文）到达", 6, ["指标", "（见下", "文）到", "达"]),
    ("他说“好的”然后走", 6, ["他说", "“好的”", "然后走"]),
    ("先用etcd再用", 8, ["先用etcd", "再用"]),
    ("先用etcd再用", 7, ["先用", "etcd再", "用"]),
    ("好(见)了", 5, ["好", "(见)", "了"]),
    ("指标到达。", 8, ["指标到", "达。"]),
    ("  指标到达", 6, ["  指标", "到达"]),
    ("a" * 12 + " 指标", 5, ["aaaaa", "aaaaa", "aa 指", "标"]),
    ("指 标", 4, ["指", "标"]),
    ("one two 三", 7, ["one two", "三"]),
    ("一\n\n二三四", 4, ["一", "", "二三", "四"]),
    ("设为`etcd`的", 8, ["设", "为`etcd`", "的"]),
]


@pytest.mark.parametrize(("text", "width", "lines"), CASES)
def test_lines_in_cells(text: str, width: int, lines: list[str]) -> None:
    assert wrapped(Content(text), width).plain.split("\n") == lines
    assert all(cell_len(line) <= width for line in lines)


@pytest.mark.parametrize("width", range(4, 40))
def test_no_line_begins_or_ends_badly_and_nothing_is_lost(width: int) -> None:
    text = "每个运行 etcd 的节点读取自己的成员（不需要证书）。3 个节点没有 etcd，"
    text += "“每个间隔”都会报告 up=0；检查只判断前者。"
    lines = wrapped(Content(text), width).plain.split("\n")
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(cell_len(line) <= width for line in lines)
    if width >= 12:  # wider than the widest piece that may not be broken
        assert not [line for line in lines if line[0] in CLOSING or line[-1] in OPENING]


def test_styles_survive_and_plain_english_is_left_to_textual() -> None:
    text = Content.assemble("指标", ("到达", "bold"), "观测")
    broken = wrapped(text, 6)
    assert broken.plain == "指标到\n达观测"
    bold = "".join(broken.plain[span.start : span.end] for span in broken.spans if span.style == "bold")
    assert bold.replace("\n", "") == "到达"
    english = Content("one two three")
    assert wrapped(english, 5) is english
    assert breaks("one two three", 8) == [8]


class One(App[None]):
    """One text, eight cells wide."""

    CSS = "Prose { width: 8; height: auto; }"

    def compose(self) -> ComposeResult:
        yield Prose("指标到达观测云了")


async def test_the_widget_is_as_high_as_its_lines() -> None:
    app = One()
    async with app.run_test(size=(20, 5)) as pilot:
        await pilot.pause()
        prose = app.query_one(Prose)
        assert prose.size.height == 2
        lines = [strip.text.rstrip() for strip in prose.render_lines(prose.region.reset_offset)]
        assert lines == ["指标到达", "观测云了"]
