"""`w` on a panel: the first broken hop on the way of its data, and the command that mends it."""

from __future__ import annotations

from pathlib import Path

from screens.why import PanelsPage, WhyPage
from tests.screens.drive import Drive
from tests.screens.fakes import World
from tests.screens.test_live import watching
from tui.core import views
from tui.core.ports import Answer
from tui.widgets.working import Working


def empty_world() -> World:
    """A cluster before anything was set up, and a workspace that has nothing of it."""
    world = World.fresh()
    world.answer = lambda asks, _end_ms: [Answer(()) for _ask in asks]
    return world


async def looked(drive: Drive) -> WhyPage:
    await drive.until(lambda: isinstance(drive.app.screen, WhyPage))
    shown = drive.app.screen
    assert isinstance(shown, WhyPage)
    await drive.until(lambda: not shown.query_one(Working).busy and bool(str(shown.query_one("#why").content)))
    return shown


async def test_an_empty_panel_leads_to_its_first_broken_hop_and_the_one_command(tmp_path: Path) -> None:
    async with watching(tmp_path, "etcd", world=empty_world()) as drive:
        await drive.press("n", "w")
        shown = await looked(drive)
        assert shown.panel.key == views.view("etcd").panels[1].key
        assert "it is empty" in drive.text
        assert "conf/key" in drive.text
        assert shown.command.startswith("datakit-wizard answers")
        assert "datakit-wizard answers > answers.toml" in drive.text
        assert drive.world.writes == []
        await drive.press("escape")
        assert not isinstance(drive.app.screen, WhyPage)


async def test_a_panel_that_fills_says_so_and_has_no_command(tmp_path: Path) -> None:
    async with watching(tmp_path, "kubernetes") as drive:
        await drive.press("w")
        shown = await looked(drive)
        assert "its query has an answer" in drive.text
        assert shown.command == ""
        assert not shown.check_action("copy", ())


async def test_the_panels_of_a_view_are_there_to_pick_from(tmp_path: Path) -> None:
    async with watching(tmp_path, "etcd", world=empty_world()) as drive:
        drive.app.push_screen(PanelsPage(views.view("etcd")))
        await drive.until(lambda: isinstance(drive.app.screen, PanelsPage))
        await drive.press("down", "enter")
        shown = await looked(drive)
        assert shown.panel.key == views.view("etcd").panels[1].key
