"""Commands in containers: the recorded frames of a real API server, played back byte by byte."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from backend_stubs import Reply, recorded, stub, write_kubeconfig
from control_planes import practice

from tui.backend import connect
from tui.core.errors import DeadlineError, NotFoundError, UnreachableError, WizardError
from tui.core.ports import Cluster, ExecResult
from tui.lab.pki import Authority

RECORDED: list[dict[str, Any]] = recorded("exec.json")


def frame(channel: int, data: bytes, opcode: int = 2, fin: bool = True) -> bytes:
    """A websocket frame as a server sends it: unmasked, the channel as first byte."""
    payload = bytes([channel]) + data if channel >= 0 else data
    length = len(payload)
    if length < 126:
        size = bytes([length])
    else:
        size = b"\x7e" + length.to_bytes(2, "big") if length < 65536 else b"\x7f" + length.to_bytes(8, "big")
    return bytes([(0x80 if fin else 0) | opcode]) + size + payload


CLOSE = frame(-1, b"\x03\xe8", opcode=8)
SUCCESS = frame(3, b'{"metadata":{},"status":"Success"}')


@contextmanager
def server(
    answer: Callable[[socket.socket, list[str]], None], tmp_path: Path, below: str = ""
) -> Iterator[tuple[Cluster, list[str]]]:
    """One connection at a time: its request head goes into the list, `answer` writes what follows."""
    listener = socket.create_server(("127.0.0.1", 0))
    heads: list[str] = []

    def serve() -> None:
        while True:
            try:
                client, _address = listener.accept()
            except OSError:
                return
            with client:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += client.recv(4096)
                heads.append(head.decode())
                answer(client, head.decode().split("\r\n"))

    threading.Thread(target=serve, daemon=True).start()
    path = write_kubeconfig(tmp_path / "config", server=f"http://127.0.0.1:{listener.getsockname()[1]}{below}")
    try:
        yield connect(str(path)).clusters().connect(""), heads
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def upgraded(client: socket.socket, head: list[str], *frames: bytes) -> None:
    key = next(line.partition(": ")[2] for line in head if line.lower().startswith("sec-websocket-key"))
    accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Accept: {accept}", "Sec-WebSocket-Protocol: v5.channel.k8s.io", "", ""]
    client.sendall("\r\n".join(lines).encode() + b"".join(frames))


def refused(client: socket.socket, status: int, body: Any) -> None:
    text = (body if isinstance(body, str) else json.dumps(body)).encode()
    client.sendall(b"HTTP/1.1 %d No\r\nContent-Length: %d\r\n\r\n%s" % (status, len(text), text))


def played(frames: list[dict[str, Any]]) -> list[bytes]:
    made = []
    for each in frames:
        if each["opcode"] == "close":
            made.append(CLOSE)
        else:
            data = each["data"]
            made.append(frame(each["channel"], (data if isinstance(data, str) else json.dumps(data)).encode()))
    return made


def recording(step: int) -> dict[str, Any]:
    (found,) = [each for each in RECORDED if each["step"] == step]
    return found


def test_nothing_of_the_recordings_is_missing() -> None:
    assert [each["step"] for each in RECORDED] == [1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 14, 15]


@pytest.mark.parametrize(
    ("step", "result"),
    [
        (1, ExecResult(b"bin\ndev\netc\nproc\nsys\ntmp\n", b"", 0)),
        (2, ExecResult(b"out\n", b"err\n", 3)),
        (4, ExecResult(b"", b"", 137)),
        (9, ExecResult(b"/bin/sh\n", b"", 0)),
    ],
)
def test_output_and_exit_status(tmp_path: Path, step: int, result: ExecResult) -> None:
    found = recording(step)
    with server(lambda client, head: upgraded(client, head, *played(found["frames"])), tmp_path) as (cluster, _heads):
        assert cluster.exec("dk", "web", "main", found["query"]["command"]) == result


@pytest.mark.parametrize("step", [3, 12])
def test_a_command_that_cannot_start(tmp_path: Path, step: int) -> None:
    found = recording(step)
    with (
        server(lambda client, head: upgraded(client, head, *played(found["frames"])), tmp_path) as (cluster, _heads),
        pytest.raises(WizardError, match="could not be run") as caught,
    ):
        cluster.exec("dk", "web", "main", ["nosuchcommand"])
    assert "OCI runtime exec failed" in caught.value.why
    assert caught.value.object == "pods/exec dk/web"


@pytest.mark.parametrize(
    ("step", "kind", "why"),
    [
        (8, WizardError, "a container name must be specified"),
        (10, WizardError, "container nope is not valid"),
        (11, NotFoundError, "not found"),
        (13, UnreachableError, "at least 1 of stdin"),
    ],
)
def test_a_refused_handshake_keeps_the_servers_words(
    tmp_path: Path, step: int, kind: type[WizardError], why: str
) -> None:
    found = recording(step)
    with (
        server(lambda client, _head: refused(client, found["status"], found["body"]), tmp_path) as (cluster, _heads),
        pytest.raises(kind) as caught,
    ):
        cluster.exec("dk", "two", "one", ["ls"])
    assert type(caught.value) is kind
    assert why in caught.value.why


def test_what_is_asked(tmp_path: Path) -> None:
    with server(lambda client, head: upgraded(client, head, SUCCESS, CLOSE), tmp_path) as (cluster, heads):
        cluster.exec("a b", "pod", "main", ["curl", "-w", "\\n%{http_code}", "http://x/?a=1&b=2 ü"])
    line, *headers = heads[0].split("\r\n")
    path = urlsplit(line.split(" ")[1])
    assert path.path == "/api/v1/namespaces/a%20b/pods/pod/exec"
    query = parse_qsl(path.query)
    assert [value for key, value in query if key == "command"] == [
        "curl",
        "-w",
        "\\n%{http_code}",
        "http://x/?a=1&b=2 ü",
    ]
    assert dict(query) | {"command": ""} == {
        "command": "",
        "container": "main",
        "stdin": "false",
        "stdout": "true",
        "stderr": "true",
        "tty": "false",
    }
    assert "Authorization: Bearer t0ken" in headers
    assert "Sec-WebSocket-Protocol: v5.channel.k8s.io,v4.channel.k8s.io" in headers


def test_through_rancher_s_proxy(tmp_path: Path) -> None:
    """Rancher's kubeconfigs name a server with a path: https://rancher.example/k8s/clusters/c-m-abcdef."""
    below = "/k8s/clusters/c-m-abcdef"
    with server(lambda client, head: upgraded(client, head, SUCCESS, CLOSE), tmp_path, below) as (cluster, heads):
        cluster.exec("datakit", "pod", "datakit", ["true"], stdin=b"x")
    assert heads[0].startswith(f"GET {below}/api/v1/namespaces/datakit/pods/pod/exec?command=true&")
    assert "stdin=true" in heads[0]


def test_binary_output_in_many_frames(tmp_path: Path) -> None:
    content = bytes(range(256)) * 1024
    frames = [frame(1, content[at : at + 70000]) for at in range(0, len(content), 70000)]
    # One message cut into fragments, a ping between, the end of a channel announced (v5).
    frames += [frame(2, b"war", fin=False), frame(-1, b"", opcode=9), frame(-1, b"ning", opcode=0)]
    frames += [frame(255, b"\x01"), SUCCESS, CLOSE]
    with server(lambda client, head: upgraded(client, head, *frames), tmp_path) as (cluster, _heads):
        assert cluster.exec("a", "b", "c", ["cat"]) == ExecResult(content, b"warning", 0)


@pytest.mark.parametrize("frames", [[], [frame(1, b"half")], [frame(1, b"half"), CLOSE], [frame(3, b"{"), CLOSE]])
def test_a_connection_that_breaks_is_no_result(tmp_path: Path, frames: list[bytes]) -> None:
    with (
        server(lambda client, head: upgraded(client, head, *frames), tmp_path) as (cluster, _heads),
        pytest.raises(UnreachableError, match="broke before the command ended"),
    ):
        cluster.exec("a", "b", "c", ["cat"])


@pytest.mark.parametrize("shakes_hands", [False, True])
def test_the_deadline_holds_for_handshake_and_output(tmp_path: Path, shakes_hands: bool) -> None:
    ended = threading.Event()

    def answer(client: socket.socket, head: list[str]) -> None:
        if shakes_hands:
            upgraded(client, head, frame(1, b"still "))
        ended.wait(20)

    with server(answer, tmp_path) as (cluster, _heads):
        started = time.monotonic()
        with pytest.raises(DeadlineError, match="did not end within"):
            cluster.exec("a", "b", "c", ["sleep", "1000"], timeout_s=0.3)
        assert time.monotonic() - started < 10
        ended.set()


def test_output_that_trickles_does_not_outlive_the_deadline(tmp_path: Path) -> None:
    def answer(client: socket.socket, head: list[str]) -> None:
        upgraded(client, head)
        try:
            while True:
                client.sendall(frame(1, b"."))
                threading.Event().wait(0.02)
        except OSError:
            pass

    with server(answer, tmp_path) as (cluster, _heads), pytest.raises(DeadlineError):
        cluster.exec("a", "b", "c", ["yes"], timeout_s=0.4)


def test_a_redirect_is_not_followed_with_the_token(tmp_path: Path) -> None:
    def answer(client: socket.socket, _head: list[str]) -> None:
        client.sendall(b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")

    with server(answer, tmp_path) as (cluster, heads), pytest.raises(UnreachableError):
        cluster.exec("a", "b", "c", ["ls"])
    assert len(heads) == 1


def test_a_dead_server(tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path / "config", server="http://127.0.0.1:1")
    with pytest.raises(UnreachableError, match="No connection"):
        connect(str(path)).clusters().connect("").exec("a", "b", "c", ["ls"])


def test_a_name_that_does_not_resolve(tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path / "config", server="https://no-such-host.invalid:6443")
    with pytest.raises(UnreachableError, match="cannot be resolved"):
        connect(str(path)).clusters().connect("").exec("a", "b", "c", ["ls"])


def test_another_authority(tmp_path: Path) -> None:
    ours = base64.b64encode(Authority("ours").pem).decode()
    with practice() as plane:
        (context,) = [each for each in connect(str(plane.kubeconfig)).clusters().contexts() if each.current]
        path = write_kubeconfig(
            tmp_path / "config", server=context.server, cluster={"certificate-authority-data": ours}
        )
        with pytest.raises(UnreachableError, match="not signed by the authority"):
            connect(str(path)).clusters().connect("").exec("a", "b", "c", ["ls"])


def test_a_proxy_carries_the_stream_and_is_named_when_it_fails(tmp_path: Path) -> None:
    with stub(lambda _asked: Reply(407, b"who are you")) as it:
        proxy = it.url.replace("//", "//me:s3cr3t@")
        path = write_kubeconfig(tmp_path / "config", server="https://10.255.255.1:6443", cluster={"proxy-url": proxy})
        with pytest.raises(UnreachableError, match="The proxy") as caught:
            connect(str(path)).clusters().connect("").exec("a", "b", "c", ["ls"])
        assert [each.method for each in it.asked] == ["CONNECT"]
        assert it.asked[0].header("proxy-authorization") == ["Basic " + base64.b64encode(b"me:s3cr3t").decode()]
        assert "s3cr3t" not in str(caught.value)
