"""The practice studio's Open API: keys, limits, errors and dashboards as the vendor documents them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest
from studio_http import KEY, TOKEN, Http

from tui.lab.studio import StudioServer
from tui.lab.studio import server as studio_server

UUID = "dsbd_custom_" + "0" * 32
TEMPLATE: dict[str, Any] = {
    "title": "t",
    "main": {"charts": [{"name": "c", "type": "sequence", "queries": [{"q": "x"}]}]},
}


async def test_a_key_opens_its_workspace(http: Http) -> None:
    status, answer = await http.api("GET", "workspace/get")
    assert (status, answer["code"], answer["success"], answer["errorCode"]) == (200, 200, True, "")
    assert answer["content"]["uuid"].startswith("wksp_")
    assert answer["content"]["token"] == TOKEN
    assert answer["traceId"].startswith("TRACE-")


@pytest.mark.parametrize("key", ["", "wrong", KEY + "x", KEY.upper(), TOKEN])
async def test_a_wrong_key_is_401_with_its_code(http: Http, key: str) -> None:
    status, answer = await http.api("GET", "workspace/get", key=key)
    assert (status, answer["code"], answer["success"], answer["errorCode"]) == (401, 401, False, "ft.InvalidAPIKey")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "nowhere"), ("POST", "dashboard/list"), ("GET", "dashboards/create")]
)
async def test_an_unknown_route_is_400_router_not_found(http: Http, method: str, path: str) -> None:
    status, answer = await http.api(method, path)
    assert (status, answer["errorCode"]) == (400, "RouterNotFound")


async def test_the_keys_limit_is_twenty_a_minute_with_status_401(tmp_path: Path) -> None:
    server = StudioServer(str(tmp_path / "s.sqlite"), KEY, TOKEN, time_scale=1)
    async with aiohttp.ClientSession() as session:
        http = Http(session, await server.start())
        answers = [await http.api("GET", "const/check_ping") for _ in range(21)]
    await server.stop()
    assert [status for status, _ in answers] == [200] * 20 + [401]
    assert answers[-1][1]["errorCode"] == "ft.TriggerApiAkCurrentLimiting"


async def test_the_workspaces_limit_counts_all_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred a minute: two keys do not get that far by themselves."""
    monkeypatch.setattr(studio_server, "PER_WORKSPACE", 30)
    server = StudioServer(str(tmp_path / "s.sqlite"), KEY, TOKEN, time_scale=1, reader_key="another")
    async with aiohttp.ClientSession() as session:
        http = Http(session, await server.start())
        keys = [KEY] * 18 + ["another"] * 13
        answers = [await http.api("GET", "const/check_ping", key=key) for key in keys]
    await server.stop()
    assert [status for status, _ in answers] == [200] * 30 + [401]
    assert answers[-1][1]["errorCode"] == "ft.TriggerApiWorkspaceCurrentLimiting"


async def test_a_key_of_another_site_is_told_as_a_wrong_one(tmp_path: Path, http: Http) -> None:
    """No site knows the keys of the others: the answers are the same but for their trace."""
    other = StudioServer(str(tmp_path / "other.sqlite"), "a key of its own", TOKEN)
    async with aiohttp.ClientSession() as session:
        elsewhere = Http(session, await other.start())
        assert (await elsewhere.api("GET", "workspace/get", key="a key of its own"))[0] == 200
        answers = [await elsewhere.api("GET", "workspace/get", key=key) for key in (KEY, "nonsense")]
    await other.stop()
    told = [{**answer, "traceId": ""} for _, answer in answers]
    assert told[0] == told[1]
    assert {status for status, _ in answers} == {401}
    assert told[0]["errorCode"] == "ft.InvalidAPIKey"


async def test_an_answer_that_has_to_be_asked_for_again(studio: StudioServer, http: Http) -> None:
    studio.faults.add("async")
    query = {"qtype": "dql", "query": {"q": "M::etcd:(last(up))"}}
    await http.write("etcd up=1")
    _, first = await http.api("POST", "df/query_data_v1", {"queries": [query]})
    (running,) = first["content"]["data"]
    assert (running["is_running"], running["query_status"], running["series"]) == (True, "running", None)
    assert running["async_id"]
    again = {"queries": [{**query, "async_id": running["async_id"]}]}
    _, second = await http.api("POST", "df/asynchronous/query_data", again)
    (done,) = second["content"]["data"]
    assert (done["is_running"], done["async_id"], done["complete"]) == (False, "", False)
    assert done["series"][0]["values"][0][1] == 1


@pytest.mark.parametrize("fault", ["not-json", "redirect"])
async def test_something_else_answers_in_the_studios_place(studio: StudioServer, http: Http, fault: str) -> None:
    studio.faults.add(fault)
    asked = http.session.get(f"{http.url}/api/v1/workspace/get", headers={"DF-API-KEY": KEY}, allow_redirects=False)
    async with asked as answer:
        if fault == "redirect":
            assert (answer.status, answer.headers["Location"]) == (302, "http://elsewhere.invalid/api/v1")
        else:
            assert (answer.status, answer.content_type) == (200, "text/html")


async def test_an_answer_that_is_lost_was_carried_out(studio: StudioServer, http: Http) -> None:
    studio.faults.add("lost-answer")
    with pytest.raises(aiohttp.ClientError):
        await http.api("POST", "dashboards/create", {"name": "lost", "isPublic": 1})
    assert [each["name"] for each in (await http.api("GET", "dashboards/list"))[1]["content"]] == ["lost"]


async def test_tags_are_told_in_two_forms_and_not_filtered_by(http: Http) -> None:
    body = {"name": "tagged", "specifyDashboardUUID": UUID, "tagNames": ["mine"]}
    assert (await http.api("POST", "dashboards/create", body))[0] == 200
    tag = {"id": "tag_mine", "name": "mine"}
    assert (await http.api("GET", f"dashboards/{UUID}/get"))[1]["content"]["tag_info"] == {UUID: [tag]}
    [listed] = (await http.api("GET", "dashboards/list"))[1]["content"]
    assert listed["tag_info"]["tagInfo"] == [tag]
    status, answer = await http.api("GET", "dashboards/list", tagNames='["mine"]')
    assert (status, "tagNames" in answer["message"]) == (400, True)


async def test_the_limits_period_is_the_labs_minute(studio: StudioServer, http: Http) -> None:
    """At x1000 a minute is 60 ms: far more than twenty requests fit into a test."""
    refused, served = 0, 0
    while served <= 20:
        status, answer = await http.api("GET", "const/check_ping")
        served += status == 200
        refused += answer["errorCode"] == "ft.TriggerApiAkCurrentLimiting"
        assert refused < 10_000
    assert served == 21


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("rate-limit", 401, "ft.TriggerApiAkCurrentLimiting"),
        ("workspace-limit", 401, "ft.TriggerApiWorkspaceCurrentLimiting"),
        ("wrong-key", 401, "ft.InvalidAPIKey"),
        ("broken", 503, "InternalError"),
    ],
)
async def test_faults_can_be_switched(studio: StudioServer, http: Http, fault: str, status: int, code: str) -> None:
    studio.faults.add(fault)
    got, answer = await http.api("GET", "const/check_ping")
    assert (got, answer["errorCode"]) == (status, code)
    studio.faults.clear()
    assert (await http.api("GET", "const/check_ping"))[0] == 200


async def test_dashboards_are_created_listed_read_exported_changed_and_deleted(http: Http) -> None:
    body = {
        "name": "ETCD 监控视图",
        "specifyDashboardUUID": UUID,
        "templateInfo": TEMPLATE,
        "isPublic": 1,
        "identifier": "mine",
    }
    status, created = await http.api("POST", "dashboards/create", body)
    assert status == 200
    assert created["content"]["uuid"] == UUID
    assert (created["content"]["name"], created["content"]["isPublic"]) == ("ETCD 监控视图", 1)
    assert len(created["content"]["chartPos"]) == 1
    assert "templateInfo" not in created["content"]
    await http.api("POST", "dashboards/create", {"name": "other"})

    _, found = await http.api("GET", "dashboards/list", search="etcd")
    assert [item["uuid"] for item in found["content"]] == [UUID]
    _, page = await http.api("GET", "dashboards/list", pageIndex="2", pageSize="1")
    assert [item["uuid"] for item in page["content"]] == [UUID]  # the newest comes first
    assert page["pageInfo"] == {"count": 1, "pageIndex": 2, "pageSize": 1, "totalCount": 2}

    assert (await http.api("GET", f"dashboards/{UUID}/get"))[1]["content"]["identifier"] == "mine"
    exported = (await http.api("GET", f"dashboards/{UUID}/export"))[1]["content"]
    [chart] = exported["main"]["charts"]
    assert (exported["title"], chart.pop("uuid")[:5]) == ("ETCD 监控视图", "chrt_")
    assert chart == {**TEMPLATE["main"]["charts"][0], "chartGroupUUID": "", "prevGroupName": None}
    empty = {"title": "t", "main": {"charts": []}}
    assert (await http.api("POST", f"dashboards/{UUID}/import", {"templateInfo": empty}))[1]["content"][
        "chartPos"
    ] == []
    modified = (await http.api("POST", f"dashboards/{UUID}/modify", {"name": "new"}))[1]["content"]
    assert (modified["name"], modified["old_name"]) == ("new", "ETCD 监控视图")

    assert (await http.api("POST", f"dashboards/{UUID}/delete"))[1]["content"] == {UUID: "new"}
    status, gone = await http.api("GET", f"dashboards/{UUID}/get")
    assert (status, gone["errorCode"]) == (404, "ft.NotFoundDashboard")
    assert (await http.api("POST", "dashboards/create", body))[0] == 200  # a deleted uuid can be used again


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "name"),
        ({"name": "x" * 129}, "name"),
        ({"name": "a", "specifyDashboardUUID": "mine"}, "specifyDashboardUUID"),
        ({"name": "a", "templateInfo": ""}, "templateInfo"),
        ({"name": "a", "templateInfo": {"title": "t", "main": {"charts": [{"name": "c"}]}}}, "type, queries"),
        ({"name": "a", "desc": 1}, "desc"),
    ],
)
async def test_a_bad_dashboard_is_refused(http: Http, body: dict, told: str) -> None:
    status, answer = await http.api("POST", "dashboards/create", body)
    assert (status, answer["success"]) == (400, False)
    assert told in answer["message"]
    assert (await http.api("GET", "dashboards/list"))[1]["content"] == []


async def test_a_uuid_that_exists_is_refused(http: Http) -> None:
    assert (await http.api("POST", "dashboards/create", {"name": "a", "specifyDashboardUUID": UUID}))[0] == 200
    status, answer = await http.api("POST", "dashboards/create", {"name": "b", "specifyDashboardUUID": UUID})
    assert (status, answer["success"]) == (400, False)
    assert (await http.api("GET", f"dashboards/{UUID}/get"))[1]["content"]["name"] == "a"


async def test_a_body_that_is_not_json(studio: StudioServer, http: Http) -> None:
    async with http.session.post(
        f"{http.url}/api/v1/dashboards/create", data="{", headers={"DF-API-KEY": KEY}
    ) as answer:
        assert (answer.status, (await answer.json())["success"]) == (400, False)


async def test_what_is_kept_outlives_the_server(tmp_path: Path) -> None:
    path = str(tmp_path / "s.sqlite")
    seen = []
    for _ in range(2):
        server = StudioServer(path, KEY, TOKEN, time_scale=1000)
        async with aiohttp.ClientSession() as session:
            http = Http(session, await server.start())
            if not seen:
                await http.api("POST", "dashboards/create", {"name": "a", "specifyDashboardUUID": UUID})
                await http.write("etcd,instance=a up=1")
            workspace = (await http.api("GET", "workspace/get"))[1]["content"]["uuid"]
            series = await http.ask("M::`etcd`:(last(`up`)) BY `instance`")
            seen.append(
                (workspace, [item["name"] for item in (await http.api("GET", "dashboards/list"))[1]["content"]], series)
            )
        await server.stop()
        await server.stop()
    assert seen[0] == seen[1]
    assert seen[0][1] == ["a"]
    assert seen[0][2][0]["tags"] == {"instance": "a"}


async def test_the_audit_names_what_was_asked_without_secrets(studio: StudioServer, http: Http) -> None:
    await http.api("GET", "workspace/get")
    await http.api("GET", "workspace/get", key="wrong")
    await http.write("etcd up=1")
    asked = [(item.method, item.path, item.status, item.error_code) for item in studio.asked]
    assert asked == [
        ("GET", "/api/v1/workspace/get", 200, ""),
        ("GET", "/api/v1/workspace/get", 401, "ft.InvalidAPIKey"),
        ("POST", "/v1/write/metric", 200, ""),
    ]
    assert KEY not in repr((studio, studio.asked))
    assert TOKEN not in repr((studio, studio.asked))
