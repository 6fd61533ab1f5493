"""Values of a conf as Go's TOML decoder puts them into the fields of an input: by kind, with its errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tui.core import durations
from tui.core.prom import toml
from tui.i18n import _

Decoder = Callable[[str, object], Any]


class WrongTypeError(ValueError):
    """A value of a type that its setting does not take."""


@dataclass(frozen=True)
class Rule:
    """One `[[inputs.prom.measurements]]`: names that start with `prefix` get the measurement `name`."""

    prefix: str = ""
    name: str = ""


def refusal(key: str, wanted: str, value: object) -> WrongTypeError:
    """The error for a `value` that is no `wanted`."""
    kinds = {str: "string", bool: "boolean", int: "integer", float: "float", dict: "table", list: "array"}
    found = kinds.get(type(value), "array of tables" if isinstance(value, toml.TableArray) else "date or time")
    return WrongTypeError(_("{key} must be {wanted}, not {found}").format(key=key, wanted=wanted, found=found))


def string(key: str, value: object) -> str:
    """A string; a date is none."""
    if not isinstance(value, str) or isinstance(value, toml.Moment):
        raise refusal(key, "string", value)
    return value


def boolean(key: str, value: object) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise refusal(key, "boolean", value)
    return value


def integer(key: str, value: object) -> int:
    """A whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise refusal(key, "integer", value)
    return value


def duration(key: str, value: object) -> int:
    """Nanoseconds; an integer is taken as such."""
    if isinstance(value, str) and not isinstance(value, toml.Moment):
        try:
            return durations.parse_ns(value)
        except ValueError as error:
            raise WrongTypeError(f"{key}: {error}") from None
    return integer(key, value)


def array(key: str, value: object) -> list[Any]:
    """A list, in brackets or of tables."""
    if not isinstance(value, list):
        raise refusal(key, "array", value)
    return value


def strings(key: str, value: object) -> tuple[str, ...]:
    """A list of strings."""
    return tuple(string(key, one) for one in array(key, value))


def mapping(convert: Decoder) -> Decoder:
    """A table of values. What is no table is ignored without a word: so does the decoder."""

    def decode(key: str, value: object) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            return {}
        return {name: convert(f"{key}.{name}", one) for name, one in value.items()}

    return decode


def rules(key: str, value: object) -> tuple[Rule, ...]:
    """The naming rules; `pattern` is read and never used."""
    decoded = [fields(key, one, {"pattern": string, "prefix": string, "name": string}) for one in array(key, value)]
    return tuple(Rule(one.get("prefix", ""), one.get("name", "")) for one in decoded)


def rename(key: str, value: object) -> Mapping[str, Any]:
    """`tags_rename`."""
    return fields(key, value, {"overwrite_exist_tags": boolean, "mapping": mapping(string)})


def logging(key: str, value: object) -> Mapping[str, Any]:
    """`as_logging`."""
    return fields(key, value, {"enable": boolean, "service": string})


def untouchable(key: str, value: object) -> None:
    """A field of the Go struct that no text can fill."""
    raise WrongTypeError(_("{key} cannot be set").format(key=key))


def fields(where: str, value: object, known: Mapping[str, Decoder]) -> dict[str, Any]:
    """The known keys of a table, decoded. Keys are matched without regard to case; others are ignored."""
    if not isinstance(value, dict):
        raise refusal(where, "table", value)
    found: dict[str, Any] = {}
    for name, one in value.items():
        convert = known.get(name.lower())
        if convert:
            found[name.lower()] = convert(name, one)
    return found
