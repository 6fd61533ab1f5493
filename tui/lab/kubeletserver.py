"""The way of a real kube-apiserver to the lab's nodes: an HTTPConnect proxy, and the kubelets' HTTPS ports behind it.

A kubelet's port 10250 answers logs and commands; other ports of a node lead where the lab's network leads them.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from tui.lab.apiserver import KubeletError, streams
from tui.lab.apiserver.call import Call
from tui.lab.hooks import NodeHooks
from tui.lab.network import Network, NetworkError
from tui.lab.nodes import Node
from tui.lab.pki import Pki

KUBELET_PORT = 10250
_MOST_HEADER = 16 * 1024


class NodePorts:
    """The proxy and what it leads to. `node_of` finds a node by its address."""

    def __init__(
        self, folder: Path, pki: Pki, network: Network, hooks: NodeHooks, node_of: Callable[[str], Node | None]
    ) -> None:
        self._folder = folder / "kubelets"
        self._pki = pki
        self._network = network
        self._hooks = hooks
        self._node_of = node_of
        self._proxy: asyncio.Server | None = None
        self._runners: dict[tuple[str, int], web.AppRunner] = {}
        self._ports: dict[tuple[str, int], int] = {}
        self._opening = asyncio.Lock()
        self._pipes: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Listen for CONNECT on a free loopback port; only kube-apiserver's certificate is let in."""
        context = self._context("egress-proxy", "127.0.0.1")
        self._proxy = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=context)
        return int(self._proxy.sockets[0].getsockname()[1])

    def _context(self, name: str, address: str) -> ssl.SSLContext:
        pair = self._pki.cluster.issue(name, names=[address], server=True, client=False)
        cert, key = pair.write(self._folder, secrets.token_hex(8))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=self._pki.cluster.pem.decode())
        context.load_cert_chain(cert, key)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pipes.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, *_rest = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
            host, _colon, port = target.rpartition(":")
            host = host.strip("[]")
            node = self._node_of(host) or self._node_of(self._network.node_of_pod(host))
            if method != "CONNECT" or node is None or len(head) > _MOST_HEADER:
                writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                return
            real = await self._open(node, host, int(port))
            there = await asyncio.open_connection("127.0.0.1", real)
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await _join((reader, writer), there)
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._pipes.discard(task)
            writer.close()

    async def _open(self, node: Node, host: str, port: int) -> int:
        """The real port behind one of a node, or of a pod on it; opened when first asked for."""
        async with self._opening:
            key = (host, port)
            if key not in self._ports:
                app = web.Application()
                context = None
                if port == KUBELET_PORT and host == node.ip:
                    self._add_kubelet_routes(app)
                    context = self._context(f"system:node:{node.name}", node.ip)
                else:
                    app.router.add_route("*", "/{path:.*}", self._relay(node, host, port))
                runner = self._runners[key] = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
                await runner.setup()
                await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
                self._ports[key] = int(runner.addresses[0][1])
            return self._ports[key]

    def _relay(self, node: Node, host: str, port: int) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.Response:
            url = f"http://{host}:{port}{request.raw_path}"
            kept = {name: value for name, value in request.headers.items() if name in ("Accept", "User-Agent")}
            body = await request.read()
            try:
                # From the API server's address: never loopback to the pod.
                found = await self._network.request(
                    node.name, request.method, url, headers=kept, body=body, timeout_s=30.0
                )
            except NetworkError as error:
                return web.Response(status=502, text=error.reason)
            types = {name: value for name, value in found.headers.items() if name.lower() == "content-type"}
            return web.Response(status=found.status, body=found.body, headers=types)

        return handle

    def _add_kubelet_routes(self, app: web.Application) -> None:
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)
        app.router.add_route("*", "/exec/{namespace}/{pod}/{container}", self._exec)

    async def _logs(self, request: web.Request) -> web.Response:
        where = (request.match_info[name] for name in ("namespace", "pod", "container"))
        query = request.query

        def number(name: str) -> int | None:
            return int(query[name]) if query.get(name, "").isdigit() else None

        try:
            text = await self._hooks.logs(
                *where,
                tail_lines=number("tailLines"),
                limit_bytes=number("limitBytes"),
                since_seconds=number("sinceSeconds"),
                timestamps=query.get("timestamps") == "true",
                previous=query.get("previous") == "true",
            )
        except KubeletError as error:
            return web.Response(status=error.code, text=error.message)
        return web.Response(body=text, content_type="text/plain")

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        """A command over a websocket, which kube-apiserver 1.36 passes through where the node declares that it can."""
        if request.headers.get("Upgrade", "").lower() != "websocket":
            text = "the lab's kubelets run commands over websockets only (kube-apiserver 1.36 and later)\n"
            return web.Response(status=501, text=text)
        names = {"input": "stdin", "output": "stdout", "error": "stderr"}
        call = Call("GET", request.path, [(names.get(k, k), v) for k, v in request.query.items()], request.headers)
        call.namespace, call.name = request.match_info["namespace"], request.match_info["pod"]
        return await streams.exec_stream(request, self._hooks, request.match_info["container"], call)

    async def stop(self) -> None:
        """Close everything."""
        if self._proxy is not None:
            self._proxy.close()
        for task in self._pipes:
            task.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)
        for runner in self._runners.values():
            await runner.cleanup()


_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _join(one: _Streams, other: _Streams) -> None:
    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()

    try:
        copies = [asyncio.create_task(copy(one[0], other[1])), asyncio.create_task(copy(other[0], one[1]))]
        _done, rest = await asyncio.wait(copies, return_when="FIRST_COMPLETED")
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
    finally:
        other[1].close()
