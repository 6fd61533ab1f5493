"""VictoriaMetrics as Debian packages it: an engine of MetricsQL of its own, to compare the practice studio with.

It runs on a loopback port, with its data in a folder of the test, and is ended by whoever started it.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from meaning import Sample

BINARY = shutil.which("victoria-metrics")
_START_S = 60.0


class Victoria:
    """One running engine."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def _ask(self, path: str, data: bytes | None = None, **query: str) -> bytes:
        url = f"{self._url}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        with self._opener.open(urllib.request.Request(url, data), timeout=30) as answer:
            body: bytes = answer.read()
            return body

    def is_up(self) -> bool:
        """Whether it answers."""
        try:
            return self._ask("/health") == b"OK"
        except OSError:
            return False

    def load(self, samples: Iterable[Sample]) -> None:
        """Take samples of metrics; each is named `measurement:field`, as the studio names it in PromQL."""
        lines = []
        for sample in samples:
            numbers = [(time, value) for time, value in sample.points if not isinstance(value, str)]
            metric = {"__name__": f"{sample.source}:{sample.field}", **{k: v for k, v in sample.tags.items() if v}}
            times, values = [time for time, _value in numbers], [value for _time, value in numbers]
            lines.append(json.dumps({"metric": metric, "values": values, "timestamps": times}))
        self._ask("/api/v1/import", "\n".join(lines).encode())
        self._ask("/internal/force_flush")

    def query(self, text: str, at_ms: float) -> dict[tuple[tuple[str, str], ...], float]:
        """The value of each series that answers a query at a moment, by its labels."""
        asked = {"query": text, "time": str(at_ms / 1000), "step": "5m", "nocache": "1"}
        answer: dict[str, Any] = json.loads(self._ask("/api/v1/query", **asked))
        assert answer["status"] == "success", answer
        found = {}
        for series in answer["data"]["result"]:
            labels = {name: value for name, value in series["metric"].items() if name != "__name__"}
            found[tuple(sorted(labels.items()))] = float(series["value"][1])
        return found


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Victoria]:
    """An engine for as long as the block lasts."""
    assert BINARY is not None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    options = [f"-storageDataPath={folder / 'data'}", f"-httpListenAddr={address}", "-retentionPeriod=100y"]
    options += ["-loggerLevel=ERROR", "-search.latencyOffset=0s", "-memory.allowedBytes=64MB"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([BINARY, *options], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        engine = Victoria(f"http://{address}")
        deadline = time.monotonic() + _START_S
        while not engine.is_up():
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "victoria-metrics does not answer"
            time.sleep(0.05)
        yield engine
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def close_to(there: dict[tuple[tuple[str, str], ...], float]) -> dict[tuple[tuple[str, str], ...], object]:
    """What the engine answered, to be compared with but for the last digits."""
    return {tags: pytest.approx(value, rel=1e-9, abs=1e-9) for tags, value in there.items()}
