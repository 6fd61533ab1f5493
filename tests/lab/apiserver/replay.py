"""Replays recorded exchanges with a real kube-apiserver 1.36 against the practice one, and compares the answers.

The recordings in tests/data/kubernetes hold placeholders for what differs from run to run: `<rv:3>` is bound to the
first value that stands in its place, and must be the same value wherever it stands again.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

DATA = Path(__file__).parents[2] / "data" / "kubernetes"
ANY = {
    "time": r".+?",
    "age": r"\S+",
    "pem": r"(?s:.+?)",
    "token": r"\S+",
    "hash128": r"[0-9A-F]{128}",
    "hash": r"[0-9A-F]+",
    "rv:other": r"\d+",
    "server": r"\S+",
}
BOUND = {
    "rv": r"\d+",
    "listrv": r"\d+",
    "uid": r"[0-9a-f]{8}-[0-9a-f-]{27}",
    "continue": r"[\w-]+",
    "sfx": r"[a-z0-9]{5}",
    "ev": r"[0-9a-f]+",
    "hash": r"[a-z0-9]+",
    "hex64": r"[0-9a-f]{64}",
}
PLACEHOLDER = re.compile(
    r"<((?:rv|listrv|uid|continue|sfx|ev|hash|hex64):\d+|time|age|pem|token|hash128|hash|rv:other|server)>"
)
OTHER_SCENARIOS_TIME = "2026-01-01T00:00:00Z"


class DifferentError(AssertionError):
    """An answer that is not the recorded one."""


@dataclass
class Bindings:
    """What the placeholders of one scenario stand for in this run."""

    values: dict[str, str] = field(default_factory=dict)

    def fill(self, value: Any) -> Any:
        """A request with its placeholders replaced."""
        if isinstance(value, str):
            return PLACEHOLDER.sub(self._known, value)
        if isinstance(value, list):
            return [self.fill(item) for item in value]
        if isinstance(value, dict):
            return {self.fill(key): self.fill(item) for key, item in value.items()}
        return value

    def _known(self, found: re.Match[str]) -> str:
        name = found[1]
        if name == "time":
            return OTHER_SCENARIOS_TIME
        return self.values.get(name, found[0])

    def match(self, recorded: str, got: str, where: str) -> None:
        """Hold a text against the recorded one and bind what is new."""
        pattern, names = "", []
        at = 0
        for found in PLACEHOLDER.finditer(recorded):
            pattern += re.escape(recorded[at : found.start()])
            at = found.end()
            name = found[1]
            if name in ANY:
                pattern += f"(?:{ANY[name]})"
            elif name in self.values:
                pattern += re.escape(self.values[name])
            else:
                pattern += f"({BOUND[name.split(':')[0]]})"
                names.append(name)
        pattern += re.escape(recorded[at:])
        result = re.fullmatch(pattern, got, re.DOTALL)
        if result is None:
            raise DifferentError(f"{where}: recorded {self.fill(recorded)!r}, got {got!r}")
        for name, value in zip(names, result.groups(), strict=True):
            self.values.setdefault(name, value)


def compare(recorded: Any, got: Any, bound: Bindings, where: str = "") -> None:
    """Raise DifferentError unless `got` is the recorded answer, some orders and times aside."""
    if isinstance(recorded, str) and isinstance(got, str):
        quoted = re.match(r'(?s)^( "" is invalid: patch: )?Invalid value: "\{', recorded)
        if quoted and len(recorded) > 400:
            # The quoted object's fields come in an order of their own: only beginning and end count.
            head, tail = quoted.end() + 20, 60
            bound.match(recorded[:head], got[:head], where)
            bound.match(recorded[-tail:], got[-tail:], where)
            return
        if recorded.startswith("RBAC: allowed by ") and got.startswith("RBAC: allowed by "):
            return
        bound.match(recorded, got, where)
    elif isinstance(recorded, dict) and isinstance(got, dict):
        missing, extra = recorded.keys() - got.keys(), got.keys() - recorded.keys()
        if missing or extra:
            raise DifferentError(
                f"{where}: missing {sorted(missing)}, extra { {key: got[key] for key in sorted(extra)} }"
            )
        for key in recorded:
            compare(*_ordered(key, recorded[key], got[key]), bound, f"{where}.{key}")
    elif isinstance(recorded, list) and isinstance(got, list):
        if len(recorded) != len(got):
            raise DifferentError(f"{where}: {len(recorded)} items recorded, got {len(got)}: {json.dumps(got)[:600]}")
        for index, (one, other) in enumerate(zip(recorded, got, strict=True)):
            compare(one, other, bound, f"{where}[{index}]")
    elif recorded != got or type(recorded) is not type(got):
        raise DifferentError(f"{where}: recorded {recorded!r}, got {got!r}")


def _ordered(key: str, recorded: Any, got: Any) -> tuple[Any, Any]:
    """Both lists in one order where the real server's order is not fixed."""
    by = _UNORDERED.get(key)
    if by is None or not isinstance(recorded, list) or not isinstance(got, list):
        return recorded, got
    return sorted(recorded, key=by), sorted(got, key=by)


def _manager(entry: dict[str, Any]) -> str:
    return json.dumps([entry.get(name) for name in ("operation", "manager", "subresource", "apiVersion")])


def _rule(rule: dict[str, Any]) -> str:
    return json.dumps(rule, sort_keys=True)


def _cause(cause: dict[str, Any]) -> str:
    # The fields of one manager come in a fixed order (sorting is stable), the managers in any.
    return str(cause["message"]) if cause.get("reason") == "FieldManagerConflict" else ""


_UNORDERED: dict[str, Callable[[dict[str, Any]], str]] = {
    "managedFields": _manager,
    "resourceRules": _rule,
    "nonResourceRules": _rule,
    "causes": _cause,
}


class Replayer:
    """Sends recorded requests, each as its user, and compares what comes back."""

    def __init__(self, url: str, sessions: dict[str, aiohttp.ClientSession]) -> None:
        self.url = url
        self.sessions = sessions
        self.bound = Bindings()

    async def exchange(self, recorded: dict[str, Any]) -> None:
        """One exchange; DifferentError where the answer is another."""
        request, response = recorded["request"], recorded["response"]
        if response.get("stream") and isinstance(response["body"], list):
            await self._stream(request, response, recorded.get("while_open") or [])
            return
        async with self._send(request) as got:
            raw = await got.read()
            self._head(response, got)
            self._body(response["body"], raw)

    def _send(self, request: dict[str, Any]) -> Any:
        fill = self.bound.fill
        headers = {
            "Accept": request.get("accept") or "application/json",
            "User-Agent": request.get("user_agent") or "golden/1.0",
        }
        if request.get("content_type"):
            headers["Content-Type"] = request["content_type"]
        if request["user"] in ("badtoken", "badjwt"):
            headers["Authorization"] = "Bearer nobody.knows.it"
        headers |= request.get("other_headers") or {}
        body = fill(request.get("body"))
        data: bytes | None = None
        if isinstance(body, str):
            data = body.encode()
        elif isinstance(body, dict) and "$base64" in body:
            data = base64.b64decode(body["$base64"])
        elif body is not None:
            data = json.dumps(body).encode()
        query: list[tuple[str, str]] = []
        for name, value in (request.get("query") or {}).items():
            for each in value if isinstance(value, list) else [value]:
                query.append((name, fill(each)))
        session = self.sessions[request["user"]]
        skip = () if "Content-Type" in headers else ("Content-Type",)
        return session.request(
            request["method"],
            self.url + fill(request["path"]),
            params=query,
            data=data,
            headers=headers,
            skip_auto_headers=skip,
            timeout=aiohttp.ClientTimeout(total=60),
        )

    def _head(self, response: dict[str, Any], got: aiohttp.ClientResponse) -> None:
        if response["status"] != got.status:
            raise DifferentError(f"status: recorded {response['status']}, got {got.status}: {got._body!r:.900}")
        wanted = response.get("headers") or {}
        if _is_protobuf(response["body"]):
            wanted = {**wanted, "content-type": "application/json"}  # the practice server answers kubectl in JSON
        if wanted.get("content-type", "") != got.headers.get("Content-Type", ""):
            raise DifferentError(
                f"content-type: recorded {wanted.get('content-type')}, got {got.headers.get('Content-Type')}"
            )
        compare(wanted.get("warning", []), got.headers.getall("Warning", []), self.bound, "warning")
        if wanted.get("retry-after") != got.headers.get("Retry-After"):
            raise DifferentError(f"retry-after: {wanted.get('retry-after')} / {got.headers.get('Retry-After')}")

    def _body(self, recorded: Any, raw: bytes) -> None:
        text = raw.decode()
        if isinstance(recorded, dict) and "$omitted" in recorded:
            json.loads(text)
            return
        if _is_protobuf(recorded):
            found = json.loads(text)
            for key in ("apiVersion", "kind"):
                compare(recorded["$protobuf"][key], found[key], self.bound, f"body.{key}")
            return
        if isinstance(recorded, dict) and "$same_as" in recorded:
            recorded = _elsewhere(recorded["$same_as"])
        if isinstance(recorded, str):
            compare(recorded, text, self.bound, "body")
            return
        compare(recorded, json.loads(text) if text.strip() else None, self.bound, "body")

    async def _stream(self, request: dict[str, Any], response: dict[str, Any], meanwhile: list[Any]) -> None:
        async with self._send(request) as got:
            if got.status != response["status"]:
                await got.read()
            self._head(response, got)
            reading = asyncio.ensure_future(got.read())
            try:
                for each in meanwhile:
                    await self.exchange(each)
                raw = await reading
            finally:
                reading.cancel()
        events = [json.loads(line) for line in raw.decode().splitlines()]
        compare(_told(response["body"]), _told(events), self.bound, "events")


def _is_protobuf(body: Any) -> bool:
    return isinstance(body, dict) and "$protobuf" in body


def _elsewhere(name: str) -> Any:
    """The body of `FILE#step=N`."""
    file, _, step = name.partition("#step=")
    steps = json.loads((DATA / file).read_text(encoding="utf-8"))["steps"]
    return next(each["response"]["body"] for each in steps if each["step"] == int(step))


def _told(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events without the bookmarks that come when they like."""
    return [event for event in events if event["type"] != "BOOKMARK" or event["object"]["metadata"].get("annotations")]
