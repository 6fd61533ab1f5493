"""A command in a container, over the API server's exec websocket (protocols v5 and v4.channel.k8s.io).

Spoken directly through websocket-client, which the official client uses below its `stream()`: that swaps a
method of the shared ApiClient, has no timeout for the handshake, and drops the status of a refused one.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Sequence
from socket import gaierror
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import websocket
from urllib3.exceptions import ProxyError

from tui.backend.api_errors import connection_error, status_error
from tui.backend.endpoint import without_userinfo
from tui.core.errors import DeadlineError, UnreachableError, WizardError
from tui.core.ports import ExecResult
from tui.i18n import _

_STDIN, _STDOUT, _STDERR, _ERROR, _CLOSE = 0, 1, 2, 3, 255
_FRAME = 32 * 1024
_MOST_BYTES = 64 * 1024 * 1024  # a mistyped path must not fill the memory


def run(
    server: str,
    path: str,
    argv: Sequence[str],
    *,
    stdin: bytes = b"",
    container: str,
    headers: Sequence[tuple[str, str]],
    tls: ssl.SSLContext | None,
    tls_server_name: str,
    proxy: str,
    object: str,
    timeout_s: float,
) -> ExecResult:
    """Run `argv` and collect what it writes. `path` is the pod's exec subresource, `object` names it in
    errors. A command that reads `stdin` has to know where it ends: before v5 of the protocol no end is told.

    Raises DeadlineError after `timeout_s`, WizardError where the command could not be started.
    """
    deadline = time.monotonic() + timeout_s
    query = [("command", part) for part in argv]
    query += [
        ("container", container),
        ("stdin", "true" if stdin else "false"),
        ("stdout", "true"),
        ("stderr", "true"),
        ("tty", "false"),
    ]
    options: dict[str, Any] = {}
    if proxy:
        parts = urlsplit(proxy)
        options = {
            "http_proxy_host": parts.hostname,
            "http_proxy_port": parts.port or 80,
            "proxy_type": "http",
        }
        if parts.username:
            options["http_proxy_auth"] = (unquote(parts.username), unquote(parts.password or ""))
    socket = websocket.WebSocket(
        sslopt={
            "context": tls,
            **_verification(tls),
            **({"server_hostname": tls_server_name} if tls_server_name else {}),
        }
        if tls
        else {}
    )
    try:
        try:
            socket.connect(  # type: ignore[no-untyped-call]
                "ws" + server.removeprefix("http") + path + "?" + urlencode(query),
                header=[f"{name}: {value}" for name, value in headers],
                subprotocols=["v5.channel.k8s.io", "v4.channel.k8s.io"],
                suppress_origin=True,
                redirect_limit=0,
                timeout=max(deadline - time.monotonic(), 0.1),
                **options,
            )
        except websocket.WebSocketBadStatusException as error:
            raise status_error(error.status_code, error.resp_body, object=object, server=server) from None
        except websocket.WebSocketTimeoutException:
            raise _too_late(object, timeout_s) from None
        except (OSError, websocket.WebSocketException) as error:
            if isinstance(error, TimeoutError) and not isinstance(error, ssl.SSLError):
                raise _too_late(object, timeout_s) from None
            raise connection_error(_as_urllib3(error), server, without_userinfo(proxy)) from None
        _write(socket, stdin)
        return _collect(socket, deadline, object, timeout_s)
    finally:
        socket.shutdown()  # type: ignore[no-untyped-call]


def _as_urllib3(error: Exception) -> Exception:
    """websocket-client's own wrappings in the form that a failed REST request has."""
    if isinstance(error, websocket.WebSocketAddressException):
        return gaierror(*error.args)
    if isinstance(error, websocket.WebSocketProxyException):
        return ProxyError(str(error), error)
    return error


def _verification(tls: ssl.SSLContext) -> dict[str, Any]:
    """What websocket-client would otherwise overwrite in the context."""
    return {"cert_reqs": tls.verify_mode, "check_hostname": tls.check_hostname}


def _write(socket: websocket.WebSocket, stdin: bytes) -> None:
    """Send what the command reads, and where the protocol can say so that this was all."""
    try:
        for at in range(0, len(stdin), _FRAME):
            socket.send_binary(bytes([_STDIN]) + stdin[at : at + _FRAME])
        if stdin and socket.getsubprotocol() == "v5.channel.k8s.io":
            socket.send_binary(bytes([_CLOSE, _STDIN]))
    except (OSError, websocket.WebSocketException):
        return  # the command ended without reading it all: what it said is collected


def _collect(socket: websocket.WebSocket, deadline: float, object: str, timeout_s: float) -> ExecResult:
    streams = {_STDOUT: bytearray(), _STDERR: bytearray(), _ERROR: bytearray()}
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise _too_late(object, timeout_s)
        socket.settimeout(left)
        try:
            opcode, data = socket.recv_data()
        except websocket.WebSocketTimeoutException:
            raise _too_late(object, timeout_s) from None
        except (OSError, websocket.WebSocketException):
            break
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            break
        if data and data[0] in streams:  # 255 announces the end of one channel (v5): nothing to do
            streams[data[0]] += data[1:]
        if sum(map(len, streams.values())) > _MOST_BYTES:
            raise WizardError(_("The command's output is too large."), object=object)
    return ExecResult(bytes(streams[_STDOUT]), bytes(streams[_STDERR]), _exit_code(streams[_ERROR], object))


def _exit_code(status: bytes | bytearray, object: str) -> int:
    """The exit status that the error channel ends with."""
    try:
        answer = json.loads(bytes(status))
    except ValueError:
        what = _("The connection broke before the command ended.")
        raise UnreachableError(what, object=object, remedy=_("Try again.")) from None
    if answer.get("status") == "Success":
        return 0
    causes = (answer.get("details") or {}).get("causes") or []
    for cause in causes:
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    raise WizardError(
        _("The command could not be run in the container."), object=object, why=str(answer.get("message", ""))
    )


def _too_late(object: str, timeout_s: float) -> DeadlineError:
    what = _("The command in the container did not end within {seconds:.0f} s.").format(seconds=timeout_s)
    return DeadlineError(what, object=object, remedy=_("Is the node overloaded? Try again."))
