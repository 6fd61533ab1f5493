"""One request as the API sees it: who asks, which verb, on what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from tui.lab.apiserver import resources
from tui.lab.apiserver.resources import Resource

Obj = dict[str, Any]


@dataclass(frozen=True)
class User:
    """An authenticated user."""

    name: str
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))


@dataclass
class Call:
    """A request, taken apart.

    `resource` is the plural that the path names, whether the server knows it or not; `held` is what it is, if anything.
    For a path outside of the API `resource` is empty.
    """

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    user: User = ANONYMOUS
    verb: str = ""
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""  # of the path, behind the subresource
    body: bytes = b""
    warnings: list[str] = field(default_factory=list)
    namespaced_path: bool = False

    @property
    def api_version(self) -> str:
        """`v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def held(self) -> Resource | None:
        """The resource, None where it is not advertised."""
        return resources.find(self.api_version, self.resource)

    def get(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        return next((value for key, value in self.query if key == name), default)

    def has(self, name: str) -> bool:
        """Whether a query parameter is given."""
        return any(key == name for key, _ in self.query)

    def values(self, name: str) -> list[str]:
        """All values of a query parameter."""
        return [value for key, value in self.query if key == name]

    def flag(self, name: str) -> bool:
        """A boolean parameter: anything but `false` and `0` is true."""
        return self.has(name) and self.get(name) not in ("false", "0")

    @property
    def dry_run(self) -> bool:
        """Whether nothing is to be stored."""
        return "All" in self.values("dryRun")

    @property
    def manager(self) -> str:
        """The field manager: the parameter, else the User-Agent up to its first slash."""
        return self.get("fieldManager") or self.headers.get("User-Agent", "").split("/")[0][:128] or "unknown"

    def accepts(self) -> list[tuple[str, dict[str, str]]]:
        """The media types of the Accept header with their parameters, in order; `*/*` where there is none."""
        out = []
        for part in self.headers.get("Accept", "*/*").split(",") or ["*/*"]:
            kind, *options = (piece.strip() for piece in part.split(";"))
            out.append((kind, dict(option.split("=", 1) for option in options if "=" in option)))
        return out


_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def read_call(method: str, path: str, query: str, headers: Mapping[str, str]) -> Call:
    """Take a request apart, as the server does before it knows whether anything of it exists."""
    call = Call(method, path, parse_qsl(query, keep_blank_values=True), headers)
    call.verb = _VERBS.get(method, method.lower())
    parts = [part for part in path.split("/") if part]
    if len(parts) >= 3 and parts[0] == "api":
        call.version, parts = parts[1], parts[2:]
    elif len(parts) >= 4 and parts[0] == "apis":
        call.group, call.version, parts = parts[1], parts[2], parts[3:]
    else:
        call.verb = method.lower()
        return call
    watching = parts[0] == "watch" and len(parts) > 1
    if watching:
        parts = parts[1:]
    if parts[0] == "namespaces" and len(parts) > 1:
        call.namespace = parts[1]
        call.namespaced_path = True
        if len(parts) > 2 and parts[2] not in ("status", "finalize"):
            parts = parts[2:]
    call.resource = parts[0]
    call.name = parts[1] if len(parts) > 1 else ""
    call.subresource = parts[2] if len(parts) > 2 else ""
    call.rest = path.split(f"/{call.name}/{call.subresource}", 1)[-1] if call.subresource else ""
    _list_verb(call, watching)
    return call


def _list_verb(call: Call, watching: bool) -> None:
    if watching:
        call.verb = "watch"
    elif not call.name and call.verb == "get":
        call.verb = "watch" if call.flag("watch") else "list"
    elif not call.name and call.verb == "delete":
        call.verb = "deletecollection"
    if call.verb in ("list", "watch", "deletecollection") and not call.name:
        # A selector that names one object counts as its name where rights are concerned.
        found = re.fullmatch(r"metadata\.name==?([^,=!]+)", call.get("fieldSelector"))
        call.name = found[1] if found else ""
