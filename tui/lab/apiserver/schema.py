"""The types of the kinds held here, read from types.txt: what server-side apply, strategic merge and decoding need.

A `Shape` is one node of a type; `decode` gives a JSON value the form that a Go server would give it back in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from tui.lab.apiserver.quantities import canonical_quantity
from tui.lab.apiserver.times import canonical_time

Obj = dict[str, Any]
Relation = Literal["atomic", "granular", "set", "map"]
SCALARS = {"string", "int", "bool", "time", "microtime", "intstr", "quantity", "bytes", "any"}


class TypeMismatchError(ValueError):
    """A JSON value of a type that the field cannot take; the message is that of Go's JSON decoder.

    `unstructured` is what the server says where it converts a map in memory instead (strategic merge patch).
    """

    def __init__(self, message: str, unstructured: str = "") -> None:
        super().__init__(message)
        self.unstructured = unstructured or message


@dataclass
class Shape:
    """One node of a type: a scalar, struct, list or map, and how writers share it."""

    kind: Literal["scalar", "struct", "list", "map"]
    name: str = ""  # of the scalar or struct
    elem: Shape | None = None
    relation: Relation = "granular"
    keys: tuple[str, ...] = ()
    patch: tuple[str, ...] = ()  # strategic merge: "merge", "retain"
    fields: dict[str, Field] = field(default_factory=dict)

    @property
    def atomic(self) -> bool:
        """Whether a writer owns it as a whole."""
        return self.relation == "atomic"

    @property
    def merge_key(self) -> str:
        """The key that a strategic merge patch merges this list by; empty where the list is replaced."""
        return self.keys[0] if self.relation == "map" and self.kind == "list" else ""

    def child(self, name: str) -> Shape | None:
        """The shape below a field name or map key, None where the name is not declared."""
        if self.kind == "map":
            return self.elem
        found = self.fields.get(name)
        return found.shape if found else None


@dataclass(frozen=True)
class Field:
    """A field of a struct: its shape, whether it is always written, and whether nil and zero differ."""

    name: str
    shape: Shape
    always: bool = False
    pointer: bool = False


def _parse(text: str) -> dict[str, Shape]:
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("  "):
            lines[-1] += " " + line.strip()
        elif line and not line.startswith("#"):
            lines.append(line)
    types: dict[str, Shape] = {}
    bodies: dict[str, str] = {}
    for line in lines:
        head, _, body = line.partition(": ")
        name = head.rstrip("~")
        types[name] = Shape("struct", name, relation="atomic" if head.endswith("~") else "granular")
        bodies[name] = body
    for name, body in bodies.items():
        for part in _split(body):
            label, *words = part.split()
            bare = label.rstrip("!?")
            types[name].fields[bare] = Field(bare, _shape(words, types), "!" in label, "?" in label)
    return types


def _split(body: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for at, char in enumerate(body):
        depth += (char == "(") - (char == ")")
        if char == "," and not depth:
            parts.append(body[start:at])
            start = at + 1
    return [*parts, body[start:]]


def _shape(words: list[str], types: dict[str, Shape]) -> Shape:
    kind, marks = words[0], words[1:]
    if kind[0] in "[{":
        shape = Shape("list" if kind[0] == "[" else "map", elem=_shape([kind[1:-1]], types))
        shape.relation = "atomic" if kind[0] == "[" or "atomic" in marks else "granular"
        for mark in marks:
            if mark.startswith("map("):
                shape.relation, shape.keys = "map", tuple(mark[4:-1].split(","))
            elif mark == "set":
                shape.relation, shape.patch = "set", ("merge",)
        shape.patch += tuple(mark for mark in marks if mark in ("merge", "retain"))
        return shape
    if kind in SCALARS:
        return Shape("scalar", kind)
    return types[kind]


@cache
def types() -> dict[str, Shape]:
    """All declared types by name."""
    return _parse((Path(__file__).parent / "types.txt").read_text(encoding="utf-8"))


def type_of(name: str) -> Shape:
    """The struct of that name."""
    return types()[name]


def json_kind(value: Any) -> str:
    """The name that Go's decoder gives to the type of a JSON value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object" if isinstance(value, dict) else "null"


GO_SCALARS = {"string": "string", "int": "int32", "bool": "bool", "bytes": "[]uint8"}


def decode(shape: Shape, value: Any, unknown: list[str] | None = None, known: Obj | None = None) -> Obj:
    """`value` as the struct `shape`: unknown fields left out (`unknown` gets their paths), zero values dropped or set.

    `known` are parts that were decoded before: what `value` has taken over of them is right as it is. Raises
    TypeMismatchError for a value that Go's decoder would refuse.
    """
    if not isinstance(value, dict):
        raise TypeMismatchError(f"json: cannot unmarshal {json_kind(value)} into Go value of type v1.{shape.name}")
    kept = {name for name, item in value.items() if isinstance(item, dict) and item is (known or {}).get(name)}
    given = {name: item for name, item in value.items() if name not in kept} if kept else value
    out = _struct(shape, given, "", "", unknown if unknown is not None else [])
    return {name: value[name] if name in kept else out[name] for name in (*value, *out) if name in kept or name in out}


def _struct(shape: Shape, value: Obj, path: str, context: str, unknown: list[str]) -> Obj:
    out: Obj = {}
    for name, item in value.items():
        declared = shape.fields.get(name)
        where = f"{path}.{name}" if path else name
        if declared is None:
            unknown.append(where)
            continue
        if item is None:
            continue
        field_path = f"{context}.{name}" if context else name
        try:
            result = _value(declared.shape, item, where, field_path, unknown)
        except _MismatchError as error:
            # Go names the innermost struct, and the path of fields from the outermost.
            kind = _INTEGERS.get(name, error.wanted)
            what = f"number {error.value}" if kind.startswith("int") and error.what == "number" else error.what
            text = f"json: cannot unmarshal {what} into Go struct field {shape.name}.{field_path} of type {kind}"
            raise TypeMismatchError(text, _converted(declared.shape, error.value, kind)) from None
        if declared.always or declared.pointer or not _is_zero(declared.shape, result):
            out[name] = result
    for name, declared in shape.fields.items():
        if declared.always and name not in out:
            out[name] = _zero(declared)
    return out


_GO_KINDS = {
    "bool": ("bool", "bool"), "string": ("string", "string"), "number": ("int64", "int64"),
    "array": ("slice", "[]interface {}"), "object": ("map", "map[string]interface {}"),
}  # fmt: skip


def _converted(shape: Shape, value: Any, kind: str) -> str:
    """The server's text about a value in memory that does not fit (apimachinery, runtime/converter.go)."""
    go_kind, go_type = ("float64", "float64") if isinstance(value, float) else _GO_KINDS[json_kind(value)]
    while shape.elem is not None and isinstance(value, list if shape.kind == "list" else dict):
        value = next((each for each in (value if isinstance(value, list) else value.values())), None)
        shape = shape.elem
    scalar = shape.elem is not None and shape.elem.kind == "scalar" and kind in GO_SCALARS.values()
    if shape.name == "intstr":
        return f"json: cannot unmarshal {json_kind(value)} into Go value of type int32"
    if shape.kind == "scalar" or scalar:
        # Go converts numbers into each other, and whole ones into (one character) texts.
        convertible = {"int64", "float64"} if kind.startswith("int") else {"int64"} if kind == "string" else set()
        return f"cannot convert {go_type} to {kind}" if go_type in convertible else f"unrecognized type: {kind}"
    if shape.kind == "struct":
        return f"cannot restore struct from: {go_kind}"
    return f"cannot restore {'slice' if shape.kind == 'list' else 'map'} from {go_kind}"


def _is_zero(shape: Shape, value: Any) -> bool:
    if shape.kind == "struct":
        return value is None
    if shape.name == "intstr":
        return value == 0 and not isinstance(value, str)
    return not value


def _zero(declared: Field) -> Any:
    shape = declared.shape
    if shape.kind == "struct":
        return None if declared.pointer else _struct(shape, {}, "", "", [])
    if shape.kind != "scalar":
        return None
    return {"string": "", "int": 0, "bool": False, "intstr": 0, "quantity": "0"}.get(shape.name)


def _value(shape: Shape, value: Any, path: str, context: str, unknown: list[str]) -> Any:
    if shape.kind == "scalar":
        return _scalar(shape.name, value)
    if shape.kind == "list":
        if not isinstance(value, list):
            raise _MismatchError(value, _go_type(shape))
        assert shape.elem is not None
        return [_element(shape.elem, item, f"{path}[{i}]", context, unknown) for i, item in enumerate(value)]
    if not isinstance(value, dict):
        raise _MismatchError(value, _go_type(shape))
    if shape.kind == "map":
        assert shape.elem is not None
        return {key: _element(shape.elem, item, f"{path}.{key}", context, unknown) for key, item in value.items()}
    return _struct(shape, value, path, context, unknown)


def _element(shape: Shape, value: Any, path: str, context: str, unknown: list[str]) -> Any:
    if value is None:
        if shape.kind == "struct":
            return _struct(shape, {}, path, context, unknown)
        return {"string": "", "int": 0, "bool": False, "quantity": "0"}.get(shape.name)
    return _value(shape, value, path, context, unknown)


def _go_type(shape: Shape) -> str:
    if shape.kind == "struct":
        return f"v1.{shape.name}"
    if shape.kind == "scalar":
        return GO_SCALARS.get(shape.name, shape.name)
    assert shape.elem is not None
    return ("[]" if shape.kind == "list" else "map[string]") + _go_type(shape.elem)


_INTEGERS = dict.fromkeys(
    (
        "terminationGracePeriodSeconds", "activeDeadlineSeconds", "tolerationSeconds", "runAsUser", "runAsGroup",
        "fsGroup", "generation", "revision", "expirationSeconds", "observedGeneration", "deletionGracePeriodSeconds",
        "sizeBytes",
    ),
    "int64",
)  # fmt: skip


class _MismatchError(ValueError):
    """A value of another JSON type than its field takes."""

    def __init__(self, value: Any, wanted: str) -> None:
        super().__init__(wanted)
        self.value, self.what, self.wanted = value, json_kind(value), wanted


def _base64(value: str) -> str:
    found = re.match(r"[A-Za-z0-9+/]*", value)
    at = found.end() if found else 0
    if re.fullmatch(r"={0,2}", value[at:]) and len(value) % 4 == 0:
        return value
    raise ValueError(f"illegal base64 data at input byte {at if at < len(value) else len(value) // 4 * 4}")


def _scalar(name: str, value: Any) -> Any:
    match name:
        case "any":
            return value
        case "string" if isinstance(value, str):
            return value
        case "bytes" if isinstance(value, str):
            return _base64(value)
        case "bool" if isinstance(value, bool):
            return value
        case "int" if isinstance(value, int) and not isinstance(value, bool):
            return value
        case "int" if isinstance(value, float) and value.is_integer():
            return int(value)
        case "time" | "microtime" if isinstance(value, str):
            return canonical_time(value, micro=name == "microtime")
        case "quantity" if isinstance(value, str | int | float) and not isinstance(value, bool):
            return canonical_quantity(value)
        case "intstr" if isinstance(value, str | int) and not isinstance(value, bool):
            return value
    raise _MismatchError(value, GO_SCALARS.get(name, name))
