"""Small servers on loopback that answer as they are told, and kubeconfigs that name them."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

DATA = Path(__file__).parent.parent / "data" / "kubernetes"


def recorded(name: str) -> Any:
    """A file of recordings; missing is an error, not a skip."""
    return json.loads((DATA / name).read_text())


@dataclass
class Asked:
    """A request that the stub got. Header names are lower case; a name may come several times."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]


@dataclass
class Reply:
    status: int = 200
    body: Any = field(default_factory=dict)
    headers: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Stub:
    url: str
    port: int
    asked: list[Asked]


@contextmanager
def stub(answer: Callable[[Asked], Reply | None], tls: ssl.SSLContext | None = None) -> Iterator[Stub]:
    """Serve `answer`, which returns None to keep the client waiting until the stub ends."""
    ended = threading.Event()
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_arguments: object) -> None:
            pass

        def _serve(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            headers = [(key.lower(), value) for key, value in self.headers.items()]
            request = Asked(self.command, self.path, headers, self.rfile.read(length))
            asked.append(request)
            reply = answer(request)
            if reply is None:
                ended.wait(30)
                self.close_connection = True
                return
            text = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            for name, value in reply.headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = do_DELETE = do_CONNECT = _serve  # noqa: N815 - http.server's names

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, _request: object, _client: object) -> None:
            pass  # refused handshakes are what some tests are about

    server = Server(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        port = server.server_port
        yield Stub(f"{'https' if tls else 'http'}://127.0.0.1:{port}", port, asked)
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


def write_kubeconfig(
    path: Path,
    *,
    server: str = "https://127.0.0.1:1",
    user: dict[str, Any] | None = None,
    cluster: dict[str, Any] | None = None,
    context: str = "ctx",
    current: str | None = None,
    namespace: str = "",
) -> Path:
    """A kubeconfig with one context; `current` None means that context."""
    place = {"cluster": "the-cluster", "user": "the-user"} | ({"namespace": namespace} if namespace else {})
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "the-cluster", "cluster": {"server": server, **(cluster or {})}}],
                "users": [{"name": "the-user", "user": {"token": "t0ken"} if user is None else user}],
                "contexts": [{"name": context, "context": place}],
                "current-context": context if current is None else current,
            }
        )
    )
    return path
