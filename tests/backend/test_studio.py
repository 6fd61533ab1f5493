"""The studio's client against the practice studio, and against answers that only a transport can give."""

from __future__ import annotations

import asyncio
import io
import logging
import pickle
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console
from rich.traceback import Traceback

from tui.backend.open_api import ApiKey, Limiter
from tui.backend.studio import StudioClient
from tui.core import sites, views
from tui.core.errors import (
    DeadlineError,
    ForbiddenError,
    KeyRejectedError,
    NotFoundError,
    RateLimitedError,
    UnreachableError,
    UsageError,
    WizardError,
)
from tui.core.ports import Dashboard, Series, Studio
from tui.core.query import Query
from tui.lab.studio import StudioServer

KEY, TOKEN = "sk-planted-5d0c7b1e", "tkn_" + "b" * 32
SCALE = 1000.0
UUID = views.dashboard_uuid("wksp_x", "etcd", "lab")
TEMPLATE = views.build(views.view("etcd"), name="etcd", language="en")
API = "https://openapi.guance.com"


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[StudioServer]:
    """A practice studio in a thread of its own, because the client blocks."""
    server = StudioServer(str(tmp_path / "studio.sqlite"), KEY, TOKEN, time_scale=SCALE)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
    yield server
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture
def client(studio: StudioServer) -> Iterator[StudioClient]:
    found = StudioClient(studio.url, KEY, time_scale=SCALE)
    yield found
    found.close()


def write(studio: StudioServer, lines: str) -> None:
    answer = httpx.post(f"{studio.url}/v1/write/metric", params={"token": TOKEN}, content=lines)
    assert answer.status_code == 200, answer.text


def answering(handler: Callable[[httpx.Request], httpx.Response], **options: Any) -> StudioClient:
    """A client whose every request is answered by `handler`; it does not really wait."""
    options.setdefault("sleep", lambda _seconds: None)
    return StudioClient(API, KEY, transport=httpx.MockTransport(handler), **options)


def envelope(content: Any, status: int = 200, code: str = "", message: str = "") -> httpx.Response:
    body = {"code": status, "content": content, "errorCode": code, "message": message, "success": status == 200}
    return httpx.Response(status, json={**body, "traceId": "TRACE-1"})


# Against the practice studio


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
    write(studio, "".join(f"etcd,instance=n{n} f{n}={n} {(now - 1000) * 10**6}\n" for n in range(60)))
    texts = [Query("etcd", f"f{n}", "last", by=("instance",)).dql() for n in range(60)]
    answers = client.query(texts, start_ms=now - 60_000, end_ms=now)
    assert [[(series.tags, series.rows) for series in answer] for answer in answers] == [
        [({"instance": f"n{n}"}, ((now - 1000.0, float(n)),))] for n in range(60)
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
    assert client.export_dashboard(UUID)["main"] == TEMPLATE["main"]
    client.delete_dashboard(UUID)
    client.delete_dashboard(UUID)  # gone already
    assert client.find_dashboard(UUID) is None
    with pytest.raises(NotFoundError):
        client.export_dashboard(UUID)


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


def test_all_pages_are_read(client: StudioClient) -> None:
    for number in range(103):
        client.create_dashboard(views.dashboard_uuid("w", "etcd", str(number)), f"d{number}", TEMPLATE, identifier="")
    assert {item.name for item in client.dashboards()} == {f"d{number}" for number in range(103)}


# The limiter


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def test_limiter_lets_a_burst_through_and_never_exceeds_the_minute() -> None:
    clock = Clock()
    limiter = Limiter(20, 60, clock=clock, sleep=clock.sleep)
    times = []
    for _ in range(100):
        limiter.take()
        times.append(clock.now)
        clock.now += 0.5
    assert times[19] < 110  # the first twenty at once
    assert all(later - earlier >= 60 for earlier, later in zip(times, times[20:], strict=False))
    assert times[-1] < 100 + 5 * 60 + 20


def test_the_practice_studio_never_has_to_limit_a_client(studio: StudioServer) -> None:
    clock = Clock()
    client = answering(lambda _request: envelope({"data": []}), clock=clock, sleep=clock.sleep)
    for _ in range(45):
        client.dashboards()
    assert 220 <= clock.now < 230  # two minutes for the 41st


# Every error that the vendor documents


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (403, "ft.InvalidAPIKey", KeyRejectedError),
        (401, "ft.InvalidAPIKey", KeyRejectedError),
        (403, "InvalidApiKey", KeyRejectedError),
        (401, "", KeyRejectedError),
        (401, "ft.TriggerApiAkCurrentLimiting", RateLimitedError),
        (200, "ft.TriggerApiAkCurrentLimiting", RateLimitedError),
        (401, "ft.TriggerApiWorkspaceCurrentLimiting", RateLimitedError),
        (403, "ft.NoPermission", ForbiddenError),
        (404, "ft.NotFoundDashboard", NotFoundError),
        (400, "RouterNotFound", UnreachableError),
        (503, "InternalError", UnreachableError),
        (500, "", UnreachableError),
        (200, "ft.SomethingElse", WizardError),
        (400, "ft.SomethingElse", WizardError),
    ],
)
def test_errors_go_by_code(status: int, code: str, error: type[WizardError]) -> None:
    with pytest.raises(WizardError) as raised:
        answering(lambda _request: envelope({}, status, code, "because")).workspace()
    assert type(raised.value) is error
    assert "because" in raised.value.why
    assert "TRACE-1" in raised.value.why
    assert raised.value.object == API


def test_success_false_is_an_error_even_with_200() -> None:
    response = httpx.Response(
        200, json={"code": 200, "success": False, "errorCode": "", "message": "no", "content": {}}
    )
    with pytest.raises(WizardError, match="no"):
        answering(lambda _request: response).workspace()


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"x"', b"<html>", b'{"hello": 1}', b"\xff\xfe"])
@pytest.mark.parametrize("status", [200, 404])
def test_not_the_envelope(body: bytes, status: int) -> None:
    with pytest.raises(UnreachableError, match="not a studio's Open API"):
        answering(lambda _request: httpx.Response(status, content=body)).workspace()


@pytest.mark.parametrize("content", [None, [], {}, {"uuid": ""}, {"uuid": 3}])
def test_an_answer_without_a_workspace(content: Any) -> None:
    with pytest.raises(UnreachableError, match="names no workspace"):
        answering(lambda _request: envelope(content)).workspace()


def raising(error: Exception) -> Callable[[httpx.Request], httpx.Response]:
    def handler(_request: httpx.Request) -> httpx.Response:
        raise error

    return handler


def test_tls_dns_and_proxy_are_told_apart() -> None:
    def told(error: Exception) -> UnreachableError:
        with pytest.raises(UnreachableError) as raised:
            answering(raising(error)).workspace()
        return raised.value

    certificate = httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate")
    certificate.__cause__ = ssl.SSLCertVerificationError("self-signed certificate")
    assert "SSL_CERT_FILE" in told(certificate).remedy
    assert "openapi.guance.com" in told(httpx.ConnectError("[Errno -2] Name or service not known")).what
    assert "HTTPS_PROXY" in told(httpx.ProxyError("407 Proxy Authentication Required")).remedy
    assert "in time" in told(httpx.ReadTimeout("timed out")).what
    assert "cannot be reached" in told(httpx.ConnectError("[Errno 111] Connection refused")).what


def test_a_real_tls_failure(tmp_path: Path) -> None:
    """The server talks plain HTTP, so the handshake fails for real."""
    with httpx.Client() as _warm:
        pass
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for _ in range(3):
                connection, _peer = listening.accept()
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with pytest.raises(UnreachableError, match=r"certificate was not accepted|cannot be reached"):
            StudioClient(f"https://127.0.0.1:{listening.getsockname()[1]}", KEY, time_scale=SCALE).workspace()


def test_reads_are_tried_again_and_creation_looks_first() -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path.rpartition("/")[2])
        if asked[-1] == "create" and asked.count("create") == 2:
            return envelope({"uuid": UUID, "name": "x"})
        if asked[-1] == "get":
            return envelope({}, 404, "ft.NotFound")
        raise httpx.ReadTimeout("lost")

    assert answering(handler).create_dashboard(UUID, "x", TEMPLATE, identifier="").uuid == UUID
    assert asked == ["create", "get", "create"]

    asked.clear()
    with pytest.raises(UnreachableError):
        answering(handler).dashboards()
    assert asked == ["list"] * 3


# Spellings of an answer


def series_of(*answers: dict[str, Any]) -> list[list[Series]]:
    client = answering(lambda _request: envelope({"data": list(answers)}))
    return client.query(["q"] * len(answers), start_ms=0, end_ms=1)


def test_no_data_in_its_spellings() -> None:
    bare = {"async_id": "", "is_running": False, "complete": False}
    assert (
        series_of(
            {**bare, "series": []},
            {**bare, "series": None},
            bare,
            {"series": [{"columns": ["time", "x"], "values": None}]},
        )
        == [[]] * 4
    )


def test_rows_in_their_spellings() -> None:
    wanted = [Series({"host": "m1"}, ("time", "last(x)"), ((1760000890000.0, 1.0), (None, None)))]
    rows = [[1760000890000, 1], [None, None]]
    for item in (
        {"tags": {"host": "m1"}, "columns": ["time", "last(x)"], "values": rows},
        {"labels": {"host": "m1"}, "column_names": ["time", "last(x)"], "values": rows},
        {"name": ["host=m1"], "columns": ["time", "last(x)"], "values": rows},
        {"tags": {"host": "m1"}, "columns": ["last(x)", "time"], "values": [[1, 1760000890000], [None, None]]},
    ):
        assert series_of({"series": [item], "complete": False}) == [wanted]


def test_a_query_that_never_ends() -> None:
    clock = Clock()
    running = {"async_id": "a1", "is_running": True, "query_status": "running"}
    client = answering(lambda _request: envelope({"data": [running]}), clock=clock, sleep=clock.sleep)
    with pytest.raises(DeadlineError):
        client.query(["q"], start_ms=0, end_ms=1)
    assert clock.now >= 160


@pytest.mark.parametrize("data", [None, [], [{}, {}], ["x"]])
def test_an_answer_that_does_not_fit(data: Any) -> None:
    with pytest.raises(UnreachableError, match="does not fit"):
        answering(lambda _request: envelope({"data": data})).query(["q"], start_ms=0, end_ms=1)


def test_an_error_inside_an_answer() -> None:
    with pytest.raises(WizardError, match="parse error"):
        series_of({"error": "parse error", "series": None})


def test_what_a_query_sends() -> None:
    sent: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return envelope({"data": [{}]})

    answering(handler).query(["M::etcd:(up)"], start_ms=5, end_ms=9)
    [request] = sent
    assert request.url == f"{API}/api/v1/df/query_data_v1"
    assert request.headers["DF-API-KEY"] == KEY
    assert request.headers["User-Agent"].startswith("datakit-wizard/")
    assert request.headers["Content-Type"] == "application/json"
    import json

    [query] = json.loads(request.content)["queries"]
    assert (query["qtype"], query["query"]["timeRange"]) == ("dql", [5, 9])
    assert (query["query"]["disable_sampling"], query["query"]["ignore_cache"]) == (True, True)
    assert query["query"]["slimit"] >= 1000


# Links


def test_link_to_the_console() -> None:
    client = answering(lambda _request: envelope({"uuid": "wksp_9", "name": "w"}))
    client.workspace()
    link = client.link(Dashboard(UUID, "ETCD 监控&视图"), {"cluster_name_k8s": "lab"})
    url = httpx.URL(link)
    assert (url.scheme, url.host, url.path) == ("https", "console.guance.com", "/scene/dashboard/dashboardDetail")
    assert dict(url.params) == {
        "dashboard_id": UUID,
        "name": "ETCD 监控&视图",
        "w": "wksp_9",
        "time": "15m",
        "variable": '{"cluster_name_k8s":"lab"}',
    }


def test_no_console_no_link() -> None:
    truewatch = sites.of_brand(sites.TRUEWATCH)[0].open_api
    assert StudioClient(truewatch, KEY).link(Dashboard(UUID, "x"), {}) == ""
    given = StudioClient(truewatch, KEY, console="https://console.example/")
    assert given.link(Dashboard(UUID, "x"), {}).startswith("https://console.example/scene/")


# Settings


@pytest.mark.parametrize("key", ["", "  ", "two words", "键", "a\nb", "\x1b[0m"])
def test_a_key_that_is_none(key: str) -> None:
    with pytest.raises(UsageError) as error:
        StudioClient(API, key)
    assert not key.strip() or key not in str(error.value)


def test_a_wrong_endpoint_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(UsageError, match=r"openapi\.guance\.com"):
        StudioClient("https://console.guance.com", KEY)


def test_a_proxy_of_the_environment_is_not_asked_for_loopback(
    studio: StudioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert StudioClient(studio.url, KEY, time_scale=SCALE).workspace().name == "practice"


# The key has no surface


def failing(kind: str) -> Callable[[httpx.Request], httpx.Response]:
    def handler(request: httpx.Request) -> httpx.Response:
        sent = request.headers["DF-API-KEY"]
        if kind == "network":
            raise httpx.ConnectError(f"failed with header {sent} tkn_leak99")
        if kind == "redirect":
            return httpx.Response(302, headers={"Location": f"https://elsewhere.example/?key={sent}"})
        status, code = {"key": (401, "ft.InvalidAPIKey"), "server": (503, ""), "other": (400, "ft.X")}[kind]
        return envelope({}, status, code, f"key {sent} and token=tkn_leak99 are wrong")

    return handler


@pytest.mark.parametrize("kind", ["network", "redirect", "key", "server", "other"])
def test_the_key_is_in_no_error_log_or_traceback(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = answering(failing(kind))
    console = Console(file=io.StringIO(), width=300)
    with pytest.raises(WizardError) as raised:
        client.create_dashboard(UUID, "x", TEMPLATE, identifier="")
    error = raised.value
    console.print(
        Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True, locals_max_string=9999)
    )
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "in ask" in shown
    for text in (str(error), repr(error), shown, caplog.text, repr(client), str(client), repr(vars(client))):
        assert KEY not in text
        assert "tkn_leak99" not in text
    with pytest.raises(TypeError):
        pickle.dumps(ApiKey(KEY))


@pytest.mark.parametrize(
    ("endpoint", "key"), [("https://console.guance.com", KEY), (API, KEY + "\x07"), (API, f"my {KEY}")]
)
def test_a_refused_setting_does_not_show_the_key(endpoint: str, key: str) -> None:
    with pytest.raises(UsageError) as raised:
        StudioClient(endpoint, key)
    console = Console(file=io.StringIO(), width=300)
    assert raised.tb.tb_next is not None  # this test's own frame does hold it
    trace = Traceback.from_exception(UsageError, raised.value, raised.tb.tb_next, show_locals=True)
    console.print(trace)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "__init__" in shown
    assert KEY not in shown
    assert KEY not in str(raised.value)


def test_the_key_is_in_no_log_of_a_real_exchange(studio: StudioServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = StudioClient(studio.url, KEY, time_scale=SCALE)
    client.workspace()
    client.dashboards()
    assert "HTTP Request" in caplog.text
    assert KEY not in caplog.text
    assert TOKEN not in caplog.text
