"""What is cancelled ends: Python 3.11's asyncio.wait_for can lose a cancellation that comes with its result."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_nothing_waits_by_wait_for() -> None:
    sources = [path for top in ("tui", "screens") for path in (ROOT / top).rglob("*.py")]
    assert len(sources) > 200
    assert [str(path) for path in sources if re.search(r"\bwait_for\(", path.read_text(encoding="utf-8"))] == []
