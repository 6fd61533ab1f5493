"""What the practice studio keeps, in one SQLite file: points by series, and dashboards.

Series live in namespaces as DQL names them: M metrics, O objects, L logs. Of an object only the newest state
is kept, whatever its tags were before.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Value = float | str

_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
CREATE TABLE IF NOT EXISTS series (
  id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, measurement TEXT NOT NULL, field TEXT NOT NULL, tags TEXT NOT NULL,
  UNIQUE (namespace, measurement, field, tags)
);
CREATE TABLE IF NOT EXISTS point (
  series INTEGER NOT NULL, time_ms INTEGER NOT NULL, value, PRIMARY KEY (series, time_ms)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dashboard (uuid TEXT PRIMARY KEY, updated_ms INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS workspace (uuid TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Row:
    """One point on its way in: a field of a measurement under its tags."""

    measurement: str
    tags: Mapping[str, str]
    field: str
    value: Value
    time_ms: int
    namespace: str = "M"


@dataclass(frozen=True, eq=False, slots=True)
class SeriesKey:
    """One series: a field of a measurement under one set of tags. There is one object for each, so it is
    hashed by identity; the fields of a point share their tags.
    """

    id: int
    measurement: str
    field: str
    tags: Mapping[str, str]
    namespace: str = "M"


class Store:
    """The file. Series are looked at by every query, so they are held in memory too; points are not."""

    def __init__(self, path: str, workspace_uuid: str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.executescript(_SCHEMA)
        # By namespace and measurement, then by tags as text, then by field.
        self._series: dict[tuple[str, str], dict[str, dict[str, SeriesKey]]] = {}
        self._tags: dict[str, Mapping[str, str]] = {}
        self._objects: dict[tuple[str, str], set[str]] = {}  # by class and name: the texts of tags they were seen with
        self._load()
        row = self._db.execute("SELECT uuid FROM workspace").fetchone()
        if row is None:
            self._db.execute("INSERT INTO workspace VALUES (?)", (workspace_uuid,))
        self.workspace_uuid: str = row[0] if row else workspace_uuid

    def close(self) -> None:
        """Close the file; the write-ahead log is merged into it."""
        self._db.close()

    # Points

    def write(self, rows: Iterable[Row]) -> int:
        """Keep points, the last one of a moment wins. Returns how many. Raises ValueError for an impossible time."""
        rows = list(rows)
        if any(not 0 <= row.time_ms < 1 << 62 for row in rows):
            raise ValueError("a time is out of range")
        texts = {id(row.tags): row.tags for row in rows}  # the fields of a point share theirs
        tags = {at: json.dumps(dict(each), sort_keys=True, ensure_ascii=False) for at, each in texts.items()}
        self._db.execute("BEGIN")
        try:
            self._forget_objects([row for row in rows if row.namespace == "O"])
            values = [(self._key(row, tags[id(row.tags)]).id, row.time_ms, row.value) for row in rows]
            self._db.executemany("INSERT OR REPLACE INTO point VALUES (?, ?, ?)", values)
        except BaseException:
            self._db.execute("ROLLBACK")
            self._load()
            raise
        self._db.execute("COMMIT")
        return len(values)

    def _key(self, row: Row, tags: str) -> SeriesKey:
        key = self._series.get((row.namespace, row.measurement), {}).get(tags, {}).get(row.field)
        if key is not None:
            return key
        cursor = self._db.execute(
            "INSERT INTO series (namespace, measurement, field, tags) VALUES (?, ?, ?, ?)",
            (row.namespace, row.measurement, row.field, tags),
        )
        return self._add(int(cursor.lastrowid or 0), row.namespace, row.measurement, row.field, tags)

    def _load(self) -> None:
        """Take the series as the file has them."""
        self._series.clear()
        self._tags.clear()
        self._objects.clear()
        for row in self._db.execute("SELECT id, namespace, measurement, field, tags FROM series"):
            self._add(*row)

    def _add(self, id_: int, namespace: str, measurement: str, field: str, tags: str) -> SeriesKey:
        by_field = self._series.setdefault((namespace, measurement), {}).setdefault(tags, {})
        shared = self._tags.get(tags)
        if shared is None:
            pairs = json.loads(tags).items()  # names of nodes, pods and clusters are in many of them
            shared = self._tags[tags] = {sys.intern(key): sys.intern(value) for key, value in pairs}
        if namespace == "O":
            self._objects.setdefault((measurement, shared.get("name", "")), set()).add(tags)
        key = SeriesKey(id_, sys.intern(measurement), sys.intern(field), shared, namespace)
        by_field[key.field] = key
        return key

    def _forget_objects(self, rows: Sequence[Row]) -> None:
        """Drop what was known of these objects; an object is known by its class and its tag `name`."""
        for measurement, name in {(row.measurement, row.tags.get("name", "")) for row in rows}:
            for tags in self._objects.pop((measurement, name), ()):
                for key in self._series["O", measurement].pop(tags).values():
                    self._db.execute("DELETE FROM point WHERE series = ?", (key.id,))
                    self._db.execute("DELETE FROM series WHERE id = ?", (key.id,))

    def series(self, measurement: str | None = None, field: str | None = None, namespace: str = "M") -> list[SeriesKey]:
        """The series of a measurement and field (None: of any), whether or not they still get points."""
        return [
            key
            for (space, name), by_tags in self._series.items()
            if space == namespace and measurement in (None, name)
            for by_field in by_tags.values()
            for key in (by_field.values() if field is None else filter(None, [by_field.get(field)]))
        ]

    def points(self, series: SeriesKey, start_ms: float, end_ms: float) -> list[tuple[int, Value]]:
        """The points of one series from start to end, both included, oldest first."""
        return self._db.execute(
            "SELECT time_ms, value FROM point WHERE series = ? AND time_ms BETWEEN ? AND ? ORDER BY time_ms",
            (series.id, start_ms, end_ms),
        ).fetchall()

    def alive(self, series: SeriesKey, start_ms: float, end_ms: float) -> bool:
        """Whether the series has a point from start to end."""
        row = self._db.execute(
            "SELECT 1 FROM point WHERE series = ? AND time_ms BETWEEN ? AND ? LIMIT 1",
            (series.id, start_ms, end_ms),
        ).fetchone()
        return row is not None

    def prune(self, before_ms: float) -> None:
        """Forget points older than this, and series that have none left."""
        self._db.execute("BEGIN")
        for (series,) in self._db.execute("SELECT id FROM series").fetchall():
            # by series: the primary key makes it a range delete
            self._db.execute("DELETE FROM point WHERE series = ? AND time_ms < ?", (series, before_ms))
        gone = self._db.execute("DELETE FROM series WHERE id NOT IN (SELECT DISTINCT series FROM point)").rowcount
        self._db.execute("COMMIT")
        if gone:
            self._load()

    # Dashboards

    def dashboards(self) -> list[dict[str, Any]]:
        """Every dashboard, the one updated last first."""
        rows: Sequence[tuple[str]] = self._db.execute(
            "SELECT body FROM dashboard ORDER BY updated_ms DESC, rowid DESC"
        ).fetchall()
        return [json.loads(body) for (body,) in rows]

    def dashboard(self, uuid: str) -> dict[str, Any] | None:
        """One dashboard."""
        row = self._db.execute("SELECT body FROM dashboard WHERE uuid = ?", (uuid,)).fetchone()
        return json.loads(row[0]) if row else None

    def keep_dashboard(self, body: Mapping[str, Any], now_ms: int) -> None:
        """Add a dashboard or replace it."""
        self._db.execute(
            "INSERT OR REPLACE INTO dashboard VALUES (?, ?, ?)",
            (body["uuid"], now_ms, json.dumps(dict(body), ensure_ascii=False)),
        )

    def delete_dashboard(self, uuid: str) -> None:
        """Remove a dashboard."""
        self._db.execute("DELETE FROM dashboard WHERE uuid = ?", (uuid,))
