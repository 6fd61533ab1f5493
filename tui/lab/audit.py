"""The audit log: who asked the control plane and the studio for what, as JSON lines in the lab's folder."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import IO, Any

_MOST_BYTES = 64 * 1024 * 1024


class AuditLog:
    """One line a request: `time`, `to` ("control-plane" or "studio"), `user`, `verb`, `object`, `dry_run`, `status`.

    Paths are without their query, which can hold a token. A full file is kept once more under `.1`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None
        self._bytes = 0

    def control_plane(self, entry: dict[str, Any]) -> None:
        """Take what the API server says of one request (`ApiServer.audit`)."""
        resource = entry["resource"] + (f".{entry['group']}" if entry["group"] else "")
        parts = (entry["namespace"], resource, entry["name"], entry["subresource"])
        self._write(
            "control-plane",
            entry["user"],
            entry["verb"],
            "/".join(part for part in parts if part) if resource else entry["path"],
            dry_run=bool(entry["dry_run"]),
            status=int(entry["status"]),
        )

    def studio(self, user: str, method: str, path: str, status: int, error_code: str) -> None:
        """Take one request to the studio: `user` is "api-key" (the Open API) or "agent" (Dataway)."""
        more = {"error_code": error_code} if error_code else {}
        self._write("studio", user, method, path, dry_run=False, status=status, **more)

    def _write(self, to: str, user: str, verb: str, what: str, *, dry_run: bool, status: int, **more: str) -> None:
        if self._file is None or self._bytes > _MOST_BYTES:
            self._open()
        assert self._file is not None
        stamp = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        entry = {"time": stamp, "to": to, "user": user, "verb": verb, "object": what, "dry_run": dry_run}
        line = json.dumps({**entry, "status": status, **more}, ensure_ascii=False) + "\n"
        self._bytes += len(line)
        self._file.write(line)

    def _open(self) -> None:
        if self._file is not None:
            self._file.close()
            self.path.replace(self.path.with_name(self.path.name + ".1"))
        self._bytes = 0
        self.path.touch(mode=0o600)
        self._file = self.path.open("a", buffering=1, encoding="utf-8")

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
