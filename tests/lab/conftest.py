"""Fixtures of the lab's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from lab_machines import Machines


@pytest.fixture
async def machines(tmp_path: Path) -> AsyncIterator[Machines]:
    """A control-plane node and a worker, with the stand-in for etcd."""
    made = Machines(tmp_path)
    await made.start_etcd()
    yield made
    await made.stop()
