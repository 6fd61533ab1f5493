"""The studio's client against answers and failures that a test makes up: limits, errors, spellings, and its key."""

from __future__ import annotations

import io
import json
import logging
import pickle
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from rich.console import Console
from rich.traceback import Traceback
from studio_answers import API, KEY, SCALE, TEMPLATE, UUID, answering, envelope

from tui.backend.open_api import ApiKey, Limiter
from tui.backend.studio import StudioClient
from tui.core import sites
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
from tui.core.ports import Dashboard, Series

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


def test_a_client_keeps_to_twenty_a_minute() -> None:
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


def self_signed(folder: Path) -> ssl.SSLContext:
    """A server's TLS with a certificate that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "studio")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "studio.pem"
    pem.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    return context


@pytest.mark.parametrize("plain", [False, True])
def test_a_tls_failure_is_told_and_not_tried_again(tmp_path: Path, plain: bool) -> None:
    """For real: a certificate that is not trusted, and a server that does not talk TLS at all."""
    connections = []
    context = None if plain else self_signed(tmp_path)

    def serve(listening: socket.socket) -> None:
        while True:
            try:
                connection, peer = listening.accept()
            except OSError:  # the test is over
                return
            with connection, suppress(OSError):  # the client hangs up on us
                connections.append(peer)
                if context is None:
                    connection.recv(4096)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                else:
                    context.wrap_socket(connection, server_side=True).close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,), daemon=True)
        thread.start()
        with pytest.raises(UnreachableError) as raised:
            StudioClient(f"https://127.0.0.1:{listening.getsockname()[1]}", KEY, time_scale=SCALE).workspace()
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(10)
    secure = "A secure connection to the studio could not be made."
    assert raised.value.what == (secure if plain else "The studio's certificate was not accepted.")
    assert len(connections) == 1


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
