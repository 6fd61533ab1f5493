"""etcd.conf beside what it makes of a scrape: figures, stories, advice taken by one key, and what stays meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.cells import cell_len

from screens.etcd_conf import EtcdConfScreen
from screens.series_pane import SeriesPane
from tests.screens.drive import Drive, driving
from tests.screens.fakes import FakeAgent
from tests.screens.test_walk import choose_strategy
from tui import i18n
from tui.core import views
from tui.core.prom import conf
from tui.core.prom.collector import Scrape
from tui.widgets.chrome import KeyLine
from tui.widgets.error_page import ErrorPage
from tui.widgets.prose import Prose
from tui.widgets.toml_editor import TomlEditor

TUTORIAL = 3  # the row of this strategy


def at(drive: Drive) -> EtcdConfScreen:
    """The screen of this step."""
    assert isinstance(drive.screen, EtcdConfScreen)
    return drive.screen


def pane(drive: Drive) -> SeriesPane:
    """The pane of its own."""
    return drive.screen.query_one("#series", SeriesPane)


def text(drive: Drive) -> str:
    """What the editor holds."""
    return drive.screen.query_one("#editor", TomlEditor).text


def said(drive: Drive, selector: str) -> str:
    """What a text of the pane says."""
    return str(pane(drive).query_one(selector, Prose).content)


def filled(drive: Drive) -> dict[str, bool]:
    """Which panels of the ETCD view are filled, by key."""
    fields = at(drive).passed.fields
    return {fill.panel.key: fill.ok for fill in views.fillable(views.view("etcd"), fields)}


async def go_to(drive: Drive, family: str) -> None:
    """Move the cursor down to a family."""
    await drive.press("home")
    for _step in range(200):
        if pane(drive).families.family == family:
            return
        await drive.pilot.press("down")
    raise AssertionError(f"{family} is not in the list\n{drive.text}")


async def test_the_figures_say_what_is_kept_and_what_it_costs(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("etcd-conf")
        await drive.press("3")
        picture = at(drive).passed.picture
        assert picture.points_per_day == picture.points * 1440  # once a minute
        figures = said(drive, ".figures")
        assert "http://127.0.0.1:2381/metrics on cp-1" in figures
        assert f"{picture.kept} of {picture.all} series kept" in figures
        assert f"{picture.points} points a scrape, {picture.points_per_day:,} a day" in figures
        assert f"{sum(filled(drive).values())} of {len(filled(drive))} panels filled" in figures


async def test_the_story_of_a_dropped_family_and_of_a_kept_one(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("etcd-conf")
        await choose_strategy(drive, TUTORIAL)
        await drive.press("3")
        assert drive.screen.focused is pane(drive).families
        await go_to(drive, "go_threads")
        story = said(drive, ".story-text")
        assert story.startswith("go_threads")
        assert "metric_name_filter: nothing is found in the name: dropped" in story
        await go_to(drive, "etcd_server_has_leader")
        story = said(drive, ".story-text")
        assert "metric_name_filter: 'etcd_server_has' is found in the name" in story
        assert "measurement etcd, fields server_has_leader" in story
        assert pane(drive).chosen is None
        assert "f" not in keys(drive)


async def test_one_key_keeps_a_family_and_panels_fill(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("etcd-conf")
        await choose_strategy(drive, TUTORIAL)
        before, comments = text(drive), [line for line in text(drive).splitlines() if line.lstrip().startswith("#")]
        assert comments
        assert not filled(drive)["E9"]
        assert not filled(drive)["E10"]
        await drive.press("3")
        wanted = {
            one.family.family for one in at(drive).advice if {"E9", "E10"} & {panel.key for _view, panel in one.panels}
        }
        assert "etcd_disk_wal_fsync_duration_seconds" in wanted
        for family in sorted(wanted):
            await go_to(drive, family)
            one = pane(drive).chosen
            assert one is not None
            assert one.edit is not None
            assert one.edit.sentence() in said(drive, ".story-text")
            assert "f" in keys(drive)
            await drive.press("f")
            assert family not in pane(drive).advice
        assert filled(drive)["E9"]
        assert filled(drive)["E10"]
        after = text(drive)
        assert after != before
        assert [line for line in after.splitlines() if line.lstrip().startswith("#")] == comments
        assert not conf.load(after, {}).error
        assert drive.app.session.answers.etcd.conf == after
        await drive.press("r")
        assert text(drive) == before
        assert not filled(drive)["E10"]


async def test_the_last_good_preview_stays_greyed_with_the_error_and_its_line(tmp_path: Path) -> None:
    async with driving(tmp_path, size=(140, 36)) as drive:
        await drive.to("etcd-conf")
        await drive.press("e")
        kept = at(drive).passed.kept
        beside = drive.screen.query_one("#beside", SeriesPane)
        assert beside.display
        lines = beside.families.lines
        assert lines
        await drive.type("x = ")
        await drive.press("enter")
        await drive.until(lambda: at(drive).passed.stale, "the broken text was never looked at")
        await drive.rest()
        assert at(drive).passed.kept == kept
        assert at(drive).passed.picture.line == 1
        assert beside.families.lines == lines
        assert beside.families.stale
        assert beside.chosen is None  # no edit is offered on a text that cannot be read
        muted = beside.families.get_component_rich_style("families--muted")
        row = next(number for number, line in enumerate(lines) if line.family)
        drawn = [segment.style for segment in beside.families.render_line(row)]
        assert drawn == [muted] * len(drawn)
        figures = str(beside.query_one(".figures", Prose).content)
        assert "line 1" in figures
        assert "Below is what the last text that could be read gave." in figures
        await drive.press(*["backspace"] * len("x = \n"))
        await drive.until(lambda: not at(drive).passed.stale, "the mended text was never looked at")
        await drive.rest()
        assert not beside.families.stale
        assert "line 1" not in str(beside.query_one(".figures", Prose).content)


async def test_a_saved_scrape_takes_the_place_of_the_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_given: object, **_named: object) -> Scrape:
        return Scrape(None, error="connection refused")

    monkeypatch.setattr(FakeAgent, "scrape", refused)
    scrape = tmp_path / "metrics.txt"
    scrape.write_bytes(b"# TYPE etcd_server_has_leader gauge\netcd_server_has_leader 1\n")
    async with driving(tmp_path) as drive:
        await drive.to("etcd-conf")
        await drive.press("3")
        assert "sample of etcd 3.4: cp-1 got no answer" in said(drive, ".figures")
        await drive.press("o")
        await drive.type(str(tmp_path / "missing.txt"))
        await drive.press("enter")
        assert isinstance(drive.app.screen, ErrorPage)
        assert drive.app.screen.error.object.endswith("missing.txt")
        await drive.press("escape", *["backspace"] * len("missing.txt"))
        await drive.type("metrics.txt")
        await drive.press("enter")
        assert f"The saved file {scrape}" in said(drive, ".figures")
        assert (at(drive).passed.kept, at(drive).passed.all) == (1, 1)
        assert drive.screen.focused is pane(drive).families


def keys(drive: Drive) -> list[str]:
    """The keys that the last line shows."""
    return [key for key, _word in drive.app.screen.query_one(KeyLine)._shown]


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_the_keys_fit_with_help_among_them(tmp_path: Path, language: str) -> None:
    i18n.use_language(language)
    async with driving(tmp_path) as drive:
        await drive.to("etcd-conf")
        await choose_strategy(drive, TUTORIAL)
        for key in ("3", "f", "2", "1"):
            await drive.press(key)
            line = drive.text.splitlines()[-1]
            assert cell_len(line) <= 80
            shown = drive.app.screen.query_one(KeyLine)._shown[:6]
            assert all(f" {name} {word}" in line for name, word in shown), line
            assert "?" in [name for name, _word in shown]
            assert ("f" in [name for name, _word in shown]) == (key in ("3", "f"))
