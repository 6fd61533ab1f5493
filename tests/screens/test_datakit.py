"""The step of DataKit's settings: what it proposes, how a setting is chosen, and where panels that lack one say so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.screens.drive import driving
from tests.screens.fakes import World

POD_METRICS = "ENV_INPUT_CONTAINER_ENABLE_POD_METRIC"


def env(world: World) -> dict[str, str]:
    container: dict[str, Any] = world.objects["DaemonSet", "datakit", "datakit"]["spec"]["template"]["spec"][
        "containers"
    ][0]
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


async def test_enter_alone_takes_the_proposal(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("datakit")
        assert "[x] Pod metrics" in drive.text
        assert drive.next == "Go on to the review with 1 setting"
        drive.app.go("kubernetes")
        await drive.rest()
        assert "stay empty: step DataKit settings" in drive.text
        drive.app.go("review")
        await drive.rest()
        await drive.press("enter")
        assert env(drive.world)[POD_METRICS] == "true"
        drive.app.go("kubernetes")
        await drive.rest()
        assert "stay empty" not in drive.text
        assert 'settings = ["pod-metrics"]' in (tmp_path / "state" / "answers.toml").read_text()


async def test_a_key_chooses_and_what_is_not_chosen_is_not_written(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("datakit")
        await drive.press("up", "space")
        assert "[ ] Pod metrics" in drive.text
        assert "about 20 more values a pod" in " ".join(drive.text.replace("│", " ").split())
        assert drive.next == "Go on to the review"
        assert drive.app.session.answers.datakit.settings == ()
        await drive.press("up", "space")  # the host's inputs are there already and stay
        assert drive.app.session.answers.datakit.settings == ()
        await drive.press("enter")
        assert drive.app.current == "review"
        await drive.press("enter")
        assert POD_METRICS not in env(drive.world)


async def test_a_field_of_somebody_elses_is_named_and_not_proposed(tmp_path: Path) -> None:
    world = World.fresh()
    obj = world.objects["DaemonSet", "datakit", "datakit"]
    container = obj["spec"]["template"]["spec"]["containers"][0]
    next(e for e in container["env"] if e["name"] == "ENV_DEFAULT_ENABLED_INPUTS")["value"] = "cpu,disk,mem,system"
    entry = {'k:{"name":"ENV_DEFAULT_ENABLED_INPUTS"}': {".": {}, "f:name": {}, "f:value": {}}}
    pod = {"f:containers": {'k:{"name":"datakit"}': {"f:env": entry}}}
    obj["metadata"]["managedFields"] = [
        {"manager": "helm", "operation": "Update", "fieldsV1": {"f:spec": {"f:template": {"f:spec": pod}}}}
    ]
    async with driving(tmp_path, world=world) as drive:
        await drive.to("datakit")
        assert "[ ] Input container" in drive.text
        assert "managed by helm" in drive.text
        assert "the review asks before it is taken" in " ".join(drive.text.replace("│", " ").split())
        assert drive.app.session.answers.datakit.settings == ("pod-metrics",)
