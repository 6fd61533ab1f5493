"""An API key that was typed shows nowhere: no screenshot, no widget, no file, no error, no farewell."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.screens.drive import Drive, driving
from tui import app as wizard

PLANTED = "sk_PLANTEDPLANTEDPLANTED00"


def traces(drive: Drive) -> list[str]:
    """Everything that could hold it: the SVG of the screen, the repr of each widget and of the model."""
    app = drive.app
    found = [app.export_screenshot(), repr(app.session), repr(app.given), repr(app.options)]
    for screen in app.screen_stack:
        found += [repr(node) for node in screen.walk_children()]
        found += [str(getattr(node, "tooltip", "")) for node in screen.walk_children()]
    return found


def clean(drive: Drive) -> None:
    for text in traces(drive):
        assert PLANTED not in text


async def test_a_typed_key_shows_nowhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with driving(tmp_path, key="") as drive:
        drive.world.key = PLANTED
        await drive.to("cluster")
        await drive.press("enter", "enter")
        await drive.type(PLANTED)
        assert drive.screen.query_one("#key").value == PLANTED
        assert "•" * len(PLANTED) in drive.text
        clean(drive)
        await drive.press("enter")
        assert drive.app.session.workspace is not None
        assert drive.screen.query_one("#key").value == ""
        for step in ("etcd-conf", "review", "etcd", "verify", "done"):
            await drive.to(step)
            clean(drive)
            if step == "review":
                await drive.press("c")
                clean(drive)
                await drive.press("escape")
        farewell = wizard.farewell(drive.app)
    assert PLANTED not in "\n".join(farewell)
    files = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"answers.toml", "resume.json"}
    for path in files:
        assert PLANTED not in path.read_text(encoding="utf-8"), path
    captured = capsys.readouterr()
    assert PLANTED not in captured.out + captured.err


async def test_a_rejected_key_is_not_repeated(tmp_path: Path) -> None:
    async with driving(tmp_path, key="") as drive:
        await drive.to("cluster")
        await drive.press("enter", "enter")
        await drive.type(PLANTED)
        await drive.press("enter")
        assert "rejected the key" in drive.text
        clean(drive)
        await drive.press("w")
    for path in (tmp_path / "state").rglob("*"):
        if path.is_file():
            assert PLANTED not in path.read_text(encoding="utf-8"), path


async def test_a_key_from_the_environment_shows_nowhere(tmp_path: Path) -> None:
    async with driving(tmp_path, key=PLANTED) as drive:
        drive.world.key = PLANTED
        await drive.to("workspace")
        clean(drive)
        await drive.to("etcd-conf")
        clean(drive)


async def test_a_crash_prints_no_local_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def crash() -> None:
        def fail(key: str) -> None:
            raise LookupError

        async with driving(tmp_path, key=PLANTED) as drive:
            local = PLANTED
            drive.app.call_later(fail, local)
            await drive.pilot.pause()

    with pytest.raises(LookupError):
        await crash()
    captured = capsys.readouterr()
    assert "LookupError" in captured.out + captured.err
    assert PLANTED not in captured.out + captured.err
