"""Our dashboards in a workspace, on the practice studio: made once, seen as they are, and never overwritten unasked."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from studio_answers import KEY
from test_studio import client, studio  # noqa: F401 - fixtures

from tui.backend.studio import StudioClient
from tui.core import view_sync, views
from tui.core.errors import ForbiddenError, RefusedError, StaleError
from tui.core.ports import Workspace
from tui.core.view_drift import fingerprint
from tui.core.view_sync import CHANGED, MISSING, OUTDATED, SAME, Wanted
from tui.lab.studio import StudioServer


@pytest.fixture
def workspace(client: StudioClient) -> Workspace:  # noqa: F811
    return client.workspace()


def wanted(key: str = "etcd", language: str = "en", name: str = "") -> Wanted:
    return Wanted(key, "lab", name or views.view(key).name(language), language)


def states(client: StudioClient, workspace: Workspace, *some: Wanted) -> list[str]:  # noqa: F811
    return [standing.state for standing in view_sync.look(client, workspace, some or (wanted(),))]


def writes(studio: StudioServer) -> list[str]:  # noqa: F811
    """What was written; queries are posted as well."""
    posted = [item.path.rpartition("/")[2] for item in studio.asked if item.method == "POST"]
    return [action for action in posted if action != "query_data_v1"]


def api(studio: StudioServer, uuid: str, action: str, body: Any) -> None:  # noqa: F811
    """What a person does in the console."""
    answer = httpx.post(f"{studio.url}/api/v1/dashboards/{uuid}/{action}", json=body, headers={"DF-API-KEY": KEY})
    assert answer.status_code == 200, answer.text


def edited(client: StudioClient, uuid: str) -> dict[str, Any]:  # noqa: F811
    """The template with one panel changed and one removed, as a person would."""
    template = client.export_dashboard(uuid)
    template["main"]["charts"][0]["name"] = "What I want to see"
    del template["main"]["charts"][1]
    return template


def test_all_are_made_in_ten_requests_and_a_second_run_writes_nothing(
    studio: StudioServer,  # noqa: F811
    client: StudioClient,  # noqa: F811
    workspace: Workspace,
) -> None:
    every = [wanted(key) for key in views.KEYS]
    standings = view_sync.look(client, workspace, every)
    assert [standing.state for standing in standings] == [MISSING] * len(every)
    made = [view_sync.put(client, standing) for standing in standings]
    assert len(studio.asked) == 2 + len(every) <= 10
    assert [dashboard.uuid for dashboard in made] == [standing.uuid for standing in standings]
    studio.asked.clear()
    again = view_sync.look(client, workspace, every)
    assert [standing.state for standing in again] == [SAME] * len(every)
    assert [view_sync.put(client, standing).uuid for standing in again] == [one.uuid for one in made]
    assert writes(studio) == []
    assert len(studio.asked) == 1 + len(every)


def test_it_is_tagged_and_says_who_made_it(
    studio: StudioServer,  # noqa: F811
    client: StudioClient,  # noqa: F811
    workspace: Workspace,
) -> None:
    [standing] = view_sync.look(client, workspace, [wanted(language="zh")])
    made = view_sync.put(client, standing)
    assert made.desc.startswith("由 datakit-wizard 为集群 lab 创建 [")
    answer = httpx.get(f"{studio.url}/api/v1/dashboards/{made.uuid}/get", headers={"DF-API-KEY": KEY}).json()["content"]
    assert [tag["name"] for tag in answer["tag_info"][made.uuid]] == ["datakit-wizard", "lab"]
    assert (answer["isPublic"], answer["identifier"]) == (1, "datakit-wizard/etcd/lab")


def test_a_long_cluster_name_fits(client: StudioClient, workspace: Workspace) -> None:  # noqa: F811
    one = Wanted("etcd", "c" * 128, "x", "en")
    [standing] = view_sync.look(client, workspace, [one])
    assert len(view_sync.put(client, standing).identifier) == 128
    assert states(client, workspace, one) == [SAME]


def test_what_a_person_changed_is_seen_and_kept(
    studio: StudioServer,  # noqa: F811
    client: StudioClient,  # noqa: F811
    workspace: Workspace,
) -> None:
    [missing] = view_sync.look(client, workspace, [wanted()])
    uuid = view_sync.put(client, missing).uuid
    theirs = edited(client, uuid)
    api(studio, uuid, "import", {"templateInfo": theirs})
    [standing] = view_sync.look(client, workspace, [wanted()])
    assert standing.state == CHANGED
    assert [(one.verb, one.what) for one in standing.differences] == [
        ("removed", "Overview › Has leader"),
        ("removed", "Overview › Up"),
        ("added", "Overview › What I want to see"),
    ]
    with pytest.raises(RefusedError) as error:
        view_sync.put(client, standing)
    assert "Overview › Has leader" in error.value.why
    assert fingerprint(client.export_dashboard(uuid)) == fingerprint(theirs)

    studio.asked.clear()
    assert view_sync.put(client, standing, overwrite=True).uuid == uuid
    assert writes(studio) == ["import", "modify"]
    assert states(client, workspace) == [SAME]


def test_a_name_is_a_persons_to_choose(
    studio: StudioServer,  # noqa: F811
    client: StudioClient,  # noqa: F811
    workspace: Workspace,
) -> None:
    [missing] = view_sync.look(client, workspace, [wanted()])
    uuid = view_sync.put(client, missing).uuid
    api(studio, uuid, "modify", {"name": "Our etcd"})
    assert states(client, workspace) == [SAME]
    api(studio, uuid, "import", {"templateInfo": edited(client, uuid)})
    [changed] = view_sync.look(client, workspace, [wanted()])
    assert view_sync.put(client, changed, overwrite=True).name == "Our etcd"


def test_what_another_version_made_is_replaced(client: StudioClient, workspace: Workspace) -> None:  # noqa: F811
    """Here the other version is the view in the other language: as it was made, and not as it is wanted."""
    [missing] = view_sync.look(client, workspace, [wanted(language="zh")])
    view_sync.put(client, missing)
    [outdated] = view_sync.look(client, workspace, [wanted(language="en")])
    assert outdated.state == OUTDATED
    view_sync.put(client, outdated)
    assert states(client, workspace, wanted(language="en")) == [SAME]


def test_one_without_our_mark_counts_as_changed(
    studio: StudioServer,  # noqa: F811
    client: StudioClient,  # noqa: F811
    workspace: Workspace,
) -> None:
    [missing] = view_sync.look(client, workspace, [wanted(language="zh")])
    api(studio, view_sync.put(client, missing).uuid, "modify", {"desc": "ours"})
    assert states(client, workspace, wanted(language="zh"), wanted(language="en")) == [SAME, CHANGED]


def test_what_changed_since_it_was_looked_at_is_not_overwritten(
    studio: StudioServer,  # noqa: F811
    client: StudioClient,  # noqa: F811
    workspace: Workspace,
) -> None:
    [missing] = view_sync.look(client, workspace, [wanted(language="zh")])
    uuid = view_sync.put(client, missing).uuid
    [outdated] = view_sync.look(client, workspace, [wanted()])
    theirs = edited(client, uuid)
    api(studio, uuid, "import", {"templateInfo": theirs})
    with pytest.raises(StaleError):
        view_sync.put(client, outdated, overwrite=True)
    assert fingerprint(client.export_dashboard(uuid)) == fingerprint(theirs)


def test_one_that_came_to_be_meanwhile_is_not_taken_for_ours(
    client: StudioClient,  # noqa: F811
    workspace: Workspace,
) -> None:
    [first] = view_sync.look(client, workspace, [wanted(language="zh")])
    [second] = view_sync.look(client, workspace, [wanted(language="en")])
    view_sync.put(client, first)
    with pytest.raises(StaleError):
        view_sync.put(client, second)
    assert states(client, workspace, wanted(language="zh")) == [SAME]


def test_a_lost_answer_does_not_make_two(
    studio: StudioServer,  # noqa: F811
    client: StudioClient,  # noqa: F811
    workspace: Workspace,
) -> None:
    [missing] = view_sync.look(client, workspace, [wanted()])
    studio.faults.add("lost-answer")
    view_sync.put(client, missing)
    assert writes(studio) == ["create"]
    assert states(client, workspace) == [SAME]


def test_in_a_large_workspace_those_not_on_the_first_page_are_found(
    client: StudioClient,  # noqa: F811
    workspace: Workspace,
) -> None:
    [missing] = view_sync.look(client, workspace, [wanted()])
    view_sync.put(client, missing)
    template = wanted().template()
    for number in range(101):
        client.create_dashboard(views.dashboard_uuid("w", "x", str(number)), f"d{number}", template, identifier="")
    assert states(client, workspace) == [SAME]


def test_a_key_that_may_not_create_is_told(
    client: StudioClient,  # noqa: F811
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [missing] = view_sync.look(client, workspace, [wanted()])

    def forbidden(*_args: Any, **_options: Any) -> Any:
        raise ForbiddenError("The API key may not do this.")

    monkeypatch.setattr(client._api, "ask", forbidden)
    with pytest.raises(ForbiddenError):
        view_sync.put(client, missing)
