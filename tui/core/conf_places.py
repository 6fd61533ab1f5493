"""A finding about an etcd.conf, and one block of it with the places of its keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tui.core.etcd_edits import Block
from tui.core.toml_text import Entry, Header, items, position

ERROR, WARNING, INFO = "error", "warning", "info"
"""`error`: DataKit would drop the file, the block or the setting, or nothing would arrive. `warning`: it would not do
what it seems to say. `info`: good to know."""


@dataclass(frozen=True)
class Finding:
    """What is wrong with an etcd.conf, where (from 1), and what to do. `code` is stable and never translated.

    `key` is the path below the block ("tags.election"), "" where no key is meant. Texts are translated.
    """

    line: int
    column: int
    key: str
    severity: str
    message: str
    remedy: str
    code: str


@dataclass
class View:
    """One block as DataKit decodes it (`values`, keys in lower case), and what was found in it.

    `name` is the input's: prom or etcd.
    """

    text: str
    values: Mapping[str, Any]
    block: Block | None
    found: list[Finding] = field(default_factory=list)
    name: str = "prom"

    def list(self, key: str) -> list[str]:
        """The strings of a list; none where it is missing or no list."""
        value = self.values.get(key)
        return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []

    def string(self, key: str) -> str:
        """A string, "" where it is missing or none."""
        value = self.values.get(key)
        return value if isinstance(value, str) else ""

    def add(
        self, code: str, severity: str, key: str, message: str, remedy: str = "", *, item: int | None = None
    ) -> None:
        """Note a finding at `key` (a path with dots), or at element `item` of its list."""
        line, column = position(self.text, self.offset(tuple(key.split(".")) if key else (), item))
        self.found.append(Finding(line, column, key, severity, message, remedy, code))

    def offset(self, path: tuple[str, ...], item: int | None = None) -> int:
        """Where the entry, table or (as far as there is one) parent at `path` stands; else the block's header."""
        if self.block is None:
            return 0
        while path:
            entry = self.block.entry(*path)
            if entry:
                return _element(self.text, entry, item)
            table = self.block.table(*path)
            if table:
                return table.start
            path = path[:-1]
        return self.block.header.start

    def rule_offset(self, number: int, key: str) -> int:
        """Where a key of the `number`-th `[[inputs.prom.measurements]]` stands, or else that table, or the list."""
        statements = self.block.statements if self.block else ()
        headers = [s for s in statements if isinstance(s, Header) and s.path[-1].casefold() == "measurements"]
        if number >= len(headers):
            return self.offset(("measurements",), number)
        for statement in statements:
            if isinstance(statement, Entry) and statement.header == headers[number] and statement.path == (key,):
                return statement.start
        return headers[number].start

    def add_at(self, offset: int, code: str, severity: str, key: str, message: str, remedy: str = "") -> None:
        """Note a finding at an offset of the text."""
        line, column = position(self.text, offset)
        self.found.append(Finding(line, column, key, severity, message, remedy, code))


def _element(text: str, entry: Entry, item: int | None) -> int:
    spans = items(text, entry) if item is not None else []
    return spans[item][0] if item is not None and item < len(spans) else entry.start
