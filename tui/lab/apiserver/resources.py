"""The API groups and resources that the server advertises, and which of them it holds objects of."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

from tui.lab.apiserver.schema import Shape, types

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Subresource:
    """A subresource: its kind, with group and version where they differ, and its verbs."""

    name: str
    kind: str
    group: str
    version: str
    verbs: tuple[str, ...]


@dataclass(frozen=True)
class Resource:
    """A resource of one group and version."""

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...]
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    stored: str = ""  # the version it is stored in, where that is another
    subresources: dict[str, Subresource] = field(default_factory=dict, hash=False, compare=False)

    @property
    def api_version(self) -> str:
        """`v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @cached_property
    def shape(self) -> Shape | None:
        """The type of its objects, None where the server holds none."""
        if self.group == "events.k8s.io":
            return types()["EventsEvent"]
        if self.group in _HELD_GROUPS:
            return types().get(self.kind)
        return None

    @property
    def storage_hash(self) -> str:
        """The hash that discovery shows for stored resources."""
        group = "" if self.group == "events.k8s.io" else self.group
        text = f"{group}/{self.stored or self.version}/{self.kind}"
        return base64.b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode()


_HELD_GROUPS = {
    "", "apps", "batch", "policy", "rbac.authorization.k8s.io", "coordination.k8s.io", "authentication.k8s.io",
    "authorization.k8s.io",
}  # fmt: skip


@cache
def groups() -> dict[str, list[Resource]]:
    """Resources by `group/version` (`v1` for the core group), in the server's order."""
    out: dict[str, list[Resource]] = {}
    group = version = ""
    for line in (Path(__file__).parent / "resources.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#") or not line.strip():
            continue
        words = line.split()
        if words[0] == "group":
            group, _, version = words[1].rpartition("/")
            out[words[1]] = []
        elif line.startswith("  "):
            parts = words[1].split("/")
            sub_group, sub_version, kind = parts if len(parts) == 3 else ("", "", words[1])
            sub = Subresource(words[0], kind, sub_group, sub_version, tuple(words[2].split(",")))
            out[f"{group}/{version}" if group else version][-1].subresources[words[0]] = sub
        else:
            marks = dict(word.split("=") for word in words[5:])
            out[f"{group}/{version}" if group else version].append(
                Resource(
                    group,
                    version,
                    words[0],
                    words[1],
                    words[2],
                    words[3] == "ns",
                    ALL_VERBS if words[4] == "*" else tuple(words[4].split(",")),
                    tuple(marks["short"].split(",")) if "short" in marks else (),
                    tuple(marks["in"].split(",")) if "in" in marks else (),
                    marks.get("stored", ""),
                )
            )
    return out


@cache
def _by_name() -> dict[tuple[str, str], Resource]:
    return {(name, each.plural): each for name, held in groups().items() for each in held}


def find(api_version: str, plural: str) -> Resource | None:
    """The resource of that name, None where it is not advertised."""
    return _by_name().get((api_version, plural))


@cache
def _by_kind() -> dict[tuple[str, str], Resource]:
    return {(each.api_version, each.kind): each for held in groups().values() for each in held}


def of_kind(api_version: str, kind: str) -> Resource | None:
    """The resource of a kind."""
    return _by_kind().get((api_version, kind))
