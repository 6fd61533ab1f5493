"""The small parts: widths in cells, lists, the clipboard, calls in threads, plots and the terminal's look."""

from __future__ import annotations

import asyncio
import base64
import io
import threading
import time
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult

from screens.series import passed
from tests.screens.fakes import SAMPLE
from tui import flow, terminal
from tui.core.checks import Result
from tui.core.etcd_presets import PRESETS, TUTORIAL
from tui.core.steps import Session
from tui.widgets import background, clipboard, glyphs, plot
from tui.widgets.check_table import CheckTable
from tui.widgets.choices import Choice, Choices
from tui.widgets.help_page import rendered
from tui.widgets.working import Working


@pytest.mark.parametrize("text", ["", "etcd", "etcd.conf 配置", "监控视图监控视图", "a界b界c界", "×√‼–"])
@pytest.mark.parametrize("width", [0, 1, 2, 5, 8, 30])
def test_fit_counts_cells(text: str, width: int) -> None:
    assert cell_len(glyphs.fit(text, width)) == width


def test_fit_shows_that_something_is_missing() -> None:
    assert glyphs.fit("监控视图一", 6) == "监控… "
    assert glyphs.fit("short", 8) == "short   "


def test_plain_replaces_our_signs_only_where_it_must() -> None:
    assert glyphs.plain("A – B → C ×30") == "A – B → C ×30"
    glyphs.use_ascii(True)
    try:
        assert glyphs.plain("A – B → C ×30 “x”") == 'A - B -> C x30 "x"'
    finally:
        glyphs.use_ascii(False)


class Lists(App[None]):
    """Two lists, one above the other."""

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[str] = []

    def compose(self) -> ComposeResult:
        yield Choices([Choice("a", "A"), Choice("b", "B", problem="no"), Choice("c", "C")], "c", id="one")
        yield Choices([Choice("x", "X"), Choice("y", "Y")], follow=True, id="two")

    def on_choices_changed(self, event: Choices.Changed) -> None:
        assert event.choices.chosen is not None
        self.changes.append(event.choices.chosen.key)


async def test_a_list_chooses_on_enter_and_forgets_the_cursor_when_left() -> None:
    app = Lists()
    async with app.run_test(size=(40, 10)) as pilot:
        one, two = app.query_one("#one", Choices), app.query_one("#two", Choices)
        one.focus()
        await pilot.press("up", "up")
        assert (one.cursor, one.index, app.changes) == (0, 2, [])
        assert one.undecided
        two.focus()
        await pilot.pause()
        assert (one.cursor, one.index) == (2, 2)
        one.focus()
        await pilot.press("home", "enter")
        assert app.changes == ["a"]
        await pilot.press("down", "enter")  # b cannot be chosen
        assert app.changes == ["a"]
        two.focus()
        await pilot.press("down")
        assert app.changes == ["a", "y"]


async def test_moving_one_row_repaints_two_lines_only() -> None:
    app = Lists()
    async with app.run_test(size=(40, 10)) as pilot:
        one = app.query_one("#one", Choices)
        one.focus()
        await pilot.pause()
        painted: list[int] = []
        original = one.render_line

        def counted(y: int) -> object:
            painted.append(y)
            return original(y)

        one.render_line = counted  # type: ignore[assignment, method-assign]
        await pilot.press("up")
        await pilot.pause()
        assert set(painted) == {1, 2}


class Waiting(App[None]):
    """One working line."""

    def compose(self) -> ComposeResult:
        yield Working(id="working")


async def test_a_quick_call_shows_nothing_and_a_slow_one_stays() -> None:
    app = Waiting()
    async with app.run_test(size=(60, 5)) as pilot:
        line = app.query_one(Working)
        line.start("Quick")
        line.finish()
        await pilot.pause()
        assert str(line.render()) == ""
        line.start("Slow")
        deadline = time.monotonic() + 5
        while "Slow" not in str(line.render()):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        shown = time.monotonic()
        line.finish()
        while "Slow" in str(line.render()):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        assert time.monotonic() - shown > 0.8
        assert line._ticks is None


async def test_a_call_in_a_thread_hands_back_result_and_error() -> None:
    assert await background.in_thread(lambda: threading.current_thread().daemon) is True

    def fail() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        await background.in_thread(fail)


async def test_a_write_is_waited_for_and_a_read_is_not() -> None:
    background.reset()
    go, done = threading.Event(), threading.Event()

    def write() -> None:
        go.wait(5)
        done.set()

    task = asyncio.ensure_future(background.in_thread(write, writes=True))
    await asyncio.sleep(0)
    assert background.writing()
    assert background.settle(0.01) is False
    assert background.stopping()
    go.set()
    assert background.settle(5) is True
    assert done.is_set()
    await task
    background.reset()


async def test_callbacks_from_a_thread_run_on_the_loop() -> None:
    seen: list[bool] = []
    main = threading.current_thread()
    report = background.to_loop(lambda: seen.append(threading.current_thread() is main))
    await background.in_thread(report)
    await asyncio.sleep(0)
    assert seen == [True]


def test_the_clipboard_passes_through_tmux_and_has_a_limit() -> None:
    encoded = base64.b64encode("größe".encode()).decode()
    assert clipboard.sequence("größe", {}) == f"\x1b]52;c;{encoded}\x07"
    wrapped = clipboard.sequence("größe", {"TMUX": "/tmp/x"})
    assert wrapped == f"\x1bPtmux;\x1b\x1b]52;c;{encoded}\x07\x1b\\"
    assert (clipboard.sequence("x" * 2000, {"TERM": "screen.xterm"}) or "").count("\x1bP") > 2
    assert clipboard.sequence("x" * 80_000, {}) is None


def test_spark_and_number() -> None:
    assert plot.spark([1, 2, 3, 4, 5, 6, 7, 8]) == "▁▂▃▄▅▆▇█"
    assert plot.spark([]) == ""
    assert len(set(plot.spark([5, 5, 5]))) == 1
    assert [plot.number(v) for v in (1.0, 0.25, 44_000_000.5, 1.5e12)] == ["1", "0.25", "44.00M", "1.50T"]


def test_help_texts_lose_their_marks() -> None:
    assert rendered("## Title\n- **bold** and `code`").plain == "Title\n· bold and code"


def _result(status: str, id: str = "etcd/fed", **more: object) -> Result:
    return Result(id, "c", "etcd", id.split("/")[0], "required", status, "They arrive", found="nothing", **more)  # type: ignore[arg-type]


class Table(App[None]):
    """One table of checks."""

    def compose(self) -> ComposeResult:
        yield CheckTable(id="checks")


async def test_what_is_well_folds_and_what_is_not_says_why() -> None:
    app = Table()
    async with app.run_test(size=(80, 20)) as pilot:
        table = app.query_one(CheckTable)
        table.show([_result("pass"), _result("pass", "etcd/filter")])
        await pilot.pause()
        assert table.size.height == 1
        table.show([_result("pass"), _result("fail", "etcd/filter", causes=("a typo",), remedy="Mend it.")])
        await pilot.pause()
        text = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
        for part in ("1 of 2 passed", "× They arrive: nothing", "because a typo", "Mend it."):
            assert part in text


def test_presets_keep_as_many_series_as_they_promise() -> None:
    body = SAMPLE.read_bytes()
    found = passed(TUTORIAL, body, {})
    assert found.kept == PRESETS["tutorial"].series
    assert found.all == 1246
    assert "server_has_leader" in found.fields["etcd"]
    assert {row.dropped_by for row in found.rows} == {"", "metric_name_filter"}


UTF8 = {"LANG": "en_US.UTF-8", "TERM": "xterm-256color"}


@pytest.mark.parametrize(
    ("environ", "ansi", "ascii_only"),
    [
        (UTF8, True, False),
        ({**UTF8, "COLORTERM": "truecolor"}, False, False),
        ({**UTF8, "COLORTERM": "truecolor", "SSH_CONNECTION": "1 2 3 4"}, True, False),
        ({**UTF8, "COLORTERM": "truecolor", "NO_COLOR": "1"}, True, False),
        ({"LC_ALL": "C", "LANG": "zh_CN.UTF-8", "TERM": "xterm"}, True, True),
        ({"LANG": "zh_CN.GB18030", "TERM": "xterm"}, True, True),
        ({**UTF8, "TERM": "linux"}, True, True),
        ({"LANG": "zh_CN.utf8", "TERM": "xterm"}, True, False),
    ],
)
def test_the_look_follows_the_terminal(environ: dict[str, str], ansi: bool, ascii_only: bool) -> None:
    found = dict(environ)
    assert terminal.prepare_environment(found) == terminal.Look(ansi, ascii_only)
    assert found["TEXTUAL_ANIMATIONS"] == "none"


def test_color_never_is_no_color_and_always_lifts_it() -> None:
    environ = {**UTF8, "COLORTERM": "truecolor"}
    assert terminal.prepare_environment(environ, color="never").ansi
    assert environ["NO_COLOR"] == "1"
    assert not terminal.prepare_environment(environ, color="always").ansi
    assert "NO_COLOR" not in environ


class Tty(io.StringIO):
    """A stream that says it is a terminal, without a size to ask for."""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError


@pytest.mark.parametrize("term", ["", "dumb", "unknown"])
def test_a_terminal_that_cannot_draw_is_refused_in_one_line(term: str) -> None:
    refused = terminal.refusal({"TERM": term}, Tty(), Tty())
    assert refused.count("\n") == 0
    assert "TERM" in refused
    assert terminal.refusal({"TERM": "xterm"}, Tty(), Tty()) == ""
    assert "needs a terminal" in terminal.refusal({"TERM": "xterm"}, io.StringIO(), Tty())


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"schema": "other"}', '{"schema": 3, "step": "x"}'])
def test_a_kept_place_that_cannot_be_used_is_none(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "resume.json").write_text(content)
    assert flow.load(tmp_path) is None


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    flow.save(Session(state_dir=blocked / "state"), "cluster", "now")
