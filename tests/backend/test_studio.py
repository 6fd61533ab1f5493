"""The studio's client against the practice studio."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from studio_answers import KEY, SCALE, TEMPLATE, TOKEN, UUID, serving

from tui.backend.studio import StudioClient
from tui.core import live, views
from tui.core.errors import (
    KeyRejectedError,
    NotFoundError,
    RateLimitedError,
    UnreachableError,
    WizardError,
)
from tui.core.ports import Ask, Budget, Dashboard, Series, Studio
from tui.core.query import Query
from tui.lab.studio import StudioServer


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[StudioServer]:
    with serving(tmp_path) as server:
        yield server


@pytest.fixture
def client(studio: StudioServer) -> Iterator[StudioClient]:
    found = StudioClient(studio.url, KEY, time_scale=SCALE)
    yield found
    found.close()


def write(studio: StudioServer, lines: str) -> None:
    answer = httpx.post(f"{studio.url}/v1/write/metric", params={"token": TOKEN}, content=lines)
    assert answer.status_code == 200, answer.text


def test_it_is_what_core_asks_for(client: StudioClient) -> None:
    port: Studio = client
    assert port.endpoint.startswith("http://127.0.0.1:")


def test_workspace(client: StudioClient) -> None:
    workspace = client.workspace()
    assert workspace.uuid.startswith("wksp_")
    assert workspace.name == "practice"
    assert TOKEN not in repr(workspace)


@pytest.mark.parametrize(
    ("key", "hint"),
    [("sk-wrong", "another site"), ("tkn_" + "c" * 32, "workspace's token"), ("wsak_123", "Key (Secret)")],
)
def test_a_wrong_key_is_told_with_what_it_looks_like(studio: StudioServer, key: str, hint: str) -> None:
    with pytest.raises(KeyRejectedError) as error:
        StudioClient(studio.url, key, time_scale=SCALE).workspace()
    assert hint in error.value.remedy
    assert "ft.InvalidAPIKey" in error.value.why
    assert key not in str(error.value)
    assert len(studio.asked) == 1  # not tried again


@pytest.mark.parametrize(("fault", "whose"), [("rate-limit", "API key's"), ("workspace-limit", "workspace's")])
def test_a_rate_limit_is_no_wrong_key(studio: StudioServer, client: StudioClient, fault: str, whose: str) -> None:
    studio.faults.add(fault)
    with pytest.raises(RateLimitedError) as error:
        client.workspace()
    assert not isinstance(error.value, KeyRejectedError)
    assert whose in error.value.what
    assert [item.status for item in studio.asked] == [401]
    studio.faults.clear()
    assert client.workspace().name == "practice"


def test_a_rate_limit_during_a_query_is_waited_out(studio: StudioServer) -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds * SCALE)
        if len(waits) == 2:
            studio.faults.clear()

    client = StudioClient(studio.url, KEY, time_scale=SCALE, sleep=sleep)
    studio.faults.add("rate-limit")
    assert client.query(["M::`etcd`:(last(`up`))"], start_ms=0, end_ms=1) == [[]]
    assert waits == [10, 20]


def test_a_rate_limit_that_stays_ends_after_a_minute(studio: StudioServer) -> None:
    waits: list[float] = []
    client = StudioClient(studio.url, KEY, time_scale=SCALE, sleep=lambda seconds: waits.append(seconds * SCALE))
    studio.faults.add("rate-limit")
    with pytest.raises(RateLimitedError):
        client.dashboards()
    assert sum(waits) == 60


@pytest.mark.parametrize(
    ("fault", "told"), [("not-json", "not the Open API's JSON"), ("redirect", "elsewhere.invalid")]
)
def test_another_server_is_no_open_api(studio: StudioServer, client: StudioClient, fault: str, told: str) -> None:
    studio.faults.add(fault)
    with pytest.raises(UnreachableError, match=told) as error:
        client.workspace()
    assert error.value.what == "This is not a studio's Open API."
    assert len(studio.asked) == 1


def test_a_failing_server_is_asked_three_times(studio: StudioServer, client: StudioClient) -> None:
    studio.faults.add("broken")
    with pytest.raises(UnreachableError, match="failed with 503"):
        client.workspace()
    assert [item.error_code for item in studio.asked] == ["InternalError"] * 3


def test_a_dead_port(studio: StudioServer) -> None:
    with pytest.raises(UnreachableError, match="cannot be reached"):
        StudioClient("http://127.0.0.1:1", KEY, time_scale=SCALE).workspace()


def test_a_slow_answer(studio: StudioServer) -> None:
    studio.faults.add("slow")
    with pytest.raises(UnreachableError, match="in time"):
        StudioClient(studio.url, KEY, time_scale=SCALE, timeout_s=0.05).workspace()


def test_queries_are_answered_in_order_in_one_request(studio: StudioServer, client: StudioClient) -> None:
    now = int(time.time() * 1000)
    write(studio, "".join(f"etcd,instance=n{n} f{n}={n} {(now - 1000) * 10**6}\n" for n in range(110)))
    texts = [Query("etcd", f"f{n}", "last", by=("instance",)).dql() for n in range(110)]
    answers = client.query(texts, start_ms=now - 60_000, end_ms=now)
    assert [[(series.tags, series.rows) for series in answer] for answer in answers] == [
        [({"instance": f"n{n}"}, ((now - 1000.0, float(n)),))] for n in range(110)
    ]
    assert [item.path for item in studio.asked if "query" in item.path] == ["/api/v1/df/query_data_v1"] * 2
    assert client.query([], start_ms=0, end_ms=1) == []


def test_more_groups_than_the_servers_default(studio: StudioServer, client: StudioClient) -> None:
    write(studio, "".join(f"etcd,instance=n{n} up=1\n" for n in range(45)))
    now = int(time.time() * 1000)
    [answer] = client.query(
        [Query("etcd", "up", "last", by=("instance",)).dql()], start_ms=now - 9999, end_ms=now + 999
    )
    assert len(answer) == 45


def test_promql_is_sent_as_such(studio: StudioServer, client: StudioClient) -> None:
    write(studio, "etcd,instance=n1 up=1\n")
    now = int(time.time() * 1000)
    [answer] = client.query([Query("etcd", "up").promql()], start_ms=now - 200, end_ms=now + 200)
    assert answer[0].tags == {"instance": "n1"}
    assert {value for _time, value in answer[0].rows} == {1.0}


def test_show_functions_come_as_tags(studio: StudioServer, client: StudioClient) -> None:
    write(studio, "etcd,cluster_name_k8s=lab up=1\n")
    [values, names] = client.query(
        ["show_tag_value(from=['etcd'], keyin=['cluster_name_k8s'])", "show_measurement()"], start_ms=0, end_ms=1
    )
    assert values == [Series({"key": "cluster_name_k8s", "value": "lab"}, (), ())]
    assert names == [Series({"name": "etcd"}, (), ())]


def test_a_query_that_cannot_be_read_is_an_error(client: StudioClient) -> None:
    with pytest.raises(WizardError, match="refused") as error:
        client.query(["M::`etcd`:(exec(`up`))"], start_ms=0, end_ms=1)
    assert "exec" in error.value.why


def test_many_queries_are_one_request_each_with_its_own_interval(studio: StudioServer, client: StudioClient) -> None:
    now = int(time.time() * 1000)
    write(studio, "".join(f"etcd,instance=a up={n} {(now - 100 * n) * 10**6}\n" for n in range(4)))
    text = Query("etcd", "up", "last", by=("instance",))
    asks = [Ask(text.dql(), 60), Ask(text.dql()), Ask(Query("etcd", "up", "max").promql())]
    lines, one, instant = client.answers(asks, start_ms=now - 60_000, end_ms=now + 1)
    assert len(lines.series[0].rows) > 1  # a minute of the practice studio's time is short
    assert one.series[0].rows == ((float(now), 0.0),)
    assert len(instant.series[0].rows) == 1
    assert [item.path for item in studio.asked if "query" in item.path] == ["/api/v1/df/query_data_v1"]


def test_a_refused_query_spoils_no_other(studio: StudioServer, client: StudioClient) -> None:
    write(studio, "etcd up=1\n")
    now = int(time.time() * 1000)
    good, bad = Ask("M::etcd:(last(up))"), Ask("M::etcd:(exec(up))")
    answers = client.answers([good, good, bad, good, good], start_ms=now - 9999, end_ms=now + 999)
    assert [bool(answer.series) for answer in answers] == [True, True, False, True, True]
    assert "exec" in answers[2].error
    assert not any(answer.error for answer in answers if answer is not answers[2])


def test_what_is_no_querys_fault_is_an_error_of_the_request(studio: StudioServer, client: StudioClient) -> None:
    studio.faults.add("wrong-key")
    with pytest.raises(KeyRejectedError):
        client.answers([Ask("M::etcd:(last(up))")] * 3, start_ms=0, end_ms=1)
    assert len(studio.asked) == 1


def test_texts_are_kept_beside_the_numbers(studio: StudioServer, client: StudioClient) -> None:
    now = int(time.time() * 1000)
    write(studio, f'etcd,node=a version="v1" {(now - 50) * 10**6}\netcd,node=a version="v2" {now * 10**6}\n')
    [answer] = client.answers([Ask("M::etcd:(last(version)) BY node")], start_ms=now - 9999, end_ms=now + 999)
    assert answer.series[0].texts == {"last(version)": "v2"}
    assert answer.series[0].rows[0][1] is None


def test_a_live_view_is_one_request_whose_queries_are_all_read(studio: StudioServer, client: StudioClient) -> None:
    now = int(time.time() * 1000)
    write(
        studio,
        f"docker_containers,cluster_name_k8s=lab,host=n1,container_name=nginx cpu_usage=12.5 {now * 10**6}\n"
        f"istio_prom,cluster_name_k8s=lab,reporter=source istio_requests_total=4 {now * 10**6}\n",
    )
    for number, view in enumerate(views.catalogue(), 1):
        wanted = live.begin(view, "lab")
        asks = live.asks(wanted)
        answers = client.answers(asks, start_ms=now - 5000, end_ms=now + 5000)
        assert not [ask.text for ask, answer in zip(asks, answers, strict=True) if answer.error]
        assert [item.path for item in studio.asked].count("/api/v1/df/query_data_v1") == number
        picture = live.read(wanted, answers, "en")
        if view.key == "docker":
            assert picture.values["host"] == ("n1",)
            [course] = picture.panels[0].courses
            assert (course.name, course.newest) == ("nginx", 12.5)
            assert [panel.key for panel in picture.panels if panel.filled] == ["D1", "D8"]
        elif view.key == "etcd":
            assert "Nothing has arrived of etcd." in picture.panels[0].why


def test_answers_that_come_later(studio: StudioServer, client: StudioClient) -> None:
    write(studio, "etcd up=1\n")
    studio.faults.add("async")
    now = int(time.time() * 1000)
    answers = client.query(["M::etcd:(last(up))", "M::none:(last(up))"], start_ms=now - 9999, end_ms=now + 999)
    assert [len(answer) for answer in answers] == [1, 0]
    assert [item.path for item in studio.asked][-1] == "/api/v1/df/asynchronous/query_data"


def test_dashboards(studio: StudioServer, client: StudioClient) -> None:
    assert client.find_dashboard(UUID) is None
    made = client.create_dashboard(UUID, "ETCD 监控视图", TEMPLATE, identifier="mine")
    assert made == Dashboard(UUID, "ETCD 监控视图", "mine")
    assert client.find_dashboard(UUID) == made
    assert client.dashboards("监控") == [made]
    assert client.dashboards("docker") == []
    for chart, ours in zip(client.export_dashboard(UUID)["main"]["charts"], TEMPLATE["main"]["charts"], strict=True):
        assert ours.items() <= chart.items()
    client.delete_dashboard(UUID)
    client.delete_dashboard(UUID)  # gone already
    assert client.find_dashboard(UUID) is None
    with pytest.raises(NotFoundError):
        client.export_dashboard(UUID)


def test_a_dashboards_template_is_replaced_and_its_words_too(studio: StudioServer, client: StudioClient) -> None:
    client.create_dashboard(UUID, "x", TEMPLATE, identifier="mine", desc="before", tags=("a", "b"))
    other = {**TEMPLATE, "main": {"charts": [{"name": "new", "type": "pie", "queries": [{"q": "y"}]}]}}
    changed = client.update_dashboard(UUID, "y", other, identifier="mine", desc="after", tags=("a", "c"))
    assert changed == Dashboard(UUID, "y", "mine", desc="after")
    assert [chart["name"] for chart in client.export_dashboard(UUID)["main"]["charts"]] == ["new"]
    answer = httpx.get(f"{studio.url}/api/v1/dashboards/{UUID}/get", headers={"DF-API-KEY": KEY}).json()["content"]
    assert [tag["name"] for tag in answer["tag_info"][UUID]] == ["a", "c"]
    assert answer["isPublic"] == 1
    client.delete_dashboard(UUID)
    with pytest.raises(NotFoundError):
        client.update_dashboard(UUID, "y", other, identifier="mine")


def test_the_budget_is_what_the_limit_leaves(studio: StudioServer) -> None:
    now = [1000.0]
    client = StudioClient(studio.url, KEY, clock=lambda: now[0], sleep=lambda _seconds: None)
    assert client.budget() == Budget(20, 20, 0.0)
    studio.faults.add("wrong-key")  # which the studio does not count
    for _ in range(20):
        with pytest.raises(KeyRejectedError):
            client.workspace()
        now[0] += 1
    assert client.budget() == Budget(0, 20, 40.0)
    now[0] += 40
    assert client.budget() == Budget(1, 20, 0.0)
    now[0] += 3600
    assert client.budget() == Budget(20, 20, 0.0)


def test_a_dashboard_is_public(studio: StudioServer, client: StudioClient) -> None:
    client.create_dashboard(UUID, "x", TEMPLATE, identifier="")
    answer = httpx.get(f"{studio.url}/api/v1/dashboards/{UUID}/get", headers={"DF-API-KEY": KEY})
    assert answer.json()["content"]["isPublic"] == 1


def test_creating_twice_makes_one(studio: StudioServer, client: StudioClient) -> None:
    first = client.create_dashboard(UUID, "x", TEMPLATE, identifier="")
    assert client.create_dashboard(UUID, "x", TEMPLATE, identifier="") == first
    assert client.dashboards() == [first]


def test_an_answer_that_is_lost_does_not_make_two(studio: StudioServer, client: StudioClient) -> None:
    studio.faults.add("lost-answer")
    assert client.create_dashboard(UUID, "x", TEMPLATE, identifier="").uuid == UUID
    assert [item.path.rpartition("/")[2] for item in studio.asked].count("create") == 1
    assert len(client.dashboards()) == 1


def test_a_refused_dashboard_says_why(client: StudioClient) -> None:
    with pytest.raises(WizardError, match="name is required"):
        client.create_dashboard(UUID, "x" * 200, TEMPLATE, identifier="")


def test_all_pages_are_read(client: StudioClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.backend.studio._PAGE", 10)
    for number in range(23):
        client.create_dashboard(views.dashboard_uuid("w", "etcd", str(number)), f"d{number}", TEMPLATE, identifier="")
    assert {item.name for item in client.dashboards()} == {f"d{number}" for number in range(23)}
    assert [item.name for item in client.dashboards(most=20)] == [f"d{number}" for number in range(22, 2, -1)]


def test_a_proxy_of_the_environment_is_not_asked_for_loopback(
    studio: StudioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert StudioClient(studio.url, KEY, time_scale=SCALE).workspace().name == "practice"


def test_the_key_is_in_no_log_of_a_real_exchange(studio: StudioServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = StudioClient(studio.url, KEY, time_scale=SCALE)
    client.workspace()
    client.dashboards()
    assert "HTTP Request" in caplog.text
    assert KEY not in caplog.text
    assert TOKEN not in caplog.text
