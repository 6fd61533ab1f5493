"""What it costs: medians of 7, and ratios to `python -c pass` in the same run. Run it: `python tests/bench/bench.py`.

Times are printed, never asserted: they are the machine's as much as ours.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from practice import Practice, practice  # noqa: E402 - run as a script it finds them only now
from terminal_harness import Terminal  # noqa: E402

RUNS = 7
SCRAPE = ROOT / "assets" / "samples" / "etcd-3.4.txt"
CONF = """\
[[inputs.prom]]
  urls = ["http://127.0.0.1:2381/metrics"]
  source = "etcd"
  metric_types = ["counter", "gauge", "histogram"]
  [[inputs.prom.measurements]]
    prefix = "etcd_"
    name = "etcd"
"""


@dataclass(frozen=True)
class Measured:
    """One figure: the median of its runs, in seconds or MiB; `budget` is what the project allows itself."""

    name: str
    median: float
    unit: str
    budget: str = ""


def environment(place: Path) -> dict[str, str]:
    fixed = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    return {**fixed, "HOME": str(place), "TMPDIR": str(place), "XDG_STATE_HOME": str(place / "state")}


def process(place: Path, *arguments: str) -> float:
    """Seconds that a Python process takes from start to end."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], env=environment(place), stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def first_frame(place: Path, *arguments: str) -> tuple[float, float]:
    """Seconds until the key hints, the frame's last line, have come; MiB that the process then holds."""
    began = time.perf_counter()
    with Terminal([sys.executable, "-m", "tui.cli", *arguments], environment(place)) as terminal:
        while b"Leave" not in terminal.output:
            assert terminal.read(60), terminal.text()
        seconds = time.perf_counter() - began
        status = Path(f"/proc/{terminal.process.pid}/status").read_text()
        kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        terminal.wait_for("Leave")
        terminal.type("\x03")
        terminal.wait_quiet(0.2)
        terminal.type("\x03")
        terminal.wait_end()
    return seconds, kib / 1024


def lab_ready(place: Path, *, stand_in: bool) -> float:
    """Seconds from the start of a lab to its ready line."""
    began = time.perf_counter()
    with practice(place, stand_in=stand_in):
        return time.perf_counter() - began


def dry_runs(lab: Practice, count: int) -> list[float]:
    """Seconds that the dry run of one server-side apply takes, from call to answer."""
    from tui import backend
    from tui.core.ports import CONFIG_MAP

    cluster = backend.connect(lab.ready["kubeconfig"]).clusters().connect(lab.ready["contexts"]["admin"])
    namespace = lab.ready["namespace"]
    metadata = {"name": "datakit-conf", "namespace": namespace}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"etcd.conf": CONF}}
    seconds = []
    for _run in range(count + 1):
        began = time.perf_counter()
        cluster.apply(CONFIG_MAP, namespace, "datakit-conf", body, manager="datakit-wizard", dry_run=True)
        seconds.append(time.perf_counter() - began)
    return seconds[1:]  # the first one opens the connection


def measure(place: Path, runs: int, *, etcd: bool) -> Iterator[Measured]:
    """Every figure, one after the other; `etcd` for a lab with the real one, which must be on PATH."""

    def median(of: Callable[[], float]) -> float:
        return statistics.median(of() for _run in range(runs))

    conf = place / "etcd.conf"
    conf.write_text(CONF)
    base = median(lambda: process(place, "-c", "pass"))
    yield Measured("python -c pass", base, "s")

    def ratio(seconds: float, limit: int) -> str:
        return f"{seconds / base:.1f}× python -c pass, at most {limit}×"

    help_s = median(lambda: process(place, "-m", "tui.cli", "--help"))
    yield Measured("--help", help_s, "s", ratio(help_s, 5))
    for verb in ("", "demo"):
        frames = [first_frame(place, *([verb] if verb else [])) for _run in range(runs)]
        seconds = statistics.median(seconds for seconds, _mib in frames)
        name = verb or "wizard"
        yield Measured(f"first frame, {name}", seconds, "s", ratio(seconds, 20))
        yield Measured(f"memory at first frame, {name}", statistics.median(m for _s, m in frames), "MiB", "at most 40")
    preview = ["-m", "tui.cli", "preview", str(conf), str(SCRAPE), "-o", "lp"]
    yield Measured("preview of an etcd scrape", median(lambda: process(place, *preview)), "s")
    yield Measured("lab ready, stand-in", median(lambda: lab_ready(place / "lab", stand_in=True)), "s", "at most 3")
    if etcd:
        yield Measured("lab ready, etcd", median(lambda: lab_ready(place / "lab", stand_in=False)), "s", "at most 6")
    with practice(place / "lab") as lab:
        yield Measured("dry run of one apply", statistics.median(dry_runs(lab, runs)), "s")


def line(one: Measured) -> str:
    """A figure as it is printed."""
    value = f"{one.median * 1000:8.1f} ms" if one.unit == "s" else f"{one.median:8.1f} {one.unit}"
    return f"{one.name:<32} {value}  {one.budget}".rstrip()


def main() -> None:
    import shutil

    import lab_bench
    import preview_bench
    import views_bench

    print(f"medians of {RUNS}")
    with tempfile.TemporaryDirectory() as folder:
        for one in measure(Path(folder), RUNS, etcd=bool(shutil.which("etcd"))):
            print(line(one), flush=True)
        for one in lab_bench.measure(Path(folder)):
            print(line(one), flush=True)
    for one in (*views_bench.measure(RUNS), *preview_bench.measure(RUNS)):
        print(line(one), flush=True)


if __name__ == "__main__":
    main()
