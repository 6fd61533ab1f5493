"""Plan, apply and undo of views against the practice studio: what is on the receipt, what a person changed, and each
answer of a studio that fails halfway.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from studio_answers import KEY, SCALE, envelope
from test_studio import client, studio  # noqa: F401 - fixtures
from test_view_sync import api, edited, writes

from tests.screens.fakes import FakeBackend, World
from tui.backend.studio import StudioClient
from tui.core import actions, reports, view_sync, views
from tui.core.answers import Answers, ClusterAnswers, EtcdAnswers, ViewAnswers
from tui.core.changes import CREATE, SAME
from tui.core.errors import (
    Exit,
    ForbiddenError,
    KeyRejectedError,
    PartialError,
    RefusedError,
    UsageError,
    WizardError,
)
from tui.core.plan import CHANGED, UPDATE, Plan, make_plan
from tui.core.ports import Cluster
from tui.core.receipts import FAILED, UNDONE, UNKNOWN, WRITTEN, Receipt, Store, load
from tui.core.survey import find_datakit, survey
from tui.core.undo import undo
from tui.core.view_drift import fingerprint
from tui.core.view_writes import create_views, plan_undo_views
from tui.core.writes import Event
from tui.lab.studio import StudioServer


class Place:
    """A cluster in memory whose etcd is left alone, so that plans hold views only; and a folder of receipts."""

    def __init__(self, studio: StudioServer, client: StudioClient, folder: Path) -> None:  # noqa: F811
        self.server = studio
        self.client = client
        self.cluster: Cluster = FakeBackend(World.fresh()).clusters().connect("admin@prod")  # type: ignore[assignment]
        self.store = Store(folder)
        self.said: list[Event] = []

    def answers(self, *keys: str, language: str = "en") -> Answers:
        return Answers(
            ClusterAnswers(self.cluster.context, name="lab"),
            EtcdAnswers("none"),
            views=ViewAnswers(keys or views.KEYS, language),
        )

    def plan(self, *keys: str, language: str = "en", overwrite: tuple[str, ...] = ()) -> Plan:
        look = survey(self.cluster, find_datakit(self.cluster, "datakit")[0])
        return make_plan(self.cluster, look, self.answers(*keys, language=language), self.client, overwrite=overwrite)

    def apply(self, plan: Plan, studio: Any = None) -> Receipt:  # noqa: F811
        return actions.apply(self.cluster, plan, studio or self.client, self.store, on_event=self.said.append)

    def undo(self, receipt: Receipt, *overwrite: str) -> Receipt:
        return undo(self.cluster, receipt, self.client, self.store, overwrite=overwrite, on_event=self.said.append)

    def person(self, uuid: str) -> str:
        """Somebody changes a dashboard in the console; the fingerprint of what it is then."""
        theirs = edited(self.client, uuid)
        api(self.server, uuid, "import", {"templateInfo": theirs})
        return fingerprint(theirs)

    def shows(self, uuid: str) -> str:
        """The fingerprint of what is there, "" for nothing."""
        return fingerprint(self.client.export_dashboard(uuid)) if self.client.find_dashboard(uuid) else ""


@pytest.fixture
def place(studio: StudioServer, client: StudioClient, tmp_path: Path) -> Place:  # noqa: F811
    return Place(studio, client, tmp_path)


def verbs(plan: Plan) -> list[str]:
    return [view.verb for view in plan.views]


def test_all_seven_cost_ten_requests_at_most_and_a_second_run_writes_nothing(place: Place) -> None:
    plan = place.plan()
    assert verbs(plan) == [CREATE] * 7
    receipt = place.apply(plan)
    assert len(place.server.asked) <= 10, [asked.path for asked in place.server.asked]
    assert [(view.key, view.state, view.created) for view in receipt.views] == [
        (key, WRITTEN, True) for key in views.KEYS
    ]
    assert receipt.complete
    place.server.asked.clear()
    again = place.plan()
    assert verbs(again) == [SAME] * 7
    assert not again.has_changes
    assert place.apply(again).path is None
    assert writes(place.server) == []


def test_the_etcd_view_is_made_in_the_names_of_the_answers_conf(place: Place) -> None:
    text = """
[[inputs.prom]]
  urls = ["http://127.0.0.1:2381/metrics"]
  source = "etcd"
  measurement_name = "etcd"
"""
    full = replace(place.answers("etcd"), etcd=EtcdAnswers("node-http", conf=text))
    look = survey(place.cluster, find_datakit(place.cluster, "datakit")[0])
    [change] = make_plan(place.cluster, look, full, place.client).views
    assert change.standing is not None
    made = view_sync.put(place.client, change.standing)
    assert "`etcd_server_has_leader`" in json.dumps(place.client.export_dashboard(made.uuid))
    assert verbs(make_plan(place.cluster, look, full, place.client)) == [SAME]
    # Another conf wants other names; nobody changed the view meanwhile, so it is made anew without asking.
    text += '  [[inputs.prom.measurements]]\n    prefix = "etcd_"\n    name = "etcd"\n'
    stripped = replace(full, etcd=replace(full.etcd, conf=text))
    assert verbs(make_plan(place.cluster, look, stripped, place.client)) == [UPDATE]


def test_what_another_version_made_is_replaced_and_comes_back(place: Place) -> None:
    uuid = place.apply(place.plan("etcd", language="zh")).views[0].uuid
    before = place.shows(uuid)
    plan = place.plan("etcd")
    assert verbs(plan) == [UPDATE]
    assert "update: this tool made it in another version, language" in reports.plan_text(plan)
    receipt = place.apply(plan)
    step = receipt.views[0]
    assert (step.created, step.state, step.wrote) == (False, WRITTEN, place.shows(uuid))
    assert step.former is not None
    assert fingerprint(step.former) == before != step.wrote
    place.undo(receipt)
    assert place.shows(uuid) == before
    assert verbs(place.plan("etcd", language="zh")) == [SAME]  # its mark came back with it
    assert verbs(place.plan("etcd")) == [UPDATE]


def test_what_a_person_changed_is_told_left_and_overwritten_only_when_named(place: Place) -> None:
    uuid = place.apply(place.plan("etcd")).views[0].uuid
    theirs = place.person(uuid)
    plan = place.plan("etcd", "docker")
    assert verbs(plan) == [CHANGED, CREATE]
    text = reports.plan_text(plan)
    assert "+ Overview › Has leader" in text  # what overwriting would bring back
    assert "- Overview › What I want to see" in text
    assert "--overwrite-view etcd" in text
    [etcd, _docker] = reports.plan_document(plan)["views"]  # type: ignore[misc]
    assert (etcd["verb"], etcd["differences"][0]) == (
        "changed",
        {"verb": "added", "what": "Overview › Has leader", "diff": []},
    )

    with pytest.raises(PartialError, match="changed") as partly:
        place.apply(plan)
    assert "--overwrite-view etcd" in partly.value.remedy
    assert place.shows(uuid) == theirs
    assert verbs(place.plan("etcd", "docker")) == [CHANGED, SAME]
    with pytest.raises(RefusedError) as refused:  # nothing else is left to do
        place.apply(place.plan("etcd", "docker"))
    assert refused.value.status == Exit.REFUSED

    receipt = place.apply(place.plan("etcd", overwrite=("etcd",)))
    assert verbs(place.plan("etcd")) == [SAME]
    place.undo(receipt)
    assert place.shows(uuid) == theirs


def test_a_receipt_on_which_a_later_one_stands_is_undone_after_it(place: Place) -> None:
    first = place.apply(place.plan("etcd"))
    theirs = place.person(first.views[0].uuid)
    second = place.apply(place.plan("etcd", overwrite=("etcd",)))
    with pytest.raises(UsageError, match="later apply") as refused:
        place.undo(first)
    assert refused.value.object == str(second.path)
    place.undo(second)
    assert place.shows(first.views[0].uuid) == theirs, "what the person made was not lost in between"
    assert place.undo(first, "etcd").undone


def test_a_view_that_nobody_changed_needs_no_overwriting(place: Place) -> None:
    place.apply(place.plan("etcd"))
    plan = place.plan("etcd", overwrite=("etcd",))
    assert plan.overwrite == ()
    assert any("Nobody changed the view etcd" in note for note in plan.notes)
    with pytest.raises(WizardError, match="no view"):
        place.plan("etcd", overwrite=("etdc",))


def test_undo_deletes_what_was_made_and_leaves_what_a_person_changed(place: Place) -> None:
    receipt = place.apply(place.plan("etcd", "docker"))
    etcd, docker = (view.uuid for view in receipt.views)
    theirs = place.person(etcd)
    foreign = place.client.create_dashboard(
        "dsbd_custom_" + "f" * 32, "Theirs", view_sync.Wanted("etcd", "x", "n", "en").template(), identifier=""
    )
    [first, second] = plan_undo_views(place.client, receipt)
    assert (first.step.key, first.text) == ("docker", "delete")
    assert (second.step.key, second.by_person) == ("etcd", True)
    left = place.undo(receipt)
    assert [view.state for view in left.views] == [WRITTEN, UNDONE]
    assert not left.undone
    assert "left" in left.views[0].message
    assert (place.shows(etcd), place.shows(docker)) == (theirs, "")
    assert any("left as it is" in event.text for event in place.said)
    done = place.undo(left, "etcd")
    assert done.undone
    assert place.shows(etcd) == ""
    assert place.client.find_dashboard(foreign.uuid) is not None


def test_a_dashboard_that_was_deleted_meanwhile_is_no_trouble_to_undo(place: Place) -> None:
    receipt = place.apply(place.plan("etcd"))
    place.client.delete_dashboard(receipt.views[0].uuid)
    assert place.undo(receipt).undone


def test_overwriting_twice_in_one_run_keeps_what_was_there_first(place: Place) -> None:
    receipt = place.apply(place.plan("etcd", language="zh"))
    place.person(receipt.views[0].uuid)
    wanted = view_sync.Wanted("etcd", "lab", "ETCD", "en")
    [standing] = view_sync.look(place.client, place.client.workspace(), [wanted])
    again = create_views(
        place.client, [standing], receipt, place.store, overwrite=("etcd",), on_event=place.said.append
    )
    assert again.path == receipt.path
    assert again.views[0].created, "undo still deletes it: this run made it"
    place.undo(again)
    assert place.shows(receipt.views[0].uuid) == ""


def test_a_template_with_a_secret_is_not_kept(place: Place) -> None:
    uuid = place.apply(place.plan("etcd", language="zh")).views[0].uuid
    theirs = edited(place.client, uuid)
    theirs["main"]["charts"][0]["extend"]["settings"]["titleDesc"] = "curl https://h/?token=p1anted0123456789"
    api(place.server, uuid, "import", {"templateInfo": theirs})
    receipt = place.apply(place.plan("etcd", overwrite=("etcd",)))
    assert receipt.path is not None
    assert "p1anted" not in receipt.path.read_text()
    assert receipt.views[0].withheld
    left = place.undo(receipt)
    assert not left.undone
    assert any("held a secret" in event.text for event in place.said)


class Breaking(httpx.BaseTransport):
    """The network to the practice studio, on which `answer` takes over from the request `at` on."""

    def __init__(self, at: str, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self._real = httpx.HTTPTransport()
        self._left = 2  # of the requests to `at`, so many pass
        self._at = at
        self._answer = answer

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self._left <= 0:
            return self._answer(request)
        if request.url.path.endswith(self._at):
            self._left -= 1
        return self._real.handle_request(request)

    def close(self) -> None:
        self._real.close()


def truncated(_request: httpx.Request) -> httpx.Response:
    whole = json.dumps({"code": 200, "content": {"uuid": "x"}, "errorCode": "", "success": True})
    return httpx.Response(200, content=whole[:20])


BREAKS: dict[str, tuple[Callable[[httpx.Request], httpx.Response], str, str]] = {
    "error code in a 200": (
        lambda _r: envelope({}, 200, "ft.TemplateInvalid", "bad template"),
        "refused the request",
        FAILED,
    ),
    "HTML": (lambda _r: httpx.Response(200, html="<!DOCTYPE html><title>Console</title>"), "not a studio", UNKNOWN),
    "truncated": (truncated, "not a studio", UNKNOWN),
    "5xx": (lambda _r: envelope({}, 503, "InternalError", "unknown"), "failed with 503", UNKNOWN),
    "rate limit": (
        lambda _r: envelope({}, 401, "ft.TriggerApiAkCurrentLimiting", "too many"),
        "rate limit is reached",
        FAILED,
    ),
    "role": (lambda _r: envelope({}, 403, "ft.NoPermission", "role"), "may not", FAILED),
    "workspace deleted": (
        lambda _r: envelope({}, 403, "ft.InvalidAPIKey", "no such key"),
        "rejected the api key",
        FAILED,
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_studio_that_breaks_halfway_leaves_what_was_made_on_the_receipt(place: Place, name: str) -> None:
    answer, says, state = BREAKS[name]
    plan = place.plan()
    broken = StudioClient(
        place.server.url, KEY, time_scale=SCALE, transport=Breaking("/create", answer), sleep=lambda _s: None
    )
    with pytest.raises(PartialError) as error:
        place.apply(plan, broken)
    assert says in error.value.what.lower() or says in error.value.what, error.value.what
    assert "Receipt:" in error.value.remedy
    receipt = place.store.newest(plan.survey.uid, "datakit")
    assert receipt is not None
    assert [view.state for view in receipt.views] == [WRITTEN, WRITTEN, state]
    assert receipt.views[2].message
    assert not receipt.complete
    # the next run makes the rest, and undo takes all of it back
    whole = place.apply(place.plan())
    assert [view.key for view in whole.views] == list(views.KEYS[2:])
    for made in (whole, load(receipt.path) if receipt.path else receipt):
        place.undo(made)
    assert verbs(place.plan()) == [CREATE] * 7


def test_a_key_that_may_not_create_writes_nothing(place: Place, tmp_path: Path) -> None:
    plan = place.plan("etcd")
    broken = StudioClient(
        place.server.url,
        KEY,
        time_scale=SCALE,
        transport=Breaking("/none", lambda request: envelope({})),
    )
    transport = broken._api._http._transport
    assert isinstance(transport, Breaking)
    transport._left, transport._answer = 0, lambda _r: envelope({}, 403, "ft.NoPermission", "role")
    with pytest.raises(ForbiddenError):
        place.apply(plan, broken)
    receipts = list(tmp_path.rglob("*.json"))
    assert [view.state for path in receipts for view in load(path).views] == [FAILED]
    assert not load(receipts[0]).changed_anything


def test_waiting_for_the_limit_is_told(place: Place) -> None:
    place.apply(place.plan())
    place.said.clear()
    receipt = place.store.newest(place.plan().survey.uid, "datakit")
    assert receipt is not None
    told = []

    class Full:
        """The studio's client, as it is when its minute is used up."""

        def __getattr__(self, name: str) -> Any:
            return getattr(place.client, name)

        def budget(self) -> Any:
            return replace(place.client.budget(), left=0, next_s=12.0)

    undo(place.cluster, receipt, Full(), place.store, on_event=lambda event: told.append(event.text))  # type: ignore[arg-type]
    assert any("20 requests a minute" in text and "12 s" in text for text in told)


def test_a_key_that_stopped_being_one_is_told(place: Place) -> None:
    plan = place.plan("etcd")
    place.server.faults.add("wrong-key")
    with pytest.raises(KeyRejectedError):
        place.apply(plan)
