"""The live view as a person walks through it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from screens.live import LivePage
from screens.live_pages import LinkPage, ValuesPage
from tests.screens import live_answers
from tests.screens.drive import Drive, driving
from tests.screens.fakes import FakeBackend, World
from tests.screens.test_looks import compare_text
from tui import i18n
from tui.core import live, views
from tui.core.errors import UnreachableError
from tui.core.ports import Answer, Ask, Budget, Dashboard, Series
from tui.core.view_sync import SAME, Standing, Wanted
from tui.terminal import Look
from tui.widgets.live_panel import LivePanel
from tui.widgets.selectors import Selectors

DATA = Path(__file__).parents[1] / "data" / "screens" / "live"
NOW_S = 1_760_000_000.0


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """The same moment in the same place of the world."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setattr(time, "time", lambda: NOW_S)
    yield
    monkeypatch.undo()
    time.tzset()


@asynccontextmanager
async def watching(
    tmp_path: Path,
    key: str = "etcd",
    size: tuple[int, int] = (80, 24),
    world: World | None = None,
    look: Look | None = None,
    paint: bool = False,
) -> AsyncIterator[Drive]:
    """A live view, answered, above a wizard that has cluster and workspace."""
    async with driving(tmp_path, world or World.fresh(), size=size, look=look, paint=paint) as drive:
        session, backend = drive.app.session, FakeBackend(drive.world)
        session.cluster = backend.clusters().connect("admin@prod")
        session.studio = backend.studio("https://studio.example", drive.world.key)
        session.answers = replace(session.answers, cluster=replace(session.answers.cluster, name="lab"))
        drive.app.push_screen(LivePage(session, key))
        await drive.until(lambda: isinstance(drive.app.screen, LivePage) and drive.world.asked)
        await drive.rest()
        yield drive


def said(drive: Drive) -> str:
    """What was said in a notification; tests do not draw them."""
    return " ".join(notification.message for notification in drive.app._notifications)


def page(drive: Drive) -> LivePage:
    assert isinstance(drive.app.screen, LivePage)
    return drive.app.screen


async def test_one_request_for_all_panels_of_a_view(tmp_path: Path) -> None:
    async with watching(tmp_path) as drive:
        for number, key in enumerate(views.KEYS, 1):
            await drive.press(str(number))
            picture = page(drive).picture
            assert page(drive).live.view.key == key
            assert picture is not None
            assert all(panel.filled for panel in picture.panels)
        assert len(drive.world.asked) == 1 + len(views.KEYS)  # ETCD was there before


async def test_next_and_previous_walk_through_the_panels(tmp_path: Path) -> None:
    async with watching(tmp_path) as drive:
        assert "Has leader" in drive.text
        assert "Overview · 1/24" in drive.text
        await drive.press("n")
        assert "Overview · 2/24" in drive.text
        await drive.press("p", "p")
        assert "24/24" in drive.text
        await drive.press("space")
        assert "1/24" in drive.text
        assert len(drive.world.asked) == 1  # walking asks nothing


async def test_choosing_a_value_asks_once_with_it(tmp_path: Path) -> None:
    async with watching(tmp_path) as drive:
        await drive.press("right", "enter")
        assert isinstance(drive.app.screen, ValuesPage)
        assert "cp-2:2381" in drive.text
        await drive.press("down", "down", "enter")
        assert "Instance ▸cp-2:2381" in drive.text
        assert len(drive.world.asked) == 2
        of_panels = [ask.text for ask in drive.world.asked[-1] if ask.interval_s and "etcd" in ask.text]
        assert all("cp-2:2381" in text for text in of_panels if "instance" in text.partition("BY")[0])


async def test_another_cluster_lets_what_hangs_on_it_fall_back(tmp_path: Path) -> None:
    async with watching(tmp_path) as drive:
        await drive.press("right", "enter", "down", "enter")
        assert page(drive).live.chosen["instance"] == "cp-1:2381"
        await drive.press("left", "enter", "up", "up", "enter")
        assert page(drive).live.chosen == {}
        await drive.press("enter", "escape")  # looked at, and left as it was
        assert len(drive.world.asked) == 3


async def test_a_value_that_cannot_stand_in_a_query_changes_nothing(tmp_path: Path) -> None:
    def evil(asks: Sequence[Ask], end_ms: int) -> list[Answer]:
        return [
            Answer((Series({"key": "instance", "value": "a' or 1"}, (), ()),)) if "'instance'" in ask.text else answer
            for ask, answer in zip(asks, live_answers.answers(asks, end_ms), strict=True)
        ]

    world = World.fresh()
    world.answer = evil
    async with watching(tmp_path, world=world) as drive:
        await drive.press("right", "enter", "down", "enter")
        assert page(drive).live.chosen == {"cluster_name_k8s": "lab"}
        await drive.until(lambda: "cannot stand in a query" in said(drive))
        assert len(world.asked) == 1


async def test_a_longer_range(tmp_path: Path) -> None:
    async with watching(tmp_path) as drive:
        assert "the last 15 min" in drive.text
        await drive.press("t", "t")
        assert "the last 6 h" in drive.text
        assert {ask.interval_s for ask in drive.world.asked[-1]} == {0, 180}


async def test_nothing_is_painted_where_nothing_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in ((80, 24), (140, 40)):
        async with watching(tmp_path / str(size[0]), size=size, paint=True) as drive:
            painted: list[object] = []
            monkeypatch.setattr(drive.app, "_display", lambda _screen, what, seen=painted: seen.append(what))
            await page(drive)._look(quiet=True)
            await drive.rest()
            assert len(drive.world.asked) == 2
            assert [what for what in painted if what is not None] == []


async def test_only_the_panel_that_changed_is_painted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with watching(tmp_path, size=(140, 40), paint=True) as drive:
        [changed, *_others] = page(drive).panels[0].queries(page(drive).live.chosen)

        def answer(asks: Sequence[Ask], end_ms: int) -> list[Answer]:
            made = live_answers.answers(asks, end_ms)
            return [Answer() if ask.text == changed else one for ask, one in zip(asks, made, strict=True)]

        drive.world.answer = answer
        painted: list[str] = []
        render = LivePanel.render
        monkeypatch.setattr(LivePanel, "render", lambda self: (painted.append(self.title), render(self))[1])
        await page(drive)._look(quiet=True)
        await drive.rest()
        assert set(painted) == {"Has leader"}
        assert "No points in this time range" in drive.text


async def test_it_asks_again_when_the_next_points_are_due(tmp_path: Path) -> None:
    world = World.fresh()
    world.time_scale = 600.0  # a lab whose minute takes a tenth of a second
    async with watching(tmp_path, world=world) as drive:
        await drive.until(lambda: len(world.asked) >= 3)
        await drive.pilot.press("escape")
        await drive.until(lambda: not isinstance(drive.app.screen, LivePage))


async def test_the_limit_is_said_while_it_is_waited_for(tmp_path: Path) -> None:
    world = World.fresh()
    async with watching(tmp_path, world=world) as drive:
        world.budget = Budget(0, 20, 12.0)
        told: list[str] = []
        world.answer = lambda asks, end_ms: (told.append(drive.text), live_answers.answers(asks, end_ms))[1]
        await drive.press("t")
        await drive.until(lambda: told)
        assert "The studio allows 20 requests a minute; the next may go at 08:53:32." in told[0]


async def test_a_studio_that_does_not_answer_keeps_what_is_there(tmp_path: Path) -> None:
    async with watching(tmp_path) as drive:

        def fails(_asks: Sequence[Ask], _end_ms: int) -> list[Answer]:
            raise UnreachableError("The studio cannot be reached.", why="connection refused")

        drive.world.answer = fails
        await drive.press("t")
        assert "× The studio cannot be reached. connection refused" in drive.text
        assert "A cp-1:2381" in drive.text
        drive.world.answer = live_answers.answers
        await drive.press("t")
        assert "24 of 24 panels have data" in drive.text


async def test_an_answer_that_is_no_longer_wanted_is_dropped(tmp_path: Path) -> None:
    async with watching(tmp_path) as drive:
        here = page(drive)
        before = here.picture
        here._acts += 1
        wanted = here._look(quiet=True)
        here._acts += 1  # the person does something while it is under way
        task = drive.app.run_worker(wanted, group="look")
        here._acts += 0
        await task.wait()
        assert here.picture == before


async def test_a_panel_without_data_says_what_it_lacks(tmp_path: Path) -> None:
    world = World.fresh()
    world.answer = lambda asks, _end_ms: [Answer() for _ask in asks]
    async with watching(tmp_path, "kubernetes", world=world) as drive:
        assert "Nothing has arrived of kubernetes." in drive.text
        assert "the input `container` is on" in drive.text
        assert "0 of 44 panels have data" in drive.text


async def test_a_view_that_is_not_there_has_no_link(tmp_path: Path) -> None:
    async with watching(tmp_path) as drive:
        await drive.press("o")
        await drive.until(lambda: "not in the studio yet" in said(drive))


async def test_the_link_is_printed_and_copied(tmp_path: Path) -> None:
    async with watching(tmp_path) as drive:
        there = Dashboard("dsbd_custom_1", "ETCD")
        drive.app.session.saw([Standing(Wanted("etcd", "lab", "ETCD", "en"), there.uuid, SAME, there)])
        written: list[str] = []
        assert drive.app._driver is not None
        drive.app._driver.write = written.append  # type: ignore[method-assign]
        await drive.press("o")
        assert isinstance(drive.app.screen, LinkPage)
        assert "https://console.example/scene/dashboard/dsbd_custom_1" in drive.text
        assert any("]52;c;" in text for text in written)


async def test_the_grid_and_one_panel_alone(tmp_path: Path) -> None:
    async with watching(tmp_path, size=(140, 40)) as drive:
        assert "Has leader" in drive.text
        assert "Proposals applied" in drive.text
        await drive.press("n", "n", "z")
        assert "Overview · 3/24" in drive.text
        await drive.press("z")
        assert "Proposals applied" in drive.text
        await drive.pilot.resize_terminal(100, 30)
        await drive.until(lambda: "3/24" in drive.text)
        await drive.pilot.resize_terminal(140, 40)
        await drive.until(lambda: "Proposals applied" in drive.text)


async def test_the_panel_under_the_cursor_is_scrolled_to(tmp_path: Path) -> None:
    async with watching(tmp_path, size=(140, 40)) as drive:
        last = page(drive).panels[-1].title["en"]
        assert last not in drive.text
        await drive.press("p")
        assert f"▸ {last}" in drive.text


async def test_a_digit_shows_another_view(tmp_path: Path) -> None:
    for size in ((80, 24), (140, 40)):
        async with watching(tmp_path / str(size[0]), size=size) as drive:
            await drive.press("6")
            assert "Istio Service Monitoring View" in drive.text
            assert "Client request volume" in drive.text
            assert "Client namespace" in drive.text
            await drive.press("6")
            assert len(drive.world.asked) == 2


async def test_help_tells_of_the_keys(tmp_path: Path) -> None:
    async with watching(tmp_path) as drive:
        await drive.press("question_mark")
        assert "A view, live" in drive.text
        await drive.press("pagedown")
        assert "15 minutes, 1 hour, 6 hours, 1 day" in drive.text
        await drive.press("escape")
        assert isinstance(drive.app.screen, LivePage)


async def test_from_the_steps(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        for step in ("etcd", "verify", "done"):
            await drive.to(step)
            await drive.press("l")
            await drive.until(lambda: isinstance(drive.app.screen, LivePage))
            assert page(drive).live.view.key == "etcd"
            assert page(drive).live.chosen == {"cluster_name_k8s": "lab"}
            await drive.press("escape")
            assert step == drive.screen.STEP


@pytest.mark.parametrize("words", ["en", "zh"])
@pytest.mark.parametrize("size", [(80, 24), (140, 40)], ids=["80x24", "140x40"])
async def test_looks(tmp_path: Path, size: tuple[int, int], words: str) -> None:
    """Each of the seven; what is not yet made is made on the way."""
    i18n.use_language(words)
    async with watching(tmp_path, views.KEYS[-1], size) as drive:
        for number, key in enumerate(views.KEYS, 1):
            await drive.press(str(number))
            compare_text(drive, DATA / f"{key}-{size[0]}x{size[1]}-{words}.txt")


def test_no_expected_look_is_forgotten() -> None:
    assert len(list(DATA.glob("*.txt"))) == 4 * len(views.KEYS)


@pytest.mark.parametrize("size", [(80, 24), (140, 40)], ids=["80x24", "140x40"])
async def test_ascii_is_kept_to_and_every_line_fits(tmp_path: Path, size: tuple[int, int]) -> None:
    async with watching(tmp_path, views.KEYS[-1], size, look=Look(ansi=True, ascii=True)) as drive:
        for number in range(1, len(views.KEYS) + 1):
            await drive.press(str(number), "n")
            strips = drive.app.screen._compositor.render_strips()
            assert [cell_len(strip.text) for strip in strips] == [size[0]] * size[1]
            # Textual's own scroll bars are blocks.
            assert not [c for c in drive.text if ord(c) > 126 and not 0x2580 <= ord(c) <= 0x259F]


async def test_selectors_flow_over_lines(tmp_path: Path) -> None:
    async with watching(tmp_path, "istio-service") as drive:
        bar = drive.app.screen.query_one(Selectors)
        assert bar.size.height >= 2
        await drive.press("left")
        assert bar.rows[bar.at][0] == "dstwl"
        assert live.begin(views.view("istio-service"), "lab").chosen == page(drive).live.chosen
