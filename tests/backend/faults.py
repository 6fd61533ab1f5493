"""Ways in which a request can fail, and the wires on which they happen: to the API server, and to the studio."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import urllib3
from kubernetes.client.exceptions import ApiException
from studio_answers import envelope

from tui.backend.api_errors import CredentialsRefusedError
from tui.backend.cluster import KubernetesCluster
from tui.core.errors import (
    ConflictError,
    DeadlineError,
    ForbiddenError,
    KeyRejectedError,
    NotFoundError,
    RateLimitedError,
    RefusedError,
    StaleError,
    UnreachableError,
    WizardError,
)

Request = tuple[str, str, bool]  # method, path, whether it changes something


class Broken:
    """An answer whose body breaks off, or is no JSON."""

    status = 200
    headers = urllib3.HTTPHeaderDict()

    def __init__(self, body: bytes | Exception) -> None:
        self._body = body

    @property
    def data(self) -> bytes:
        if isinstance(self._body, Exception):
            raise self._body
        return self._body


@dataclass(frozen=True)
class Column:
    """One way to fail: what happens in place of the answer, whether the request arrives all the same, and the errors
    that may be told. No error at all is right as well: the request was not needed, or was made again.
    """

    fault: Callable[[], Any]
    arrives: bool
    errors: tuple[type[WizardError], ...]
    once: bool = False


def _raising(make: Callable[[], Exception]) -> Callable[[], Any]:
    def fault() -> Any:
        raise make()

    return fault


def _status(status: int, message: str, *errors: type[WizardError], **details: Any) -> Column:
    def refusal() -> ApiException:
        error = ApiException(status=status)
        error.body = json.dumps({"kind": "Status", "code": status, "message": message, "details": details})
        return error

    return Column(_raising(refusal), False, errors)


def _refused() -> Exception:
    reason = urllib3.exceptions.NewConnectionError(None, "Connection refused")  # type: ignore[arg-type]
    return urllib3.exceptions.MaxRetryError(None, "/", reason)  # type: ignore[arg-type]


def _hang() -> Exception:
    return urllib3.exceptions.ReadTimeoutError(None, "/", "read timed out")  # type: ignore[arg-type]


_RESET = urllib3.exceptions.ProtocolError("Connection broken: IncompleteRead")
_OWNER = [{"reason": "FieldManagerConflict", "message": 'conflict with "rancher" using v1', "field": ".data.x"}]
API_SERVER = {
    "refused": Column(_raising(_refused), False, (UnreachableError,)),
    "reset": Column(lambda: Broken(_RESET), True, (UnreachableError, DeadlineError)),
    "hang": Column(_raising(_hang), False, (UnreachableError, DeadlineError)),
    "hang, but done": Column(_raising(_hang), True, (UnreachableError, DeadlineError)),
    "401": _status(401, "Unauthorized", CredentialsRefusedError),
    # A dry run that is denied shows no conflict, so that the write meets it unasked.
    "403": _status(403, "forbidden", ForbiddenError, ConflictError),
    # What is not there would be made; that it is there after all is told by the dry run.
    "404": _status(404, "not found", NotFoundError, StaleError),
    "409 stale": _status(409, "the object has been modified", StaleError, name="x", kind="y"),
    # Of a dry run the plan says that it cannot be applied.
    "409 owner": _status(409, "Apply failed", ConflictError, RefusedError, causes=_OWNER),
    "422": _status(422, "invalid", WizardError),
    "429": _status(429, "too many", UnreachableError),
    "500": _status(500, "boom", UnreachableError),
    "503": _status(503, "away", UnreachableError),
    "HTML": Column(lambda: Broken(b"<html>login</html>"), True, (UnreachableError,)),
}


class Counted:
    """Requests, counted; one of them may fail: the nth, the nth that writes, or the one after that.

    How often is asked while something is awaited is a matter of time, so that writes are counted by themselves.
    """

    def __init__(self) -> None:
        self.seen: list[Request] = []
        self.column: Column | None = None
        self._at = self._write = self._after = -1

    def arm(self, at: int, column: Column) -> None:
        """From now on requests are counted anew, and the one with this number fails."""
        self.disarm()
        self._at, self.column = at, column

    def arm_write(self, number: int, column: Column, *, after: bool) -> None:
        """The same of the one that is the write with this number, or comes next after that."""
        self.disarm()
        self.column = column
        self._write, self._after = (-1, number) if after else (number, -1)

    def disarm(self) -> None:
        self.seen, self.column = [], None
        self._at = self._write = self._after = -1

    def count(self, request: Request) -> bool:
        """Count one more, and say whether it is the one that fails."""
        written = sum(writes for _method, _path, writes in self.seen)
        here = len(self.seen)
        self.seen.append(request)
        if self._after >= 0:
            return written == self._after + 1
        return here == self._at or (request[2] and written == self._write)


class Wire(Counted):
    """The requests of one client to the API server.

    Those of the thread that follows a rollout are not counted: how many it makes is a matter of time.
    """

    def __init__(self, cluster: KubernetesCluster) -> None:
        super().__init__()
        self.on_delete: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._connect = cluster._connect
        cluster._connect = self.connect  # type: ignore[method-assign]

    def connect(self) -> tuple[Any, Any]:
        client, credential = self._connect()
        return _Client(self, client), credential

    def request(self, client: Any, method: str, path: str, **options: Any) -> Any:
        if threading.current_thread().name.startswith("rollout "):
            return client.request(method, path, **options)
        query = dict(options.get("query_params") or [])
        writes = method in ("patch", "delete") and not query.get("dryRun")
        with self._lock:
            fails = self.count((method, path, writes))
        column = self.column
        if not fails or column is None:
            return self._sent(client, method, path, **options)
        if column is API_SERVER["409 owner"] and method == "patch" and not writes:
            client.request(method, path, **options)  # a conflict of its own is the one that is told
        if column.arrives:
            self._sent(client, method, path, **options)
        return column.fault()

    def _sent(self, client: Any, method: str, path: str, **options: Any) -> Any:
        answer = client.request(method, path, **options)
        if method == "delete":
            self.on_delete()
        return answer


class _Client:
    def __init__(self, wire: Wire, client: Any) -> None:
        self._wire, self.client = wire, client
        self._inner = client

    def request(self, method: str, path: str, **options: Any) -> Any:
        return self._wire.request(self._inner, method, path, **options)


def _answer(*given: Any, **named: Any) -> Callable[[], httpx.Response]:
    return lambda: envelope(*given, **named)


STUDIO = {
    "refused": Column(_raising(lambda: httpx.ConnectError("Connection refused")), False, (UnreachableError,)),
    "reset": Column(_raising(lambda: httpx.ReadError("reset")), True, (UnreachableError, DeadlineError)),
    "hang": Column(_raising(lambda: httpx.ReadTimeout("timed out")), False, (UnreachableError, DeadlineError)),
    "hang, but done": Column(_raising(lambda: httpx.ReadTimeout("timed out")), True, (UnreachableError, DeadlineError)),
    "key rejected": Column(_answer({}, 403, "ft.InvalidAPIKey", "no such key"), False, (KeyRejectedError,)),
    "403": Column(_answer({}, 403, "ft.NoPermission", "role"), False, (ForbiddenError,)),
    "404": Column(_answer({}, 404, "ft.DashboardNotFound", "not there"), False, (NotFoundError, StaleError), once=True),
    "code in a 200": Column(_answer({}, 200, "ft.TemplateInvalid", "bad template"), False, (WizardError,)),
    "rate limit": Column(_answer({}, 401, "ft.TriggerApiAkCurrentLimiting", "too many"), False, (RateLimitedError,)),
    "500": Column(_answer({}, 500, "InternalError", "unknown"), False, (UnreachableError, DeadlineError)),
    "503": Column(_answer({}, 503, "InternalError", "away"), False, (UnreachableError, DeadlineError)),
    "truncated": Column(lambda: httpx.Response(200, content=b'{"code": 200, "cont'), True, (UnreachableError,)),
    "HTML": Column(
        lambda: httpx.Response(200, html="<!DOCTYPE html><title>Console</title>"), True, (UnreachableError,)
    ),
}


class StudioWire(Counted, httpx.BaseTransport):
    """The requests of one client to the studio; from the one that fails on all fail, for one alone is sent again."""

    def __init__(self) -> None:
        super().__init__()
        self._real = httpx.HTTPTransport()
        self._failing = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        writes = request.method == "POST" and path.rpartition("/")[2] in ("create", "delete", "import", "modify")
        column = self.column
        due = self.count((request.method, path, writes))
        if column is None or not (due or self._failing):
            return self._real.handle_request(request)
        self._failing = not column.once
        if column.arrives:
            answer = self._real.handle_request(request)
            answer.read()
            answer.close()
        found: httpx.Response = column.fault()
        return found

    def disarm(self) -> None:
        super().disarm()
        self._failing = False

    def close(self) -> None:
        self._real.close()
