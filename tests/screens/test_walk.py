"""The whole way, with Enter alone, and what may not happen on it."""

from __future__ import annotations

import tomllib
from pathlib import Path

from tests.screens.drive import Drive, driving
from tests.screens.fakes import API_KEY, World
from tui import app as wizard
from tui.core import receipts, views
from tui.core.steps import StepState
from tui.widgets.check_table import CheckTable
from tui.widgets.error_page import ErrorPage


async def test_enter_alone_leads_to_a_green_verify(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("verify")
        assert drive.screen.session.report is not None
        assert drive.screen.session.report.verdict == "pass", drive.text
        await drive.press("enter")
        assert drive.app.current == "done"
        states = {step.key: drive.app.session.state(step.key) for step in drive.app.session.steps}
        assert all(states[key] is StepState.DONE for key in states if key != "done"), states
        await drive.press("enter")
        assert drive.app.return_value == 0
    # the neighbours in the ConfigMap survive
    data = drive.world.objects["ConfigMap", "datakit", "datakit-conf"]["data"]
    assert set(data) == {"container.conf", "zipkin.conf", "etcd.conf"}
    # one receipt holds the changes and the view
    found = list((tmp_path / "state" / "receipts").rglob("*.json"))
    assert len(found) == 1
    receipt = receipts.load(found[0])
    assert [step.kind for step in receipt.steps] == ["ConfigMap", "DaemonSet"]
    assert [(view.key, view.state) for view in receipt.views] == [(key, "written") for key in views.KEYS]
    assert receipt.complete
    assert any(str(found[0]) in line for line in wizard.farewell(drive.app))
    # the answers file repeats the run and holds no key
    text = (tmp_path / "state" / "answers.toml").read_text()
    answers = tomllib.loads(text)
    assert answers["etcd"]["strategy"] == "node-http"
    assert answers["studio"]["endpoint"] == "https://studio.example"
    assert answers["cluster"]["context"] == "admin@prod"
    assert API_KEY not in text


async def test_nothing_is_written_before_enter_on_the_review(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("review")
        assert drive.next.startswith("Apply 2 changes")
        assert drive.world.writes == []
        assert not (tmp_path / "state" / "receipts").exists()
        await drive.press("enter")
        assert drive.world.writes == ["ConfigMap datakit/datakit-conf", "DaemonSet datakit/datakit"]


async def test_going_back_keeps_the_answers(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("etcd-conf")
        await drive.press("up", "down", "enter")  # the filter "full"
        assert drive.app.session.answers.etcd.preset == "full"
        await drive.press("b")
        assert drive.app.current == "workspace"
        await drive.press("b", "enter")
        assert drive.app.current == "workspace"
        await drive.press("enter")
        assert drive.app.current == "etcd-conf"
        assert drive.app.session.answers.etcd.preset == "full"
        assert "● full" in drive.text


async def test_passing_through_a_list_chooses_nothing(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("etcd-conf")
        before = drive.app.session.answers
        await drive.press("up", "up", "up", "down", "down", "down", "down", "down", "down", "down", "down", "down")
        assert drive.app.session.answers == before
        assert drive.screen.focused is drive.screen.go_on


async def test_a_changed_answer_after_apply_shows_as_changed(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("etcd")
        assert drive.app.session.state("review") is StepState.DONE
        drive.app.go("etcd-conf")
        await drive.rest()
        await drive.press("up", "down", "enter")
        assert drive.app.session.state("review") is StepState.CHANGED
        assert "± Review" in drive.text


async def test_the_rail_is_the_index(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("workspace")
        rail = drive.screen.query_one("StepRail")
        for _attempt in range(6):
            if drive.screen.focused is rail:
                break
            await drive.press("tab")
        assert drive.screen.focused is rail
        await drive.press("down", "down", "down", "down", "down", "enter")  # from workspace to docker
        assert drive.app.current == "docker"
        assert "1.1  Docker Monitoring View" in drive.text
        assert "13 panels" in drive.text


async def test_a_step_that_needs_the_cluster_is_refused_before_it_is_chosen(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        rail = drive.screen.query_one("StepRail")
        rail.focus()
        await drive.press("down", "down", "down", "down", "enter")
        assert drive.app.current == "welcome"


async def test_going_on_where_one_left_off(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("etcd-conf")
        await drive.press("up", "down", "enter")  # full
        await drive.press("enter")
        assert drive.app.current == "certificates"
        drive.app.save()
    async with driving(tmp_path, world=World.fresh()) as drive:
        assert "You left off at" in drive.text
        await drive.press("enter")  # to the cluster
        await drive.press("enter", "enter")  # look, go on
        assert drive.app.current == "workspace"
        await drive.press("enter", "enter")
        assert drive.app.current == "certificates"
        assert drive.app.session.answers.etcd.preset == "full"


async def test_beginning_anew_forgets_the_answers(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("etcd-conf")
        await drive.press("up", "down", "enter", "enter")
        drive.app.save()
    async with driving(tmp_path, world=World.fresh()) as drive:
        await drive.press("up", "down")  # begin anew
        await drive.to("etcd-conf")
        assert drive.app.session.answers.etcd.preset == "recommended"


async def test_a_cluster_without_name_asks_for_one(tmp_path: Path) -> None:
    async with driving(tmp_path, world=World.fresh(cluster_name="default")) as drive:
        await drive.to("etcd-conf")
        assert drive.screen.query_one("#name-part").display
        field = drive.screen.query_one("#name")
        assert field.value == "admin-prod"
        field.focus()
        await drive.press("end")
        await drive.type("-1")
        await drive.until(lambda: 'cluster_name_k8s = "admin-prod-1"' in drive.screen.query_one("#editor").text)
        await drive.press("enter")
        assert drive.app.session.answers.cluster.name == "admin-prod-1"


async def choose_strategy(drive: Drive, row: int) -> None:
    """Choose a way to reach etcd by its row, with the arrows and Enter."""
    await drive.press("up", "up", "up", *["down"] * row, "enter")


async def test_certificates_are_looked_at_on_every_node(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("etcd-conf")
        await choose_strategy(drive, 1)
        assert drive.app.session.answers.etcd.strategy == "node-tls"
        await drive.to("certificates")
        lines = {
            line.split("│")[1].split()[0]: line
            for line in drive.text.splitlines()
            if "√" in line or "–" in line
            if "│  cp-" in line or "│  worker" in line
        }
        assert set(lines) == {"cp-1", "worker-1", "worker-2", "worker-3"}
        assert lines["cp-1"].count("√") == 4
        assert "200" in lines["cp-1"]
        assert "not needed here" in lines["worker-1"]
        assert "healthcheck-client" in drive.text


async def test_an_election_that_can_fall_on_a_worker_is_warned_of(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("etcd-conf")
        await choose_strategy(drive, 2)
        await drive.to("certificates")
        await drive.until(lambda: "3 nodes lack the files" in str(drive.screen.query_one("#nodes").content))


async def test_a_secret_needs_its_name(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("etcd-conf")
        await choose_strategy(drive, 1)
        await drive.to("certificates")
        await drive.press("up", "end", "enter")
        assert drive.app.session.answers.certificates.source == "secret"
        assert drive.screen.query_one("#secret-part").display
        drive.screen.query_one("#secret").focus()
        await drive.type("etcd-client")
        await drive.rest()
        assert drive.app.session.answers.certificates.secret == "etcd-client"
        assert "cannot be looked at before it is mounted" in str(drive.screen.query_one("#nodes").content)


async def test_the_tutorial_to_the_letter_shows_its_traps_and_fails_verify(tmp_path: Path) -> None:
    world = World.fresh()
    world.time_scale = 200.0  # the checks wait for three intervals
    async with driving(tmp_path, world=world) as drive:
        await drive.to("etcd-conf")
        await drive.press("up", "up", "up", "down", "down", "down")
        assert "with its traps" in drive.text
        assert drive.app.session.answers.etcd.strategy == "node-http"  # not chosen yet
        await drive.press("enter")
        assert drive.app.session.answers.etcd.strategy == "tutorial"
        assert drive.app.session.answers.etcd.preset == "tutorial"
        await drive.to("verify")
        assert drive.app.session.report is not None
        assert drive.app.session.report.verdict == "fail"
        assert drive.next == "Check again"
        assert drive.app.session.state("verify") is StepState.FAILED
        # Enter on a check that did not pass tells all about it
        await drive.press("up", "down", "up")
        table = drive.screen.query_one(CheckTable)
        failure = table.under_cursor
        assert failure is not None
        assert drive.next == f"Details: {failure.title}"
        while table.under_cursor is not None and table.under_cursor.status != "fail":
            await drive.press("down")
        failure = table.under_cursor
        assert failure is not None
        await drive.press("enter")
        page = drive.app.screen
        assert isinstance(page, ErrorPage)
        told = str(page.error)
        assert failure.title in told
        assert failure.remedy
        assert all(part in told for part in (*failure.causes, failure.remedy, failure.command))
        await drive.press("escape")
        assert drive.app.current == "verify"


async def test_the_palette_goes_to_a_step_and_does_what_the_keys_do(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("workspace")
        await drive.press("ctrl+p")
        await drive.until(lambda: "Step: Verify" in drive.text or "A step or an action" in drive.text)
        await drive.type("certif")
        await drive.until(lambda: "Step: 1.3.2 Certificates" in drive.text)
        await drive.press("enter")
        await drive.until(lambda: drive.app.current == "certificates")
        await drive.rest()
        await drive.press("ctrl+p")
        await drive.type("back")
        await drive.until(lambda: "answers are kept" in drive.text)
        await drive.press("enter")
        await drive.until(lambda: drive.app.current == "etcd-conf")


async def test_the_conf_is_tried_before_anything_is_written(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("review")
        await drive.press("p")
        await drive.until(lambda: "The preview foretells exactly these." in drive.text)
        assert "DataKit on cp-1 ran this conf for a moment; nothing was sent." in drive.text
        assert drive.world.writes == []
        await drive.press("escape")
        assert drive.next.startswith("Apply 2 changes")


async def test_the_tag_that_the_views_filter_on(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.press("enter", "enter")
        await drive.press("t")
        assert "on which all seven views filter" in drive.text
        assert "All of it carries one name." in drive.text or "One name for all of it needs" in drive.text
        await drive.press("escape")
        assert drive.next == "Go on to the workspace"
