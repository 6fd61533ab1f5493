"""Sets of fields, as server-side apply tracks them: who owns what, written as FieldsV1.

A path element is a tuple: ("f", name) for a field or map key, ("k", ((key, value), ...)) for an item of a list with
keys, ("v", value) for an item of a set, ("i", index). Rules: structured-merge-diff v6 (Kubernetes 1.36).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tui.lab.apiserver.schema import Shape

Element = tuple[str, Any]
Path = tuple[Element, ...]
_RANK = {"f": 0, "k": 1, "v": 2, "i": 3}


class FieldSet:
    """A set of paths, as a tree: the elements that are in it here, and the sets below them."""

    __slots__ = ("_json", "children", "members")

    def __init__(self) -> None:
        self.members: set[Element] = set()
        self.children: dict[Element, FieldSet] = {}
        self._json: dict[str, Any] | None = None  # as it was written last

    def insert(self, path: Path) -> None:
        """Add a path; the empty path is nothing."""
        if not path:
            return
        node = self
        node._json = None
        for element in path[:-1]:
            child = node.children.get(element)
            if child is None:
                child = node.children[element] = FieldSet()
            node = child
            node._json = None
        node.members.add(path[-1])

    def has(self, path: Path) -> bool:
        """Whether the path itself is a member."""
        node: FieldSet | None = self
        for element in path[:-1]:
            node = node.children.get(element) if node else None
        return node is not None and path[-1] in node.members

    @property
    def empty(self) -> bool:
        """Whether there is no member at any depth."""
        return not self.members and all(child.empty for child in self.children.values())

    def below(self, element: Element) -> FieldSet:
        """The set below one element, empty where there is none."""
        return self.children.get(element) or FieldSet()

    def _build(self, members: set[Element], children: dict[Element, FieldSet]) -> FieldSet:
        out = FieldSet()
        out.members = members
        out.children = {element: child for element, child in children.items() if not child.empty}
        return out

    def union(self, other: FieldSet) -> FieldSet:
        """The paths of either."""
        children = dict(self.children)
        for element, child in other.children.items():
            mine = children.get(element)
            children[element] = mine.union(child) if mine else child
        return self._build(self.members | other.members, children)

    def intersection(self, other: FieldSet) -> FieldSet:
        """The paths of both."""
        shared = self.children.keys() & other.children.keys()
        children = {element: self.children[element].intersection(other.children[element]) for element in shared}
        return self._build(self.members & other.members, children)

    def difference(self, other: FieldSet) -> FieldSet:
        """The paths of this one that the other has not; what is below a removed path stays."""
        if not other.members and not other.children:
            return self
        children = {
            element: child.difference(other.children[element]) if element in other.children else child
            for element, child in self.children.items()
        }
        return self._build(self.members - other.members, children)

    def recursive_difference(self, other: FieldSet) -> FieldSet:
        """The paths of this one that are neither in the other nor below one of its paths."""
        if not other.members and not other.children:
            return self
        children = {
            element: child.recursive_difference(other.children[element]) if element in other.children else child
            for element, child in self.children.items()
            if element not in other.members
        }
        return self._build(self.members - other.members, children)

    def with_named_fields(self, shape: Shape | None) -> FieldSet:
        """The set in which every declared struct field that leads to a member is a member itself."""
        members = set(self.members)
        if shape is not None and shape.kind == "struct":
            members |= {element for element in self.children if element[0] == "f" and element[1] in shape.fields}
        children = {
            element: child.with_named_fields(_below(shape, element)) for element, child in self.children.items()
        }
        return self._build(members, children)

    def paths(self, prefix: Path = ()) -> Iterator[Path]:
        """All paths, in the fixed order in which conflicts are told."""
        for element in sorted(self.members, key=sort_key):
            yield (*prefix, element)
        for element in sorted(self.children, key=sort_key):
            yield from self.children[element].paths((*prefix, element))

    def to_json(self) -> dict[str, Any]:
        """The set as FieldsV1, which must not be changed."""
        if self._json is not None:
            return self._json
        out: dict[str, Any] = {}
        for element in sorted(self.members | self.children.keys(), key=sort_key):
            child = self.children.get(element)
            below = child.to_json() if child else {}
            if element in self.members and below:
                below = {".": {}, **below}
            out[_key(element)] = below
        self._json = out
        return out


def from_json(fields: dict[str, Any]) -> FieldSet:
    """A set from FieldsV1; unknown kinds of keys are passed over. Raises ValueError for keys that are not readable."""
    out = FieldSet()
    for key, below in fields.items():
        if key == ".":
            continue
        element = _element(key)
        if element is None:
            continue
        child = from_json(below)
        if not below or "." in below:
            out.members.add(element)
        if not child.empty:
            out.children[element] = child
    return out


def _below(shape: Shape | None, element: Element) -> Shape | None:
    if shape is None:
        return None
    if shape.kind == "list":
        return shape.elem
    return shape.child(str(element[1])) if element[0] == "f" else None


def sort_key(element: Element) -> tuple[int, str]:
    """Fields before keyed items before values before indexes, each by its text."""
    kind, value = element
    if kind == "i":
        return 3, f"{value:012d}"
    if kind == "k":
        return _RANK[kind], ",".join(f'{key}="{item}"' for key, item in value)
    return _RANK[kind], value if kind == "f" else json.dumps(value)


_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)
_QUOTE = json.encoder.encode_basestring


def _key(element: Element) -> str:
    kind, value = element
    if kind == "f":
        return f"f:{value}"
    if kind == "k":
        pairs = (f"{_QUOTE(key)}:{_QUOTE(item) if type(item) is str else _ENCODER.encode(item)}" for key, item in value)
        return "k:{" + ",".join(pairs) + "}"
    return f"{kind}:" + _ENCODER.encode(value)


def _element(key: str) -> Element | None:
    kind, _, rest = key.partition(":")
    match kind:
        case "f":
            return "f", rest
        case "k":
            return "k", tuple(sorted(json.loads(rest).items()))
        case "v":
            return "v", json.loads(rest)
        case "i":
            return "i", int(rest)
    return None


def text(path: Path) -> str:
    """A path as messages write it: `.spec.containers[name="datakit"].image`."""
    out = ""
    for kind, value in path:
        if kind == "f":
            out += f".{value}"
        elif kind == "k":
            out += "[" + ",".join(f"{key}={json.dumps(item, ensure_ascii=False)}" for key, item in value) + "]"
        elif kind == "v":
            out += f"[={json.dumps(value, ensure_ascii=False)}]"
        else:
            out += f"[{value}]"
    return out


def path(*names: str) -> Path:
    """The path of nested field names."""
    return tuple(("f", name) for name in names)
