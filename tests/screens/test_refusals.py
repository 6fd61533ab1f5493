"""What goes wrong is said on a page, changes nothing, and can be tried again."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

from tests.screens.drive import driving
from tests.screens.fakes import API_KEY, World
from tui import app as wizard
from tui.core.errors import FieldConflict, UnreachableError, UsageError
from tui.core.steps import StepState
from tui.widgets import background
from tui.widgets.error_page import ErrorPage
from tui.widgets.force_page import ForcePage
from tui.widgets.leave_page import LeavePage


async def test_no_kubeconfig(tmp_path: Path) -> None:
    world = World.fresh()
    world.kubeconfig_error = UsageError(
        "No kubeconfig was found.", object="~/.kube/config", remedy="Give --kubeconfig."
    )
    async with driving(tmp_path, world=world) as drive:
        await drive.press("enter")
        assert isinstance(drive.app.screen, ErrorPage)
        for part in ("No kubeconfig was found.", "~/.kube/config", "Give --kubeconfig."):
            assert part in drive.text
        await drive.press("escape")
        assert drive.next == "Read the kubeconfig again"
        world.kubeconfig_error = None
        await drive.press("enter")
        assert drive.next == "Look at admin@prod"


async def test_a_dead_server_then_a_live_one(tmp_path: Path) -> None:
    world = World.fresh()
    world.connect_error = UnreachableError("The API server does not answer.", object="https://172.16.0.10:6443")
    async with driving(tmp_path, world=world) as drive:
        await drive.press("enter", "enter")
        assert "The API server does not answer." in drive.text
        await drive.press("enter")
        assert drive.app.session.survey is None
        world.connect_error = None
        await drive.press("enter")
        assert drive.app.session.survey is not None


async def test_a_context_that_cannot_be_used(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.press("enter", "up", "down", "down")
        assert drive.next == "This context cannot be used"
        await drive.press("enter")
        assert drive.app.session.cluster is None


async def test_a_namespace_without_datakit_prints_the_install_lines(tmp_path: Path) -> None:
    world = World.fresh()
    del world.objects["DaemonSet", "datakit", "datakit"]
    async with driving(tmp_path, world=world) as drive:
        await drive.press("enter", "enter")
        assert isinstance(drive.app.screen, ErrorPage)
        assert "No DaemonSet runs DataKit here." in drive.text
        assert "helm install datakit" in str(drive.app.screen.error)


async def test_a_viewer_sees_everything_and_writes_nothing(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.press("enter", "up", "down", "enter")
        assert "You may not patch configmaps datakit-conf" in drive.text
        assert "read-only" in drive.text.splitlines()[0]
        await drive.to("review")
        assert drive.next == "Go on without applying"
        assert "You may not patch" in drive.text
        await drive.press("enter")
        assert drive.app.current == "docker"
        assert drive.world.writes == []
        assert drive.app.session.state("review") is StepState.SKIPPED


async def test_a_wrong_key(tmp_path: Path) -> None:
    async with driving(tmp_path, key="sk_wrong") as drive:
        await drive.to("workspace")
        await drive.press("enter")
        assert isinstance(drive.app.screen, ErrorPage)
        assert "rejected the key" in drive.text
        await drive.press("escape")
        assert drive.app.session.state("workspace") is StepState.FAILED
        drive.screen.query_one("#key").focus()
        await drive.type(API_KEY)
        await drive.press("enter")
        assert drive.app.session.workspace is not None
        assert drive.app.session.state("workspace") is StepState.DONE


async def test_without_a_workspace_it_says_what_stays_unproven(tmp_path: Path) -> None:
    async with driving(tmp_path, key="") as drive:
        await drive.to("cluster")
        await drive.press("enter", "enter")
        assert drive.app.current == "workspace"
        assert drive.next == "Give the API key, then Enter"
        await drive.press("up", "end", "enter")
        assert "What stays unproven" in drive.text
        await drive.press("enter")
        assert drive.app.current == "etcd-conf"
        assert drive.app.session.state("workspace") is StepState.SKIPPED
        await drive.to("verify")
        assert drive.app.session.report.verdict == "inconclusive"
        assert "Inconclusive" in drive.text
        await drive.press("s")
        assert "stay unproven" in drive.text


async def test_a_conf_that_is_no_toml_cannot_go_on(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("etcd-conf")
        await drive.press("e")
        assert not drive.screen.query_one("#editor").read_only
        await drive.press("ctrl+home")
        await drive.type("[[inputs.prom")
        await drive.press("enter")
        await drive.until(lambda: drive.screen.found and drive.screen.found[0].line == 1)
        assert "line 1" in drive.text
        await drive.press("escape")
        assert drive.next.startswith("First mend line 1")
        await drive.press("enter")
        assert drive.app.current == "etcd-conf"
        await drive.press("r")
        assert drive.next == "Go on to the certificates"
        assert drive.app.session.answers.etcd.conf == ""


async def test_typing_changes_nothing_until_e(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("etcd-conf")
        await drive.press("2")
        before = drive.screen.query_one("#editor").text
        await drive.press("x", "z", "delete")
        assert drive.screen.query_one("#editor").text == before


async def test_an_edited_text_is_kept_and_reviewed(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("etcd-conf")
        await drive.press("e", "ctrl+home")
        await drive.type("# mine")
        await drive.press("enter", "escape")
        assert drive.app.session.answers.etcd.conf.startswith("# mine\n")
        await drive.to("review")
        assert "# mine" in drive.app.session.plan.conf
        await drive.press("enter")
        assert drive.world.objects["ConfigMap", "datakit", "datakit-conf"]["data"]["etcd.conf"].startswith("# mine")


async def test_a_conflict_names_the_owner_and_is_never_forced(tmp_path: Path) -> None:
    world = World.fresh()
    world.conflict = FieldConflict(".data.etcd.conf", "rancher")
    async with driving(tmp_path, world=world) as drive:
        await drive.to("review")
        assert "rancher" in drive.text
        assert drive.next == "Go on without applying"
        await drive.press("enter")
        assert world.writes == []


async def test_a_field_in_the_way_is_taken_only_when_it_is_asked_for_by_name(tmp_path: Path) -> None:
    world = World.fresh()
    config_map = world.objects["ConfigMap", "datakit", "datakit-conf"]
    config_map["data"]["etcd.conf"] = "# by hand"
    entry = {"manager": "rancher", "operation": "Update", "fieldsV1": {"f:data": {"f:etcd.conf": {}}}}
    config_map["metadata"]["managedFields"] = [entry]
    world.conflict = FieldConflict(".data.etcd.conf", "rancher")
    async with driving(tmp_path, world=world) as drive:
        await drive.to("review")
        await drive.press("f")
        assert isinstance(drive.app.screen, ForcePage)
        for said in (".data.etcd.conf", "# by hand", "## Written by DataKit Wizard", "Rancher wrote it by hand"):
            assert said in drive.text, drive.text
        await drive.press("enter")  # Enter leaves it
        assert drive.next == "Go on without applying"
        assert world.writes == []
        await drive.press("f", "t")
        assert "Taken: .data.etcd.conf, which is rancher's." in drive.text
        assert world.writes == []
        assert drive.next.startswith("Apply 2 changes")
        await drive.press("enter")
        assert world.writes[0] == "ConfigMap datakit/datakit-conf"
        receipt = drive.app.session.receipt
        assert receipt is not None
        (forced,) = receipt.steps[0].forced
        assert (forced.path, forced.manager, forced.old) == (".data.etcd.conf", "rancher", "# by hand")


async def test_a_conflict_that_appears_between_review_and_apply(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("review")
        drive.world.conflict = FieldConflict(".data.etcd.conf", "helm")
        await drive.press("enter")
        assert isinstance(drive.app.screen, ErrorPage), drive.text
        assert drive.world.writes == []
        await drive.press("escape")
        assert drive.app.session.state("review") is StepState.FAILED
        drive.world.conflict = None
        await drive.press("enter")
        assert drive.next.startswith("Apply 2 changes")
        await drive.press("enter")
        assert drive.world.writes[0] == "ConfigMap datakit/datakit-conf"


async def test_ctrl_c_was_asked_even_if_an_error_came_since(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("etcd-conf")
        await drive.press("ctrl+c")
        drive.app.show_error(UsageError("Something failed meanwhile."))
        await drive.rest()
        assert isinstance(drive.app.screen, ErrorPage)
        await drive.press("ctrl+c")
        assert drive.app.return_value == 130


async def test_ctrl_c_asks_once_then_leaves_with_130(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("etcd-conf")
        await drive.press("ctrl+c")
        assert isinstance(drive.app.screen, LeavePage)
        await drive.press("escape")
        assert drive.app.current == "etcd-conf"
        await drive.press("ctrl+c", "ctrl+c")
        assert drive.app.return_value == 130
    assert "Nothing was changed in admin@prod." in wizard.farewell(drive.app)


async def test_leaving_in_the_midst_of_a_rollout_keeps_the_receipt(tmp_path: Path) -> None:
    world = World.fresh()
    world.held = True
    async with driving(tmp_path, world=world) as drive:
        await drive.to("review")
        await drive.pilot.press("enter")
        await drive.until(lambda: "0 of 4 nodes" in drive.text)
        assert drive.app.session.state("review") is StepState.RUNNING
        drive.app.go("verify")  # as from the palette: not while something is written
        assert drive.app.current == "review"
        await drive.pilot.press("ctrl+c")
        await drive.until(lambda: "A change is being written just now." in drive.text)
        await drive.pilot.press("y")
        await drive.pilot.pause()
        assert drive.app.return_value == 130
    assert background.settle(5.0)
    receipt = next((tmp_path / "state" / "receipts").rglob("*.json"))
    told = wizard.farewell(drive.app)
    assert any(str(receipt) in line for line in told), told
    assert any("ConfigMap datakit/datakit-conf: written" in line for line in told), told


async def test_stopping_a_rollout_and_applying_again(tmp_path: Path) -> None:
    world = World.fresh()
    world.held = True
    async with driving(tmp_path, world=world) as drive:
        await drive.to("review")
        await drive.pilot.press("enter")
        await drive.until(lambda: "0 of 4 nodes" in drive.text)
        await drive.pilot.press("x")
        await drive.until(lambda: isinstance(drive.app.screen, ErrorPage))
        await drive.rest()
        assert "Stopped while the pods restart" in drive.text
        world.held = False
        world.roll()  # the rollout goes on in the cluster
        await drive.press("escape")
        assert drive.next == "Look again"
        await drive.press("enter")
        assert drive.next == "Watch the rollout again"
        await drive.press("enter")
        assert drive.app.session.state("review") is StepState.DONE
        assert len(list((tmp_path / "state" / "receipts").rglob("*.json"))) == 1
        await drive.press("enter")
        assert drive.app.current == "docker"


async def test_ctrl_c_works_while_something_is_typed(tmp_path: Path) -> None:
    async with driving(tmp_path, key="") as drive:
        await drive.to("cluster")
        await drive.press("enter", "enter")
        await drive.type("abc")
        await drive.press("ctrl+c", "y")
        assert drive.app.return_value == 130


async def test_leaving_while_connecting_holds_nobody(tmp_path: Path) -> None:
    world = World.fresh()
    block = threading.Event()
    async with driving(tmp_path, world=world) as drive:
        await drive.press("enter")
        world.gate = lambda: block.wait(30)  # the server never answers
        await drive.pilot.press("enter")
        await drive.until(lambda: "Connecting to admin@prod" in drive.text)
        await drive.pilot.press("ctrl+c")
        await drive.pilot.press("ctrl+c")
        await drive.pilot.pause()
        assert drive.app.return_value == 130
        block.set()


async def test_a_world_that_does_not_open(tmp_path: Path) -> None:
    tries: list[int] = []

    def broken() -> wizard.World:
        tries.append(1)
        raise UnreachableError("The lab did not start.", why="no port", remedy="See the log.")

    async with driving(tmp_path, open_world=broken) as drive:
        assert isinstance(drive.app.screen, ErrorPage)
        assert "The lab did not start." in drive.text
        await drive.press("escape")
        assert drive.next == "Try again"
        await drive.press("enter")
        assert len(tries) == 2
        await drive.press("escape", "q")
        assert drive.app.return_value == 0


async def test_an_error_page_can_be_saved(tmp_path: Path) -> None:
    world = World.fresh()
    world.kubeconfig_error = UsageError("No kubeconfig was found.", why="nothing there")
    async with driving(tmp_path, world=world) as drive:
        await drive.press("enter", "w")
    saved = list((tmp_path / "state").glob("error-*.txt"))
    assert len(saved) == 1
    assert "No kubeconfig was found." in saved[0].read_text()


async def test_the_commands_can_be_turned_copied_and_saved(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("review")
        await drive.press("c")
        assert "kubectl --context admin@prod apply --server-side" in drive.text
        await drive.press("right")
        assert "Rancher: More Resources" in drive.text
        await drive.press("y", "w")
    saved = list((tmp_path / "state").glob("commands-*.txt"))
    assert len(saved) == 1
    assert "rollout status daemonset/datakit" in saved[0].read_text()
    assert saved[0].stat().st_mode & 0o077 == 0


async def test_certificates_that_nobody_may_look_at_are_told_by_the_flags_alone(tmp_path: Path) -> None:
    world = World.fresh()
    world.granted = lambda access: access.subresource != "exec"
    async with driving(tmp_path, world=world) as drive:
        await drive.to("etcd-conf")
        answers = drive.app.session.answers
        drive.app.session.answers = replace(
            answers,
            etcd=replace(answers.etcd, strategy="node-tls", conf=""),
            certificates=replace(answers.certificates, source="rootfs"),
        )
        drive.app.go("certificates")
        await drive.rest()
        await drive.until(lambda: "you may not run commands in the pods" in drive.text)
        assert "Not looked at. The flags" in drive.text
        assert "--trusted-ca-file=" in drive.text
