"""Readers of the values in answers.toml: each takes what TOML holds and returns what the dataclass holds.

A value that will not do raises `Problem`, which says what was found and what is allowed. What may be a secret is
described, never quoted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from tui.core.toml_text import secrets
from tui.i18n import N_, _


class Problem(ValueError):  # noqa: N818 - one of several, told together
    """One thing that is wrong, already translated."""


Reader = Callable[[Any], Any]

_TYPE_NAMES = {
    bool: N_("a boolean"),
    int: N_("an integer"),
    float: N_("a number"),
    str: N_("a string"),
    list: N_("a list"),
    dict: N_("a table"),
}


def kind(value: Any) -> str:
    """What a value is called in TOML."""
    return _(_TYPE_NAMES.get(type(value), N_("a date or time")))


def expected(what: str, value: Any) -> Problem:
    """That a value is of another type than `what`."""
    return Problem(_("expected {what}, found {found}").format(what=what, found=kind(value)))


def read_text(value: Any) -> str:
    """Any text."""
    if not isinstance(value, str):
        raise expected(_("a string"), value)
    return value


def read_line(value: Any) -> str:
    """A text of one line, as names and paths are."""
    text = read_text(value)
    if any(ord(c) < 32 or ord(c) == 127 for c in text):
        raise Problem(_("found control characters or line ends, allowed is one line of text"))
    return text


def read_tag_value(value: Any) -> str:
    """A text of one line that DataKit takes as it is when it stands in a conf."""
    text = read_line(value)
    if "$" in text:
        raise Problem(_("found a $, which DataKit takes for an environment variable; choose a name without"))
    return text


def one_of(*allowed: str) -> Reader:
    """One of a few words."""

    def read(value: Any) -> str:
        text = read_text(value)
        if text not in allowed:
            raise Problem(
                _("found {found!r}, allowed are {allowed}").format(found=text[:60], allowed=", ".join(allowed))
            )
        return text

    return read


def list_of(reader: Reader) -> Reader:
    """A list without repetitions, as a tuple."""

    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise expected(_("a list"), value)
        items = []
        for number, item in enumerate(value, 1):
            try:
                items.append(reader(item))
            except Problem as problem:
                raise Problem(_("entry {n}: {problem}").format(n=number, problem=problem)) from None
        repeated = next((item for item in items if items.count(item) > 1), None)
        if repeated is not None:
            raise Problem(_("{item} is listed twice").format(item=repeated))
        return tuple(items)

    return read


def read_url(value: Any) -> str:
    """An http(s) address. What was found is described, never quoted: a key may have been pasted here."""
    text = read_line(value)
    try:
        parts = urlsplit(text)
        well = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        well = False
    if not well:
        raise Problem(
            _("found {n} characters that are no address, allowed is http://… or https://…").format(n=len(text))
        )
    if parts.username or parts.password:
        raise Problem(_("found a user or password in the address; this file never holds a secret"))
    if any(word in parts.query.lower() for word in ("token=", "key=", "password=", "secret=")):
        raise Problem(_("found a token in the address; this file never holds a secret"))
    return text


def read_optional_url(value: Any) -> str:
    """An http(s) address, or ""."""
    return "" if value == "" else read_url(value)


def read_socket(value: Any) -> str:
    """The address of a socket on the nodes, or ""; DataKit knows no other scheme (inputs/container/container.go)."""
    text = read_line(value)
    if text and not (text.startswith("unix:///") and len(text) > len("unix:///") and "," not in text):
        raise Problem(_("found {found!r}, allowed is unix:///path").format(found=text[:60]))
    return text


def read_workload(value: Any) -> str:
    """A Deployment as namespace/name."""
    text = read_line(value)
    if len([part for part in text.split("/") if part]) != 2 or text.count("/") != 1:
        raise Problem(_("found {found!r}, allowed is namespace/name").format(found=text[:60]))
    return text


def names_of(allowed: Sequence[str], longest: int) -> Reader:
    """A table of names: keys from `allowed`, values of 1 to `longest` characters."""

    def read(value: Any) -> dict[str, str]:
        if not isinstance(value, dict):
            raise expected(_("a table"), value)
        names = {}
        for view, name in value.items():
            if view not in allowed:
                problem = _("found the view {found!r}, allowed are {allowed}")
                raise Problem(problem.format(found=view[:60], allowed=", ".join(allowed)))
            if not isinstance(name, str):
                raise expected(_("a string for {view}").format(view=view), name)
            if not 0 < len(read_line(name)) <= longest:
                problem = _("the name for {view} has {n} characters, allowed are 1 to {most}")
                raise Problem(problem.format(view=view, n=len(name), most=longest))
            names[view] = name
        return names

    return read


def read_conf(value: Any) -> str:
    """An etcd.conf without secrets."""
    text = read_text(value)
    for key, line in secrets(text):
        raise Problem(
            _("line {line} holds a secret ({key}); use token_file, or ${{NAME}} from the DaemonSet's env").format(
                line=line, key=key
            )
        )
    return text
