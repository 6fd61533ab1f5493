"""The screens of the seven views: made, updated, and left where a person changed them since."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from tests.screens.drive import Drive, driving
from tests.screens.fakes import World
from tui.core import receipts, views
from tui.core.ports import Budget
from tui.core.steps import StepState
from tui.core.view_drift import fingerprint


def view_of(drive: Drive, key: str) -> str:
    """The uuid of the dashboard of a view."""
    return drive.app.session.standings[key].uuid


def change(world: World, uuid: str) -> dict[str, Any]:
    """Somebody renames the first panel."""
    template = copy.deepcopy(dict(world.templates[uuid]))
    template["main"]["charts"][0]["name"] = "Mine"
    world.templates[uuid] = template
    return template


async def docker(drive: Drive) -> str:
    await drive.to("workspace")
    await drive.press("enter")
    drive.app.go("docker")
    await drive.rest()
    await drive.press("enter")
    return view_of(drive, "docker")


async def test_what_a_person_changed_is_shown_and_overwritten_by_a_key_alone(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        uuid = await docker(drive)
        assert "The view is there" in drive.text
        theirs = change(drive.world, uuid)
        drive.world.writes.clear()
        await drive.press("r")
        assert "Somebody changed the view" in drive.text
        assert "2 panels differ" in drive.text
        assert "- Usage › Mine" in drive.text
        assert "+ Usage › CPU usage" in drive.text
        assert drive.app.session.state("docker") is StepState.CHANGED
        assert drive.next == "Go on; the view stays as it is"
        await drive.press("enter")
        assert drive.app.current == "kubernetes"
        assert drive.world.writes == []
        await drive.press("b", "o")
        assert "The view is there" in drive.text
        assert fingerprint(drive.world.templates[uuid]) != fingerprint(theirs)
        assert drive.app.session.state("docker") is StepState.DONE


async def test_what_another_version_made_is_updated_by_enter(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        uuid = await docker(drive)
        theirs = change(drive.world, uuid)
        made = drive.world.dashboards[uuid]
        mark = f"[{fingerprint(theirs)}]"
        drive.world.dashboards[uuid] = type(made)(uuid, made.name, made.identifier, desc=f"by another version {mark}")
        await drive.press("r")
        assert "in another version, language or" in drive.text
        assert drive.next.startswith("Update the view")
        await drive.press("enter")
        assert fingerprint(drive.world.templates[uuid]) != fingerprint(theirs)
        assert "The view is there" in drive.text


async def test_all_seven_are_made_at_once_and_noted_in_one_receipt(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("workspace")
        await drive.press("enter")
        drive.app.go("etcd")
        await drive.rest()
        await drive.press("a")
        assert len(drive.world.dashboards) == 7
        [path] = (tmp_path / "state" / "receipts").rglob("*.json")
        receipt = receipts.load(path)
        assert [(view.key, view.state) for view in receipt.views] == [(key, "written") for key in views.KEYS]
        assert all(view.wrote for view in receipt.views)
        await drive.press("a")
        assert drive.world.writes.count("view Docker Monitoring View 1") == 1


async def test_the_whole_way_through_the_seven_takes_ten_requests_at_most(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("verify")
        assert len(drive.world.dashboards) == 7
        # The workspace once, the list before the apply and after it.
        made = ["workspace", "dashboards", "dashboards", *["create_dashboard"] * 7]
        assert drive.world.requests[: len(made)] == made
        assert "create_dashboard" not in drive.world.requests[len(made) :]


async def test_the_studios_limit_is_shown(tmp_path: Path) -> None:
    world = World.fresh()
    world.budget = Budget(0, 20, 12.0)
    async with driving(tmp_path, world=world) as drive:
        await drive.to("workspace")
        await drive.press("enter")
        drive.app.go("docker")
        await drive.rest()
        assert "The studio takes 20 requests a minute; the next may go in" in drive.text
        assert "about 12 s." in drive.text
