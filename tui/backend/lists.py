"""Long lists in pages: whole objects, or the rows that `kubectl get` prints, which are a fiftieth of their size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tui.core.errors import StaleError
from tui.core.ports import Kind, Object, Row

Query = list[tuple[str, str]]
Ask = Callable[[Query], Object]  # one page of a list, by its parameters

TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"  # the Accept header of rows
_PAGE = 500  # as kubectl
_ROWS = 5000  # a row without metadata is some 150 bytes
_TRIES = 3


def selectors(labels: str, fields: str = "") -> Query:
    """The parameters that select."""
    return [(key, value) for key, value in (("labelSelector", labels), ("fieldSelector", fields)) if value]


def objects(ask: Ask, kind: Kind, selected: Query) -> list[Object]:
    """Whole objects, each with kind and apiVersion, which lists leave out."""
    whole = {"apiVersion": kind.api_version, "kind": kind.kind}

    def read(page: Object) -> list[Object]:
        return [{**whole, **item} for item in page.get("items") or []]

    return _pages(ask, selected, lambda _first: [("limit", str(_PAGE))], read)


def rows(ask: Ask, selected: Query, *, sample: int) -> list[Row]:
    """Rows of a Table; the first `sample` with metadata, which is a page of its own."""

    def form(first: bool) -> Query:
        if sample and first:
            return [("includeObject", "Metadata"), ("limit", str(sample))]
        return [("includeObject", "None"), ("limit", str(_ROWS))]

    return _pages(ask, selected, form, _rows)


def _pages(ask: Ask, selected: Query, form: Callable[[bool], Query], read: Callable[[Object], list[Any]]) -> list[Any]:
    """What `read` finds in each page; `form` says how the first page and the others are asked for.

    410 in between means that the list changed too much: it begins again, a few times.
    """
    for left in reversed(range(_TRIES)):
        found: list[Any] = []
        token = ""
        try:
            while True:
                page = ask([*selected, *form(not token), *([("continue", token)] if token else [])])
                found += read(page)
                token = (page.get("metadata") or {}).get("continue") or ""
                if not token:
                    return found
        except StaleError:
            if not left:
                raise
    raise AssertionError


def _rows(page: Object) -> list[Row]:
    """The rows of a page, their metadata without managedFields: they are most of it, and say nothing here."""
    columns = [str(column.get("name", "")) for column in page.get("columnDefinitions") or []]
    found = []
    for row in page.get("rows") or []:
        metadata = (row.get("object") or {}).get("metadata")
        if metadata is not None:
            metadata.pop("managedFields", None)
        found.append(Row(dict(zip(columns, row["cells"], strict=False)), metadata))
    return found
