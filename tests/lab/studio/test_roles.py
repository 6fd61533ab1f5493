"""Keys with roles, private dashboards, the spellings of no data, and how long an answer takes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from studio_http import KEY, TOKEN, Http

from tui.lab.studio import StudioServer

READER = "practice-reader-91c2"
UUID = "dsbd_custom_" + "b" * 32
QUERY = {"queries": [{"qtype": "dql", "query": {"q": "M::nothing:(last(x))"}}]}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[StudioServer]:
    made = StudioServer(str(tmp_path / "studio.sqlite"), KEY, TOKEN, reader_key=READER)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def http_of(server: StudioServer) -> AsyncIterator[Http]:
    async with aiohttp.ClientSession() as session:
        yield Http(session, server.url)


async def test_a_read_only_key_reads_and_changes_nothing(http_of: Http) -> None:
    assert (await http_of.api("GET", "workspace/get", key=READER))[0] == 200
    assert (await http_of.api("POST", "df/query_data_v1", QUERY, key=READER))[0] == 200
    status, answer = await http_of.api("POST", "dashboards/create", {"name": "x"}, key=READER)
    assert (status, answer["success"], answer["errorCode"]) == (403, False, "ft.NoPermission")
    assert (await http_of.api("GET", "dashboards/list"))[1]["content"] == []


@pytest.mark.parametrize(("public", "seen"), [({}, False), ({"isPublic": 0}, False), ({"isPublic": 1}, True)])
async def test_a_private_dashboard_shows_to_its_maker_alone(http_of: Http, public: dict[str, int], seen: bool) -> None:
    body = {"name": "mine", "specifyDashboardUUID": UUID, **public}
    assert (await http_of.api("POST", "dashboards/create", body))[0] == 200
    for key, expected in ((KEY, True), (READER, seen)):
        names = [each["name"] for each in (await http_of.api("GET", "dashboards/list", key=key))[1]["content"]]
        assert names == (["mine"] if expected else [])
        assert (await http_of.api("GET", f"dashboards/{UUID}/get", key=key))[0] == (200 if expected else 404)


async def test_each_key_has_a_limit_of_its_own(http_of: Http) -> None:
    for _number in range(20):
        assert (await http_of.api("GET", "workspace/get"))[0] == 200
    status, answer = await http_of.api("GET", "workspace/get")
    assert (status, answer["errorCode"]) == (401, "ft.TriggerApiAkCurrentLimiting")
    assert (await http_of.api("GET", "workspace/get", key=READER))[0] == 200


async def test_no_data_in_its_three_spellings(server: StudioServer, http_of: Http) -> None:
    for fault, expected in (("", []), ("no-data-null", None), ("no-data-missing", "missing")):
        server.faults = {fault} if fault else set()
        _status, answer = await http_of.api("POST", "df/query_data_v1", QUERY)
        (data,) = answer["content"]["data"]
        assert data.get("series", "missing") == expected
        assert data["complete"] is False


async def test_latency_on_request(server: StudioServer, http_of: Http) -> None:
    server.latency_s = 0.2
    began = time.monotonic()
    assert (await http_of.api("GET", "workspace/get"))[0] == 200
    assert time.monotonic() - began >= 0.2
