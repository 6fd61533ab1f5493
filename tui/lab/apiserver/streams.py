"""exec, log and proxy of pods: what the API server passes on to kubelets."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

from aiohttp import WSMsgType, web

from tui.lab.apiserver import errors
from tui.lab.apiserver.call import Call
from tui.lab.apiserver.kubelets import ExecResult, KubeletError, Kubelets
from tui.lab.apiserver.rbac import Attributes, Authorizer, forbidden
from tui.lab.apiserver.store import Store

Obj = dict[str, Any]
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io", "base64.channel.k8s.io", "channel.k8s.io")
STDIN, STDOUT, STDERR, ERROR = range(4)
STDIN_WAIT, STDIN_PAUSE = 2.0, 0.2  # seconds that a command waits for its input, which it gets as a whole
FRAME = 32 * 1024
FOLLOW_EVERY = 0.5
_INTERNAL = "Internal error occurred: "


def _pod(store: Store, call: Call) -> Obj:
    pod = store.get("pods", call.namespace, call.name)
    if pod is None:
        raise errors.not_found("pods", "", call.name)
    return pod


def _container(pod: Obj, call: Call) -> str:
    """The container that is meant; ApiError 400 where it is not clear or not there."""
    spec, name = pod["spec"], pod["metadata"]["name"]
    names = [each["name"] for each in spec.get("containers") or []]
    init = [each["name"] for each in spec.get("initContainers", [])]
    wanted = call.get("container")
    if wanted:
        if wanted in (*names, *init):
            return wanted
        raise errors.bad_request(f"container {wanted} is not valid for pod {name}")
    if len(names) == 1 and not (init and call.subresource == "log"):
        return str(names[0])
    also = f" or one of the init containers: [{' '.join(init)}]" if init else ""
    text = f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]{also}"
    raise errors.bad_request(text)


def _need_node(pod: Obj) -> None:
    if not pod["spec"].get("nodeName"):
        raise errors.bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")


def _need_kubelets(kubelets: Kubelets | None, call: Call) -> Kubelets:
    if kubelets is None:
        text = f"this control plane has no nodes behind it: pods/{call.subresource} needs a kubelet"
        raise errors.not_implemented(text)
    return kubelets


# -- log


async def log(request: web.Request, store: Store, kubelets: Kubelets | None, call: Call) -> web.StreamResponse:
    """GET of a pod's log."""
    pod = _pod(store, call)
    options = _log_options(call)
    container = _container(pod, call)
    if not pod["spec"].get("nodeName"):
        return web.Response(text="", content_type="text/plain")
    nodes = _need_kubelets(kubelets, call)
    try:
        body = await nodes.logs(call.namespace, call.name, container, **options)
    except KubeletError as error:
        raise errors.ApiError(
            error.code, error.message, "BadRequest" if error.code == 400 else "InternalError"
        ) from error
    if not call.flag("follow"):
        return web.Response(body=body, headers={"Content-Type": "text/plain"})
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(body)
    await _follow(response, store, nodes, call, container, pod["metadata"]["uid"])
    await response.write_eof()
    return response


async def _follow(
    response: web.StreamResponse, store: Store, nodes: Kubelets, call: Call, container: str, uid: str
) -> None:
    """Write what a log gets until its pod is gone."""
    try:
        seen = len(await nodes.logs(call.namespace, call.name, container))
        while (store.get("pods", call.namespace, call.name) or {}).get("metadata", {}).get("uid") == uid:
            await asyncio.sleep(FOLLOW_EVERY)
            whole = await nodes.logs(call.namespace, call.name, container)
            if len(whole) < seen:  # the container was started anew
                return
            await response.write(whole[seen:])
            seen = len(whole)
    except (KubeletError, ConnectionError):
        return


def _log_options(call: Call) -> dict[str, Any]:
    out: dict[str, Any] = {"timestamps": call.flag("timestamps"), "previous": call.flag("previous")}
    for name, keyword, least in (
        ("tailLines", "tail_lines", 0),
        ("limitBytes", "limit_bytes", 1),
        ("sinceSeconds", "since_seconds", 1),
    ):
        text = call.get(name)
        if not text:
            continue
        try:
            value = int(text)
        except ValueError as error:
            raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from error
        if value < least:
            why = "must be greater than or equal to 0" if least == 0 else "must be greater than 0"
            finding = errors.invalid(name, value, why)
            raise errors.unprocessable("PodLogOptions", "", call.name, [finding])
        out[keyword] = value
    if call.get("sinceSeconds") and call.get("sinceTime"):
        text = "at most one of `sinceTime` or `sinceSeconds` may be specified"
        raise errors.unprocessable("PodLogOptions", "", call.name, [errors.forbidden_field("[]", text)])
    return out


# -- exec


def check_create(authorizer: Authorizer, call: Call) -> None:
    """exec, attach and portforward need the right to create, whatever the method of the request is; ApiError 403."""
    if call.verb == "get":
        # A websocket handshake is a GET, but what it does is a create.
        asked = Attributes("create", "", "pods", call.subresource, call.namespace, call.name)
        if not authorizer.decide(call.user, asked)[0]:
            raise forbidden("pods", "", call.name, "")


def check_exec(store: Store, kubelets: Kubelets | None, call: Call) -> tuple[Kubelets, str]:
    """The checks before a command is run: container, node, upgrade; ApiError."""
    pod = _pod(store, call)
    container = _container(pod, call)
    _need_node(pod)
    refuse_upgrade(call)
    if not any(call.flag(name) for name in ("stdin", "stdout", "stderr")):
        raise errors.PlainError(400, "you must specify at least 1 of stdin, stdout, stderr")
    return _need_kubelets(kubelets, call), container


def refuse_upgrade(call: Call) -> None:
    """Only websockets are served; ApiError for SPDY and for requests that ask for no upgrade."""
    upgrade = call.headers.get("Upgrade", "").lower()
    if upgrade.startswith("spdy"):
        text = (
            "SPDY streams are not served by this practice control plane: use a websocket "
            "(the official Python client, or kubectl 1.30 and later)"
        )
        raise errors.not_implemented(text)
    if upgrade != "websocket":
        raise errors.ApiError(400, "Upgrade request required", "BadRequest")


async def exec_stream(request: web.Request, nodes: Kubelets, container: str, call: Call) -> web.StreamResponse:
    """Run a command and send what it writes over channels of a websocket."""
    offered = [each.strip() for each in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if each.strip()]
    chosen = next((each for each in offered if each in PROTOCOLS), "")
    if offered and not chosen:
        return web.Response(status=403)
    socket = web.WebSocketResponse(protocols=[chosen] if chosen else [], compress=False, autoping=True)
    await socket.prepare(request)
    channels = _Channels(socket, chosen)
    if call.flag("stdout"):
        await channels.send(STDOUT, b"")
    first = STDIN_PAUSE if call.flag("tty") else STDIN_WAIT
    stdin = await channels.read_stdin(first) if call.flag("stdin") else None
    try:
        if not call.values("command"):
            raise KubeletError(f"{_INTERNAL * 2}error executing command in container: args must not be empty")
        result = await nodes.exec(call.namespace, call.name, container, call.values("command"), stdin)
    except KubeletError as error:
        cause = error.message.removeprefix(_INTERNAL)
        failure = {"status": "Failure", "message": _INTERNAL + cause, "reason": "InternalError"}
        body = _status({**failure, "details": {"causes": [{"message": cause}]}, "code": 500})
        await channels.send(ERROR, body, _INTERNAL + cause)
    else:
        await _send_result(channels, call, result)
    await socket.close(code=1000)
    return socket


def _status(body: Obj) -> bytes:
    return json.dumps({"metadata": {}, **body}, separators=(",", ":")).encode()


async def _send_result(channels: _Channels, call: Call, result: ExecResult) -> None:
    out, err = result.stdout, result.stderr
    if call.flag("tty"):  # a terminal has one stream, and its own line ends
        out, err = (out + err).replace(b"\n", b"\r\n"), b""
    for channel, name, data in ((STDOUT, "stdout", out), (STDERR, "stderr", err)):
        if call.flag(name):
            for at in range(0, len(data), FRAME):
                await channels.send(channel, data[at : at + FRAME])
    if result.code == 0:
        await channels.send(ERROR, _status({"status": "Success"}), "")
        return
    text = f"command terminated with non-zero exit code: command terminated with exit code {result.code}"
    causes = {"causes": [{"reason": "ExitCode", "message": str(result.code)}]}
    failure = {"status": "Failure", "message": text, "reason": "NonZeroExitCode", "details": causes}
    await channels.send(ERROR, _status(failure), text)


class _Channels:
    """The channels of one websocket: a byte (or an ASCII digit) in front of each message."""

    def __init__(self, socket: web.WebSocketResponse, protocol: str) -> None:
        self._socket = socket
        self._text = protocol.startswith("base64.")
        self._plain_errors = protocol in ("", "channel.k8s.io", "base64.channel.k8s.io")

    async def send(self, channel: int, data: bytes, plain: str | None = None) -> None:
        """Send on a channel; the older protocols carry errors as plain text, and nothing on success."""
        if channel == ERROR and self._plain_errors:
            if not plain:
                return
            data = plain.encode()
        if self._text:
            await self._socket.send_str(f"{channel}{base64.b64encode(data).decode()}")
            return
        await self._socket.send_bytes(bytes([channel]) + data)

    async def read_stdin(self, first: float) -> bytes:
        """What the client writes until it closes channel 0 (v5), its end or a pause; waits `first` seconds to begin."""
        out = b""
        while True:
            try:
                async with asyncio.timeout(first if not out else STDIN_PAUSE):
                    message = await self._socket.receive()
            except TimeoutError:
                return out
            if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
                return out
            data = message.data if isinstance(message.data, bytes) else str(message.data).encode()
            if self._text:
                out += base64.b64decode(data[1:]) if data[:1] == b"0" else b""
            elif data[:1] == b"\xff":
                return out
            elif data[:1] == b"\x00":
                out += data[1:]


# -- proxy


async def proxy(store: Store, kubelets: Kubelets | None, call: Call) -> web.StreamResponse:
    """A request to a port of a pod."""
    name, _, port = call.name.rpartition(":") if ":" in call.name else (call.name, "", "")
    name = name.removeprefix("http:").removeprefix("https:")
    pod = store.get("pods", call.namespace, name)
    if pod is None:
        raise errors.not_found("pods", "", name)
    if not pod["spec"].get("nodeName") or not pod["status"].get("podIP"):
        text = "address not allowed" if pod["spec"].get("nodeName") else f"pod {name} does not have a host assigned"
        raise errors.bad_request(text)
    nodes = _need_kubelets(kubelets, call)
    number = int(port) if port.isdigit() else _first_port(pod)
    query = "&".join(f"{key}={value}" for key, value in call.query)
    try:
        status, headers, body = await nodes.proxy(
            call.namespace, name, number, call.method, call.rest or "/", query, call.headers
        )
    except (KubeletError, OSError) as error:
        text = f"error trying to reach service: {error}"
        raise errors.ApiError(503, text, "ServiceUnavailable") from error
    kept = {key: value for key, value in headers.items() if key.lower() in ("content-type", "location")}
    return web.Response(status=status, headers=kept, body=body)


def _first_port(pod: Obj) -> int:
    for container in pod["spec"].get("containers") or []:
        for port in container.get("ports", []):
            return int(port["containerPort"])
    return 80
