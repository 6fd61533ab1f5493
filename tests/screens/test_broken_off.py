"""What was broken off last time: the first screen says what was done, and offers to finish or to undo it."""

from __future__ import annotations

from pathlib import Path

import pytest

from screens.undo import UndoPage
from tests.screens.drive import driving
from tests.screens.fakes import FakeCluster, World
from tui.core.receipts import Store, unfinished_anywhere
from tui.widgets import background


async def broken_off(tmp_path: Path, world: World) -> None:
    """An apply whose rollout nobody watched to its end."""
    world.held = True
    async with driving(tmp_path, world=world) as drive:
        await drive.to("review")
        await drive.pilot.press("enter")
        await drive.until(lambda: "0 of 4 nodes" in drive.text)
        await drive.pilot.press("ctrl+c")
        await drive.until(lambda: "A change is being written just now." in drive.text)
        await drive.pilot.press("y")
        await drive.pilot.pause()
    assert background.settle(5.0)
    world.held = False
    assert unfinished_anywhere(Store(tmp_path / "state")) is not None


async def test_nothing_was_broken_off(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        assert "not finished" not in drive.text
        assert drive.next == "Choose the cluster"


async def test_finishing_leads_to_its_cluster_and_the_review_goes_on_with_the_receipt(tmp_path: Path) -> None:
    world = World.fresh()
    await broken_off(tmp_path, world)
    async with driving(tmp_path, world=world) as drive:
        await drive.until(lambda: "is not finished:" in drive.text)
        assert "DaemonSet datakit/datakit: written" in drive.text
        assert drive.next == "Go on in admin@prod"
        await drive.to("review")
        assert drive.next == "Watch the rollout again", drive.text  # that is what was left
        await drive.press("enter")
        await drive.until(lambda: unfinished_anywhere(Store(tmp_path / "state")) is None, "it was never finished")


async def test_undo_shows_first_what_it_would_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World.fresh()
    await broken_off(tmp_path, world)
    applied: list[tuple[str, bool]] = []
    apply = FakeCluster.apply

    def noted(cluster: FakeCluster, kind, namespace, name, body, *, manager, dry_run, force=False):  # type: ignore[no-untyped-def]
        applied.append((kind.kind, dry_run))
        return apply(cluster, kind, namespace, name, body, manager=manager, dry_run=dry_run, force=force)

    monkeypatch.setattr(FakeCluster, "apply", noted)
    async with driving(tmp_path, world=world) as drive:
        await drive.until(lambda: "is not finished:" in drive.text)
        drive.screen.query_one("#unfinished").focus()
        await drive.press("down")
        assert drive.next == "Look at what undo would do"
        await drive.press("enter")
        assert isinstance(drive.app.screen, UndoPage)
        await drive.until(lambda: "u undoes this" in drive.text)
        assert "DaemonSet datakit/datakit" in drive.text
        assert applied
        assert all(dry_run for _kind, dry_run in applied)
        await drive.press("u")
        await drive.until(lambda: "Undone." in drive.text)
        assert [kind for kind, dry_run in applied if not dry_run] == ["DaemonSet", "ConfigMap"]
        await drive.press("escape")
        await drive.until(lambda: drive.next == "Choose the cluster")
        assert "not finished" not in drive.text
    assert unfinished_anywhere(Store(tmp_path / "state")) is None
