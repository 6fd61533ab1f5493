"""What the screens look like: their text at 80×24, widths in cells, few keys, and both sets of signs.

The expected texts lie in tests/data/screens; with UPDATE_SCREENS=1 in the environment they are written anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.screens.drive import Drive, driving
from tests.screens.fakes import World
from tui import i18n
from tui.core.steps import STEPS
from tui.terminal import Look
from tui.widgets.chrome import MAX_KEYS, KeyLine
from tui.widgets.step_rail import StepRail
from tui.widgets.step_screen import SHORT
from tui.widgets.too_small import TooSmall

DATA = Path(__file__).parents[1] / "data" / "screens"
EXPECTED = 16  # files in DATA


def compare(drive: Drive, name: str) -> None:
    """The screen's text against its file."""
    compare_text(drive, DATA / f"{name}.txt")


def compare_text(drive: Drive, path: Path) -> None:
    """The screen's text against a file."""
    text = drive.text + "\n"
    if os.environ.get("UPDATE_SCREENS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{path} differs; look at it, then run with UPDATE_SCREENS=1"


async def test_texts_of_the_screens(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        compare(drive, "welcome")
        await drive.press("enter")
        compare(drive, "cluster-contexts")
        await drive.press("enter")
        compare(drive, "cluster-found")
        await drive.press("c")
        compare(drive, "command")
        await drive.press("escape", "enter", "question_mark")
        compare(drive, "help")
        await drive.press("escape", "enter")
        compare(drive, "workspace")
        await drive.press("enter")
        compare(drive, "etcd-conf-choices")
        await drive.press("right")
        compare(drive, "etcd-conf-text")
        await drive.press("right")
        compare(drive, "etcd-conf-series")
        await drive.press("enter")
        compare(drive, "certificates")
        await drive.press("enter")
        compare(drive, "datakit")
        await drive.press("enter")
        compare(drive, "review")
        drive.app.go("docker")
        await drive.rest()
        compare(drive, "view-docker")
        drive.app.go("etcd")
        await drive.rest()
        compare(drive, "view-etcd")


async def test_texts_of_a_refusal(tmp_path: Path) -> None:
    async with driving(tmp_path, key="") as drive:
        await drive.press("enter", "up", "down", "enter")
        compare(drive, "cluster-viewer")
        await drive.press("ctrl+c")
        compare(drive, "leave")


def test_no_expected_text_is_forgotten() -> None:
    assert len(list(DATA.glob("*.txt"))) == EXPECTED


class Doubled:
    """A catalogue that makes every text as wide as it gets: two cells a letter."""

    def gettext(self, message: str) -> str:
        wide = [chr(ord(c) + 0xFEE0) if "a" <= c <= "z" else c for c in message]
        return "".join(wide) if "{" not in message else message

    def ngettext(self, singular: str, plural: str, n: int) -> str:
        return singular if n == 1 else plural


async def _whole_walk(drive: Drive, check: object) -> None:
    assert callable(check)
    steps = (
        "welcome", "cluster", "workspace", "etcd-conf", "certificates", "datakit", "review", "etcd", "verify", "done",
    )  # fmt: skip
    for step in steps:
        if step != "welcome":
            await drive.to(step)
        check()
        if step == "etcd-conf":
            for pane in ("2", "3", "1"):
                await drive.press(pane)
                check()
        await drive.press("question_mark")
        check()
        await drive.press("escape")
    for step in ("docker", "istio-workload"):
        drive.app.go(step)
        await drive.rest()
        check()


@pytest.mark.parametrize(
    ("words", "size", "ascii_only"),
    [
        ("doubled", (80, 24), False),
        pytest.param("zh", (120, 36), False, marks=pytest.mark.slow),
        pytest.param("en", (80, 24), True, marks=pytest.mark.slow),
    ],
)
async def test_every_screen_fits(
    tmp_path: Path, words: str, size: tuple[int, int], ascii_only: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every line has exactly the terminal's cells; rail, keys and the go-on line are always there; ASCII is kept to."""
    if words == "doubled":
        monkeypatch.setattr(i18n, "_catalogue", Doubled())
    else:
        i18n.use_language(words)

    async with driving(tmp_path, size=size, look=Look(ansi=ascii_only, ascii=ascii_only)) as drive:

        def check() -> None:
            screen = drive.app.screen
            strips = screen._compositor.render_strips()
            assert len(strips) == size[1]
            assert [cell_len(strip.text) for strip in strips] == [size[0]] * size[1]
            if ascii_only:
                # Textual's own scroll bars are blocks; everything that we draw is ASCII.
                text = drive.text
                assert not [c for c in set(text) if ord(c) > 126 and not 0x2580 <= ord(c) <= 0x259F], text
            keys = screen.query_one(KeyLine)
            assert 1 <= len(keys._shown[:MAX_KEYS]) <= MAX_KEYS
            assert keys.region.bottom == size[1] - screen.styles.padding.bottom
            if screen.query(StepRail):
                assert screen.query_one(StepRail).size.height >= len(STEPS)
                # the line that says what Enter does is always there, whole or shortened by an ellipsis
                assert drive.screen.go_on.region.bottom == size[1] - 1
                assert drive.next
                actions = {active.binding.action for active in screen.active_bindings.values()}
                assert {"help", "ask_quit(130)", "go_on"} <= actions

        await _whole_walk(drive, check)


async def test_a_small_terminal_says_so_and_yields(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("cluster")
        await drive.pilot.resize_terminal(60, 20)
        await drive.until(lambda: isinstance(drive.app.screen, TooSmall))
        assert "60×20" in drive.text
        assert "80×24" in drive.text
        await drive.pilot.resize_terminal(70, 30)
        await drive.until(lambda: "70×30" in drive.text)
        await drive.pilot.resize_terminal(80, 24)
        await drive.until(lambda: not isinstance(drive.app.screen, TooSmall))
        assert drive.screen.STEP == "cluster"


async def test_a_terminal_that_is_small_from_the_start(tmp_path: Path) -> None:
    async with driving(tmp_path, size=(40, 10)) as drive:
        await drive.until(lambda: isinstance(drive.app.screen, TooSmall))
        await drive.pilot.resize_terminal(100, 30)
        await drive.until(lambda: not isinstance(drive.app.screen, TooSmall))
        assert drive.screen.STEP == "welcome"


async def test_the_rail_widens(tmp_path: Path) -> None:
    async with driving(tmp_path, size=(130, 30)) as drive:
        assert "1.3.3 ETCD view" in drive.text
        assert "not yet" in drive.text
        await drive.pilot.resize_terminal(80, 24)
        await drive.pilot.pause()
        assert "1.3.3" not in drive.text


def test_short_names_match_the_model() -> None:
    assert set(SHORT) == {step.key for step in STEPS}


async def test_chinese_is_shown(tmp_path: Path) -> None:
    i18n.use_language("zh")
    async with driving(tmp_path, world=World.fresh()) as drive:
        await drive.to("etcd")
        assert "ETCD 监控视图" in drive.text
