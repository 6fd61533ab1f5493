"""exec, log and proxy: what goes over the wire."""

from __future__ import annotations

import json

import aiohttp
import pytest

from tui.lab.apiserver import ApiServer

EXEC = "/api/v1/namespaces/datakit/pods/web/exec"
SUCCESS = b'\x03{"metadata":{},"status":"Success"}'


async def frames(
    session: aiohttp.ClientSession, query: str, protocols: list[str], sent: list[bytes] | None = None
) -> tuple[str | None, list[bytes | str], int | None]:
    """The protocol that the server chose, its messages, and the code that it closes with."""
    found: list[bytes | str] = []
    async with session.ws_connect(f"{EXEC}?{query}", protocols=protocols) as socket:
        for data in sent or []:
            await socket.send_bytes(data)
        while True:
            message = await socket.receive()
            if message.type not in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT):
                return socket.protocol, found, socket.close_code
            found.append(message.data)


async def test_frames_as_recorded(session: aiohttp.ClientSession) -> None:
    asked = ["v5.channel.k8s.io", "v4.channel.k8s.io"]
    protocol, found, code = await frames(session, "command=ls&command=/&stdout=true&stderr=true", asked)
    assert protocol == "v5.channel.k8s.io"
    assert found == [b"\x01", b"\x01bin\ndev\n", SUCCESS]
    assert code == 1000


async def test_exit_status(session: aiohttp.ClientSession) -> None:
    query = "command=fail&command=3&stdout=true&stderr=true"
    _, found, _ = await frames(session, query, ["v4.channel.k8s.io"])
    assert found[1:3] == [b"\x01out\n", b"\x02err\n"]
    last = found[3]
    assert isinstance(last, bytes)
    status = json.loads(last[1:])
    assert (status["reason"], status["details"]["causes"]) == (
        "NonZeroExitCode",
        [{"reason": "ExitCode", "message": "3"}],
    )


async def test_a_command_that_does_not_exist(session: aiohttp.ClientSession) -> None:
    _, found, _ = await frames(session, "command=nope&stdout=true", ["v5.channel.k8s.io"])
    last = found[-1]
    assert isinstance(last, bytes)
    status = json.loads(last[1:])
    assert (status["reason"], status["code"]) == ("InternalError", 500)
    assert status["message"] == "Internal error occurred: " + status["details"]["causes"][0]["message"]


async def test_stdin_ends_with_the_close_of_its_channel(session: aiohttp.ClientSession) -> None:
    _, found, _ = await frames(
        session, "command=cat&stdin=true&stdout=true", ["v5.channel.k8s.io"], [b"\x00hi\n", b"\xff\x00"]
    )
    assert found == [b"\x01", b"\x01hi\n", SUCCESS]


async def test_the_older_protocols(session: aiohttp.ClientSession) -> None:
    query = "command=ls&command=/&stdout=true"
    assert (await frames(session, query, ["channel.k8s.io"]))[1] == [b"\x01", b"\x01bin\ndev\n"]
    assert (await frames(session, query, ["base64.channel.k8s.io"]))[1] == ["1", "1YmluCmRldgo="]


@pytest.mark.parametrize(
    ("query", "headers", "status", "text"),
    [
        ("command=ls&stdout=true", {}, 400, "Upgrade request required"),
        ("command=ls&stdout=true", {"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}, 501, "use a websocket"),
        ("command=ls&stdout=true&container=x", {}, 400, "container x is not valid for pod web"),
    ],
)
async def test_refusals(
    session: aiohttp.ClientSession, query: str, headers: dict[str, str], status: int, text: str
) -> None:
    async with session.post(f"{EXEC}?{query}", headers=headers) as answer:
        assert answer.status == status
        assert text in (await answer.json())["message"]


async def test_an_unknown_protocol_is_refused_without_a_body(session: aiohttp.ClientSession) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await frames(session, "command=ls&stdout=true", ["nonsense"])
    assert refused.value.status == 403


async def test_log_and_proxy(session: aiohttp.ClientSession) -> None:
    base = "/api/v1/namespaces/datakit/pods/web"
    async with session.get(f"{base}/log") as answer:
        assert await answer.text() == "one\ntwo\n"
    async with session.get(f"{base}/log?tailLines=1") as answer:
        assert await answer.text() == "two\n"
    async with session.get(f"{base}/log?tailLines=-1") as answer:
        assert answer.status == 422
    async with session.get(f"{base}:9529/proxy/v1/ping?a=b") as answer:
        assert (answer.status, await answer.text()) == (200, "GET /v1/ping?a=b")
    async with session.get(f"{base}:1/proxy/") as answer:
        assert answer.status == 503
        assert (await answer.json())["message"].startswith("error trying to reach service: ")


async def test_following_a_log_ends_with_its_pod(session: aiohttp.ClientSession, server: ApiServer) -> None:
    async with session.get("/api/v1/namespaces/datakit/pods/web/log?follow=true") as answer:
        assert await answer.content.readexactly(8) == b"one\ntwo\n"
        server.store.remove("pods", "datakit", "web")
        assert await answer.content.read() == b""
