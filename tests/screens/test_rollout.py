"""How a change comes out, on the review screen: one node first, etcd's nodes alone, and watching left for a while."""

from __future__ import annotations

from pathlib import Path

from tests.screens.drive import Drive, driving
from tests.screens.fakes import World
from tui.core.steps import StepState

DAEMON_SET = ("DaemonSet", "datakit", "datakit")


def strategy(drive: Drive) -> str:
    return str(drive.world.objects[DAEMON_SET]["spec"]["updateStrategy"]["type"])


async def test_one_node_first_then_the_others(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("review")
        assert "1 tries it on one etcd node first." in drive.text
        await drive.press("1")
        assert "First the pod on cp-1 alone" in " ".join(drive.text.split())
        assert drive.world.writes == []
        await drive.press("enter")
        assert drive.app.session.receipt is not None
        assert drive.app.session.receipt.held
        assert "deleted datakit-cp1" in drive.world.writes
        assert strategy(drive) == "OnDelete"
        assert "One node has the change; the others wait." in drive.text
        assert "collected 100 points of etcd" in " ".join(drive.text.split())
        assert drive.next == "Go on with the other nodes"
        assert drive.app.session.state("review") is not StepState.DONE
        await drive.press("enter")
        assert strategy(drive) == "RollingUpdate"
        assert drive.app.session.state("review") is StepState.DONE
        assert drive.next == "Go on to the views"


async def test_the_choice_can_be_taken_back(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("review")
        cost = drive.screen.plan.cost  # type: ignore[attr-defined]
        await drive.press("1", "1")
        assert drive.screen.plan.cost == cost  # type: ignore[attr-defined]
        await drive.press("enter")
        assert not [line for line in drive.world.writes if line.startswith("deleted")]


async def test_without_the_right_to_delete_pods_it_says_so(tmp_path: Path) -> None:
    world = World.fresh()
    world.granted = lambda access: access.verb != "delete"
    async with driving(tmp_path, world=world) as drive:
        await drive.to("cluster")
        await drive.press("enter")
        assert "You may not delete pods: one node first" in " ".join(drive.text.split())
        [grant] = [command for title, command, _rancher in drive.screen.commands() if title == "Grant what is missing"]
        assert "--verb=delete --resource=pods" in grant
        await drive.to("review")
        await drive.press("1")
        assert "You may not delete pods." in drive.text
        await drive.press("1")
        assert drive.next.startswith("Apply 2 changes")


async def test_a_new_text_for_etcds_nodes_alone(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("review")
        await drive.press("enter")
        assert drive.app.session.state("review") is StepState.DONE
        drive.world.writes.clear()
        drive.app.go("etcd-conf")
        await drive.rest()
        await drive.press("e", "ctrl+home")
        await drive.type("# mine")
        await drive.press("enter", "escape")
        await drive.to("review")
        assert "2 restarts the pods of etcd's nodes alone" in drive.text
        await drive.press("2")
        assert "The other nodes keep their pods." in " ".join(drive.text.split())
        await drive.press("enter")
        assert drive.app.session.state("review") is StepState.DONE, drive.text
        assert [line for line in drive.world.writes if line.startswith("deleted")] == ["deleted datakit-cp1"]


async def test_watching_is_left_and_taken_up_again(tmp_path: Path) -> None:
    world = World.fresh()
    world.held = True
    async with driving(tmp_path, world=world) as drive:
        await drive.to("review")
        await drive.pilot.press("enter")
        await drive.until(lambda: "0 of 4 nodes" in drive.text)
        await drive.pilot.press("d")
        await drive.rest()
        await drive.until(lambda: "Not watched any more" in drive.text)
        assert "Everything is written; the rollout goes on" in " ".join(drive.text.split())
        assert drive.next == "Watch the rollout again"
        assert drive.app.session.state("review") is not StepState.FAILED
        world.held = False
        world.roll()  # the rollout goes on in the cluster
        before = list(world.writes)
        await drive.press("enter")
        assert world.writes == before, "nothing is written twice"
        assert drive.app.session.state("review") is StepState.DONE
        assert len(list((tmp_path / "state" / "receipts").rglob("*.json"))) == 1
