"""Edits on a person's etcd.conf: one value changes, every other character stays where it is.

Values are put into the text at the places that `tui.core.toml_text` finds. tomlkit alone would not do: a key that it
adds to a table loses the indentation and lands below the comments of the next table, and an element that it adds to a
list which ends in a comment lacks its comma. It is asked for inline tables only.

All functions return the new text. They raise UsageError where the text is no TOML, or where block number `block`
(from 0) is not there or not written as a table of its own.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass

from tui.core.errors import UsageError
from tui.core.toml_text import Comment, Entry, Header, Statement, items, literal, scan
from tui.i18n import _

_COMMA = re.compile(r"(?:\s|#[^\n]*\n)*,")

# A new key goes below the first of these that is there: near its relatives, as a person would write it.
_NEIGHBOURS = {
    "url": ("urls",),
    "source": ("urls", "url"),
    "election": ("interval", "source", "urls", "url"),
    "interval": ("source", "urls", "url"),
    "metric_types": ("source", "urls", "url"),
    "metric_name_filter": ("metric_types", "source", "urls", "url"),
    "metric_name_filter_ignore": ("metric_name_filter", "metric_types", "source", "urls", "url"),
    "measurement_name": ("measurement_prefix", "metric_name_filter"),
    "tls_open": ("tls_ca", "tls_cert", "tls_key"),
    "tls_ca": ("tls_open", "tls_cert", "tls_key"),
    "tls_cert": ("tls_ca", "tls_open"),
    "tls_key": ("tls_cert", "tls_ca", "tls_open"),
}


@dataclass(frozen=True)
class Block:
    """One `[[inputs.prom]]`: its header, the statements down to the next block, and where these end in the text."""

    header: Header
    statements: tuple[Statement, ...]
    end: int

    def entry(self, *path: str) -> Entry | None:
        """The entry at `path` below the block, by DataKit's rules: keys match in any case, the last one holds."""
        wanted = tuple(name.casefold() for name in path)
        found = (item for item in reversed(self.statements) if isinstance(item, Entry))
        return next((item for item in found if _below(item.full_path) == wanted), None)

    def entries(self, *path: str) -> list[Entry]:
        """The entries directly below the table at `path`, dotted keys included."""
        wanted = tuple(name.casefold() for name in path)
        found = (item for item in self.statements if isinstance(item, Entry))
        return [item for item in found if _below(item.full_path)[:-1] == wanted]

    def table(self, *path: str) -> Header | None:
        """The header of the table at `path` below the block."""
        wanted = tuple(name.casefold() for name in path)
        headers = (item for item in self.statements if isinstance(item, Header))
        return next((item for item in headers if _below(item.path) == wanted), None)


def _below(path: Sequence[str]) -> tuple[str, ...]:
    return tuple(name.casefold() for name in path[2:])


def blocks(text: str, name: str = "prom") -> list[Block]:
    """The blocks of a text that are written with a header of their own, `[[inputs.prom]]` or `[inputs.prom]`.

    `name` may be another input's.
    """
    wanted = ("inputs", name)
    statements = scan(text)
    starts = [n for n, item in enumerate(statements) if isinstance(item, Header) and _path(item) == wanted]
    found = []
    for start in starts:
        stop = start + 1
        while stop < len(statements):
            item = statements[stop]
            if isinstance(item, Header) and (_path(item) == wanted or _path(item)[:2] != wanted):
                break
            stop += 1
        header = statements[start]
        assert isinstance(header, Header)
        own = statements[start + 1 : stop]
        if stop < len(statements):  # comments before the next block belong to that one
            while own and isinstance(own[-1], Comment):
                own.pop()
        end = max((item.end for item in own), default=header.end)
        found.append(Block(header, tuple(own), end))
    return found


def _path(header: Header) -> tuple[str, ...]:
    return tuple(name.casefold() for name in header.path)


def set_key(text: str, key: str, value: bool | int | str | Sequence[str], *, block: int = 0) -> str:
    """`key = value` directly in the block: its value is replaced, or the key is added near its relatives."""
    found = _block(text, block)
    entry = found.entry(key)
    if entry:
        return _checked(text, text[: entry.value_start] + literal(value) + text[entry.end :])
    line = f"{key} = {literal(value)}"
    commented = re.compile(rf"#[#\s]*{re.escape(key)}\s*=", re.I)
    own = [item for item in found.statements if not isinstance(item, Header)]
    tables = [item.start for item in found.statements if isinstance(item, Header)]
    top = [item for item in own if item.start < min(tables, default=len(text) + 1)]
    after: Statement | None = None
    after = next((item for item in top if isinstance(item, Comment) and commented.match(item.text)), None)
    for name in _NEIGHBOURS.get(key, ()):
        after = after or found.entry(name)
    after = after or next((item for item in reversed(top) if isinstance(item, Entry)), None)
    indent = _indent(text, after.start) if after else _indent(text, found.header.start) + "  "
    return _checked(text, _insert(text, (after or found.header).end, indent + line))


def remove_key(text: str, *path: str, block: int = 0) -> str:
    """Take the entry at `path` below the block away, with its line; the same text if it is not there."""
    entry = _block(text, block).entry(*path)
    if not entry:
        return text
    start = text.rfind("\n", 0, entry.start) + 1
    newline = text.find("\n", entry.end)
    return _checked(text, text[:start] + ("" if newline < 0 else text[newline + 1 :]))


def set_urls(text: str, urls: Sequence[str], *, block: int = 0) -> str:
    """The addresses to scrape; the deprecated `url`, which would be ignored, stays."""
    return set_key(text, "urls", list(urls), block=block)


def set_tag(text: str, name: str, value: str, *, block: int = 0) -> str:
    """A tag in `[inputs.prom.tags]`, which is added to the block where it has none."""
    import tomlkit

    found = _block(text, block)
    entry = found.entry("tags", name)
    if entry:
        return _checked(text, text[: entry.value_start] + literal(value) + text[entry.end :])
    inline = found.entry("tags")
    if inline:
        table = tomlkit.value(text[inline.value_start : inline.end])
        if not isinstance(table, tomlkit.items.InlineTable):
            raise _unusual(text, _("tags is no table"))
        table[name] = value
        return _checked(text, text[: inline.value_start] + table.as_string().strip() + text[inline.end :])
    line = f"{_key(name)} = {literal(value)}"
    entries, table_header = found.entries("tags"), found.table("tags")
    in_table = [item for item in entries if item.header == table_header]
    if table_header:
        last: Entry | Header = in_table[-1] if in_table else table_header
        indent = _indent(text, last.start) + ("" if in_table else "  ")
        return _checked(text, _insert(text, last.end, indent + line))
    if entries:  # tags.x = "y" in the block itself
        indent = _indent(text, entries[-1].start)
        return _checked(text, _insert(text, entries[-1].end, f"{indent}tags.{line}"))
    indent = _indent(text, found.header.start)
    header = f"{indent}  [inputs.prom.tags]"
    return _checked(text, _insert(text, found.end, "", header, f"{indent}    {line}"))


def add_filter(text: str, pattern: str, *, key: str = "metric_name_filter", block: int = 0) -> str:
    """One more regular expression in the whitelist. Nothing changes where the list is empty, for that keeps all."""
    return _append(text, key, pattern, block)


def add_type(text: str, metric_type: str, *, block: int = 0) -> str:
    """One more word in metric_types. Nothing changes where the list is empty, for that keeps all types."""
    return _append(text, "metric_types", metric_type, block)


def remove_item(text: str, key: str, value: str, *, block: int = 0) -> str:
    """Take a value out of a list, and its line if that is empty then; the same text if it is not there."""
    entry = _block(text, block).entry(key)
    if not entry:
        return text
    array = tomllib.loads(f"array = {text[entry.value_start : entry.end]}")["array"]
    spans = items(text, entry)
    if not isinstance(array, list) or value not in array or len(spans) != len(array):
        return text
    at = array.index(value)
    start, end = spans[at]
    comma = _COMMA.match(text, end, entry.end)  # there may be comments before it
    if comma:
        after = text[:start] + text[end : comma.end() - 1] + text[comma.end() :]
    else:
        before = spans[at - 1][1] if at else start
        start = before if re.fullmatch(r"[ \t]*,[ \t]*", text[before:start]) else start
        after = text[:start] + text[end:]
    line, newline = after.rfind("\n", 0, start) + 1, after.find("\n", start)
    if newline >= 0 and not after[line:newline].strip():
        return _checked(text, after[:line] + after[newline + 1 :])
    return _checked(text, after[:start] + after[start:].lstrip(" \t"))


def add_rule(text: str, prefix: str, name: str, *, block: int = 0) -> str:
    """One more `[[inputs.prom.measurements]]`, below those that are there."""
    found = _block(text, block)
    indent = _indent(text, found.header.start)
    lines = (
        "",
        f"{indent}  [[inputs.prom.measurements]]",
        f"{indent}    prefix = {literal(prefix)}",
        f"{indent}    name = {literal(name)}",
    )
    return _checked(text, _insert(text, found.end, *lines))


def _append(text: str, key: str, value: str, block: int) -> str:
    entry = _block(text, block).entry(key)
    if not entry:
        return text
    array = tomllib.loads(f"array = {text[entry.value_start : entry.end]}")["array"]
    if not isinstance(array, list):
        raise _unusual(text, _("{key} is no list").format(key=key))
    if not array or value in array:
        return text
    start, end = items(text, entry)[-1]
    newline = text.find("\n", end, entry.end)
    line_start = text.rfind("\n", 0, start) + 1
    if newline < 0 or text[line_start:start].strip():
        return _checked(text, f"{text[:end]}, {literal(value)}{text[end:]}")
    comma = "," in re.sub(r"#[^\n]*", "", text[end : entry.end])
    line = text[line_start:start] + literal(value) + ("," if comma else "")
    line += "\r\n" if text[newline - 1] == "\r" else "\n"
    rest = text[end : newline + 1] + line + text[newline + 1 :]
    return _checked(text, text[:end] + ("" if comma else ",") + rest)


def _block(text: str, number: int) -> Block:
    try:
        tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        raise _unusual(text, str(error)) from None
    found = blocks(text)
    if number >= len(found):
        raise _unusual(text, _("it has no block [[inputs.prom]] number {n}").format(n=number + 1))
    return found[number]


def _unusual(text: str, why: str) -> UsageError:
    return UsageError(
        _("etcd.conf cannot be edited here."),
        object="etcd.conf" if text else _("etcd.conf (empty)"),
        why=why,
        remedy=_("Edit the text by hand, or start from a preset."),
    )


def _checked(before: str, after: str) -> str:
    """`after`, unless the edit broke the text: then nothing was changed, and the error says so."""
    try:
        tomllib.loads(after.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        raise _unusual(before, _("the edit would break it: {error}").format(error=error)) from None
    return after


def _indent(text: str, offset: int) -> str:
    line = text[text.rfind("\n", 0, offset) + 1 : offset]
    return line if not line.strip(" \t") else ""


def _insert(text: str, offset: int, *lines: str) -> str:
    """New lines below the one that holds `offset`, with the line ends that the text has."""
    newline = text.find("\n", offset)
    ending = "\r\n" if "\r\n" in text else "\n"
    if newline < 0:
        return text + ending + ending.join(lines)
    return text[: newline + 1] + "".join(line + ending for line in lines) + text[newline + 1 :]


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else literal(name)
